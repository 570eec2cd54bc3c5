/* alloc_fast.h: the hit paths: an allocation whose bin has a block, a free that passes its checks.
 *
 * Owns:      the instructions that run for nearly every call; what misses goes to alloc.c.
 * Knows not: locks, system calls, options.
 * Threads:   touches only this thread's bins.
 *
 * The order of stores matters, though no other thread reads them: a fork, a cancellation or a
 * signal may stop this thread between any two, and the bin must be a chain of free blocks all the
 * same.
 */
#ifndef HAK_ALLOC_FAST_H
#define HAK_ALLOC_FAST_H

#include "alloc.h"
#include "heap.h"

/* The stamp is taken after the block left the bin. So whatever a signal handler did that came in
 * between (it must not allocate, but some do), a block that it took away with it has no stamp any
 * more and is found out here, in the allocation that pops it again, or where a chain is walked.
 *
 * The other order, stamp first, would leave a handler no moment in which it goes unnoticed. But a
 * thread that a handler jumps out of malloc, or that is cancelled, would leave a first block
 * without a stamp behind, and be accused of writing to it, where now one block is lost. */
HAK_INLINE void *hak_bin_pop(hak_bin_t *bin, void *block) {
    bin->head = hak_block_next(block);
    hak_signal_fence();
    if (HAK_UNLIKELY(!hak_block_take_stamp(block))) {
        bin->head = NULL; /* who knows what it is: another signal may come before the report */
        return hak_block_report_changed(block);
    }
    return block;
}

/* The link comes before the stamp: whoever finds the stamp may follow the link. */
HAK_INLINE void hak_bin_push(hak_bin_t *bin, void *block) {
    const uintptr_t stamp = hak_stamp; /* the fence would have it read again */
    hak_block_set_next(block, bin->head);
    hak_signal_fence();
    hak_block_mark(block, stamp);
    hak_signal_fence();
    bin->head = block;
}

/* size <= HAK_TINY_MAX goes through the bins here, all else and every miss through miss(size). */
HAK_INLINE void *hak_alloc_fast(size_t size, void *(*miss)(size_t)) {
    if (HAK_UNLIKELY(size > HAK_TINY_MAX)) {
        return hak_alloc_mid(size, miss);
    }
    hak_bin_t *bin = hak_tls_heap->tiny_bins[(size + 15) >> 4];
    void *block = bin->head;
    if (HAK_UNLIKELY(block == NULL)) {
        return miss(size);
    }
    return hak_bin_pop(bin, block);
}

/* In order: is it ours (a range check and a tag); does it start a block (the tag's bin has the
 * inverse of the stride, and a bound, which is 0 where the slab is not one slot); is it live (no
 * stamp). by and size are what hak_free_cold_by() is told. */
HAK_INLINE void hak_free_fast_by(void *p, hak_origin_t by, size_t size) {
    size_t slot = hak_map_slot(p);
    if (HAK_UNLIKELY(slot >= hak_map.slot_count)) {
        hak_free_cold_by(p, by, size);
        return;
    }
    size_t tag = hak_load_relaxed(&hak_map.tags[slot]);
    hak_bin_t *bin = &hak_tls_heap->bins[tag];
    uint32_t offset = (uint16_t)(uintptr_t)p;
    if (HAK_UNLIKELY(offset * bin->inverse >= bin->bound)) {
        hak_free_wide_by(p, by, size, bin);
        return;
    }
    if (HAK_UNLIKELY(hak_block_is_stamped(p))) {
        hak_free_cold_by(p, by, size);
        return;
    }
    hak_bin_push(bin, p);
    if (HAK_UNLIKELY(--bin->room < 0)) {
        hak_free_interval_over(bin);
    }
}

HAK_INLINE void hak_free_fast(void *p) {
    hak_free_fast_by(p, HAK_BY_MALLOC, HAK_SIZE_UNKNOWN);
}

#endif
