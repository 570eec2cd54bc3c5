/* home.h: the slabs of a heap, and the blocks that come home to them.
 *
 * Owns:      which slabs a heap lists; counts of slabs and of blocks out; chains that go home, to
 *            this heap's slabs at once and to others' through their remote queues; ready lists,
 *            slabs that wait.
 * Knows not: when a block goes home, or what a bin is kept for (bins.h).
 * Threads:   functions named _locked expect the lock to be held; the others may be called by any.
 */
#ifndef HAK_HOME_H
#define HAK_HOME_H

#include "shelf.h"

/* The heap has so many slabs more of the class. */
void hak_home_count_slab_locked(hak_heap_t *heap, unsigned cls, int change);
/* The slab goes from one heap to another, both locked: so do its blocks that are out. */
void hak_home_move_out_locked(hak_heap_t *from, hak_heap_t *to, const hak_slab_t *slab);
/* hak_slab_take() for a slab of this heap. */
unsigned hak_home_take_locked(hak_heap_t *heap, hak_slab_t *slab, unsigned want,
                              hak_chain_t *chain);
void hak_home_list_slab_locked(hak_heap_t *heap, hak_slab_t *slab);
void hak_home_unlist_slab_locked(hak_heap_t *heap, hak_slab_t *slab);

/* A block goes into its slab's remote queue. */
void hak_home_send_remote(hak_slab_t *slab, void *block);
/* Empties the ready list and the remote queues of the slabs on it, of those too that wait; true
 * when blocks came home. */
bool hak_home_drain_ready_locked(hak_heap_t *heap);
/* For a refill of the class that wants so many blocks: what came into the remote queues of its
 * slabs, queue by queue as it is, until that is half of them; but no queue of more than most. Other
 * classes' slabs wait, see home.c. */
hak_chain_t hak_home_receive_locked(hak_heap_t *heap, unsigned cls, unsigned want, unsigned most);
/* Empties the ready list of a heap whose owner may not come to it, and what waits, if the lock is
 * free. Everyone who unlocks a heap's lock calls it then. */
void hak_home_help(hak_heap_t *heap);

/* How many blocks of a chain went home, and how many batches those of other heaps made. */
typedef struct {
    uint32_t own, others, batches;
} hak_sent_t;

HAK_INLINE unsigned hak_sent_blocks(hak_sent_t sent) {
    return sent.own + sent.others;
}

/* A chain of free blocks of the class goes home, whosever they are. Blocks of a slab of another
 * heap are gathered first, as far as there is room. The caller counts what was sent. */
hak_sent_t hak_home_send_locked(hak_heap_t *heap, unsigned cls, void *block);
/* The same for a short chain, of which nothing would be gathered. */
hak_sent_t hak_home_send_each_locked(hak_heap_t *heap, unsigned cls, void *block);

#endif
