/* bin_look.h: what the first blocks of a thread's own bin tell.
 *
 * Owns:      nothing; writes nothing.
 * Knows not: what follows from it (bins.h).
 * Threads:   the heap's own, without the lock.
 *
 * What was written to since it was freed is no link: a look ends at a block without a stamp, and
 * some pop or drain will say so. Where a link is read ahead, the stamp is looked at after it.
 */
#ifndef HAK_BIN_LOOK_H
#define HAK_BIN_LOOK_H

#include "shelf.h"

/* The chain has at most so many blocks. */
HAK_INLINE bool hak_look_is_short(const void *block, int most) {
    const uintptr_t stamp = hak_stamp;
    for (int steps = 0; steps < most; steps++) {
        if (block == NULL) {
            return true;
        }
        const void *next = hak_block_next(block);
        hak_signal_fence();
        if (HAK_UNLIKELY(!hak_block_carries(block, stamp))) {
            return false;
        }
        block = next;
    }
    return block == NULL;
}

/* The chain has so many blocks at least. */
HAK_INLINE bool hak_look_has(const void *block, uint32_t wanted) {
    const uintptr_t stamp = hak_stamp;
    uint32_t count = 0;
    for (; block != NULL && count < wanted; count++) {
        if (HAK_UNLIKELY(!hak_block_carries(block, stamp))) {
            return false;
        }
        block = hak_block_next(block);
    }
    return count == wanted;
}

/* The bin has few blocks at least, and of the first, as many as most, none is the heap's own or
 * shared. A stale owner makes a look come out wrong, once. */
HAK_INLINE bool hak_look_only_others(const hak_heap_t *heap, unsigned cls, unsigned few,
                                     unsigned most) {
    const uintptr_t stamp = hak_stamp;
    const void *block = heap->bins[HAK_TAG_CLASS + cls].head;
    unsigned count = 0;
    for (; block != NULL && count < most; count++) {
        const void *next = hak_block_next(block);
        hak_signal_fence();
        if (HAK_UNLIKELY(!hak_block_carries(block, stamp) ||
                         hak_map_tag(block) != hak_tag_of_class(cls))) {
            return false;
        }
        const hak_heap_t *owner = hak_load_relaxed(&hak_slab_of(block, cls)->owner);
        if (owner == heap || (owner != NULL && owner->shared)) {
            return false;
        }
        block = next;
    }
    return count >= few;
}

#endif
