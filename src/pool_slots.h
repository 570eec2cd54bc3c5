/* pool_slots.h: what the pool has, and the only functions that change a slot's state.
 *
 * Owns:      the pool's one record of all it has and keeps; SuperSlabs mapped; states and accounts.
 * Knows not: which slots are taken, or when memory goes back (pool_return.h, pool.c).
 * Threads:   everything is guarded by hak_pool.lock.
 */
#ifndef HAK_POOL_SLOTS_H
#define HAK_POOL_SLOTS_H

#include "lock.h"
#include "pool_lists.h"
#include "retain.h"

typedef struct {
    hak_lock_t lock;
    hak_buckets_t partly;  /* SuperSlabs of which some slots are ACTIVE */
    hak_empties_t empties; /* EMPTY slabs of those */
    hak_lru_t lru;         /* SuperSlabs without an ACTIVE slot, of which some memory is kept */
    hak_lru_t clean;       /* and those of which none is: mapped ahead, or not unmapped */
    hak_superslab_t *all;
    hak_superslab_t *spare_records;
    hak_share_t share;
    size_t evicted; /* SuperSlabs unmapped and not mapped again since evicted_ms */
    uint32_t evicted_ms;
    unsigned patience;     /* releases to wait after the system has refused to unmap once more, */
    unsigned waiting;      /* and how many are left */
    uint16_t huge_skips;   /* SuperSlabs of grown heaps that are still to do without a huge page, */
    uint8_t huge_patience; /* the sixteens that did after the last dear one; 0: it was not dear */
    uint8_t huge_tries;    /* huge pages asked for because a heap had grown; wraps */
    size_t superslabs_now, superslabs_peak;
    size_t slots_empty;
} hak_pool_state_t;

extern HAK_HIDDEN hak_pool_state_t hak_pool;

/* A SuperSlab new to the pool, all slots UNUSED, on no list; NULL without memory. grown: see
 * hak_pool_acquire(). */
hak_superslab_t *hak_slots_map(bool grown);
/* How a huge page came that was asked for, for a grown heap. Dear ones come in a row, so the next
 * SuperSlabs do without. */
void hak_slots_note_huge_page(bool was_dear);
/* EMPTY or UNUSED -> ACTIVE: the slots from first on become a slab of the class. */
hak_slab_t *hak_slots_take(hak_superslab_t *ss, unsigned first, unsigned cls, uint32_t now_ms);
/* EMPTY -> ACTIVE: a slab becomes one of its class again. */
hak_slab_t *hak_slots_reuse(hak_slab_t *slab);
/* ACTIVE -> EMPTY. */
void hak_slots_release(hak_slab_t *slab, uint32_t now_ms);
/* EMPTY -> UNUSED: the memory goes back. Where the system refuses (locked memory) the slot still
 * becomes UNUSED, so that it is not tried for ever; nobody relies on its being zero. */
void hak_slots_purge(hak_slab_t *slab, uint32_t now_ms);
/* EMPTY -> UNUSED, of a whole SuperSlab that is about to go back. */
void hak_slots_forget(hak_superslab_t *ss);
/* An EMPTY slab is about to be cut; see take_stamps_off(). */
void hak_slots_put_stamps_on(hak_slab_t *slab);
size_t hak_superslab_dirty_bytes(const hak_superslab_t *ss);

#endif
