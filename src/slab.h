/* slab.h: the blocks of one slab: carving, giving out, taking back.
 *
 * Owns:      an ACTIVE slab's free list, carve position and counts (superslab.h's invariants).
 * Knows not: heaps, bins, the pool.
 * Threads:   the caller holds the lock of the slab's owner.
 *
 *   slab base                                                     carved * stride        end
 *   | live | free | live | in a bin | in the remote queue | ...   |   never touched yet   |
 *
 * A block is in exactly one place: live, in a bin, on the free list, or in the remote queue.
 */
#ifndef HAK_SLAB_H
#define HAK_SLAB_H

#include "freelist.h"
#include "superslab.h"

HAK_INLINE bool hak_slab_has_room(const hak_slab_t *slab) {
    return slab->free_count != 0 ||
           hak_load_relaxed(&slab->carved) < hak_class_info[slab->cls].capacity;
}

HAK_INLINE bool hak_slab_all_home(const hak_slab_t *slab) {
    return slab->free_count == hak_load_relaxed(&slab->carved);
}

/* p is the start of a block of this slab that was carved. */
HAK_INLINE bool hak_slab_holds(const hak_slab_t *slab, const void *p) {
    const hak_class_info_t *info = &hak_class_info[slab->cls];
    uint64_t offset = (uintptr_t)p - (uintptr_t)hak_slab_base(slab); /* huge if p lies before it */
    return offset < (uint64_t)hak_load_relaxed(&slab->carved) * info->stride &&
           offset * info->wide_inverse < info->wide_inverse;
}

/* The next block of a chain of this slab's free blocks, for walks that must survive what a program
 * did to one; NULL at the end, or where the chain is broken. */
HAK_INLINE const void *hak_slab_next_free(const hak_slab_t *slab, const void *block) {
    const void *next = hak_block_next(block);
    return next != NULL && hak_slab_holds(slab, next) && hak_block_is_stamped(next) ? next : NULL;
}

/* Appends up to want blocks to the chain: free ones, or, if there are none, carved ones (of memory
 * that is not resident at most a page: it is not touched ahead of need). Returns how many. */
unsigned hak_slab_take(hak_slab_t *slab, unsigned want, hak_chain_t *chain);
/* How much of the slab, from its base, is known to need no page fault. */
size_t hak_slab_resident_bytes(const hak_slab_t *slab);
/* Where what was carved comes to the end of what is resident: makes up to bytes more of it resident
 * at one go, if that is two pages at least. */
void hak_slab_populate(hak_slab_t *slab, size_t bytes);
/* Puts the chain head..tail of count blocks on the free list. */
void hak_slab_give(hak_slab_t *slab, void *head, void *tail, unsigned count);
/* What is in the remote queue, of a slab that is on no list any more. Not empty. */
hak_chain_t hak_slab_receive(hak_slab_t *slab);
/* Moves that to the free list. */
unsigned hak_slab_drain_remote(hak_slab_t *slab);
/* The link or the stamp of a free block is not what it was: says so and aborts. That also comes of
 * malloc in a signal handler that interrupted malloc. The type lets a hit path leave by a jump. */
HAK_COLD void *hak_block_report_changed(const void *block);
bool hak_slab_is_valid(const hak_slab_t *slab);

#endif
