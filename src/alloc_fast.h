/* alloc_fast.h: the hit paths: an allocation whose bin has a block, a free that passes its checks.
 *
 * Owns:      the instructions that run for nearly every call; what misses goes to alloc.c.
 * Knows not: locks, system calls, options.
 * Threads:   touches only this thread's bins.
 *
 * The order of stores matters, though no other thread reads them: a fork (or a cancellation) may
 * stop this thread between any two, and the bin must be a chain of free blocks all the same.
 */
#ifndef HAK_ALLOC_FAST_H
#define HAK_ALLOC_FAST_H

#include "alloc.h"
#include "heap.h"

/* Keeps the compiler from moving stores across; costs no instruction. */
#define HAK_STORE_ORDER() atomic_signal_fence(memory_order_seq_cst)

HAK_INLINE void *hak_bin_pop(hak_bin_t *bin, void *block) {
    bin->head = hak_block_next(block);
    HAK_STORE_ORDER();
    hak_block_clear_stamp(block);
    return block;
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
 * inverse of the stride, or 0, which nothing passes); is it live (no stamp). NULL has
 * a tag with inverse 0, so it costs nothing here. */
HAK_INLINE void hak_free_fast(void *p) {
    size_t slot = hak_map_slot(p);
    if (HAK_UNLIKELY(slot >= hak_map.slot_count)) {
        hak_free_cold(p);
        return;
    }
    uint8_t tag = hak_load_relaxed(&hak_map.tags[slot]);
    hak_bin_t *bin = &hak_tls_heap->bins[tag];
    uint32_t offset = (uint16_t)(uintptr_t)p;
    if (HAK_UNLIKELY(offset * bin->inverse >= bin->inverse)) {
        hak_free_cold(p);
        return;
    }
    uintptr_t stamp = hak_block_stamp(p);
    uintptr_t *words = p;
    if (HAK_UNLIKELY(words[1] == stamp)) {
        hak_free_cold(p);
        return;
    }
    words[1] = stamp;
    hak_block_set_next(p, bin->head);
    HAK_STORE_ORDER();
    bin->head = p;
    if (HAK_UNLIKELY(--bin->room < 0)) {
        hak_free_interval_over(bin);
    }
}

#endif
