/* freelist.h: chains of free blocks, linked through the blocks themselves.
 *
 * Owns:      the first two words of every free block; no other file reads or writes them, except
 *            the hit path in alloc_fast.h, which spells out the same two stores.
 * Knows not: bins, slabs, sizes.
 * Threads:   a chain belongs to one thread or is guarded by its owner's lock.
 *
 *   free block:  word 0  next free block of the chain, or NULL
 *                word 1  hak_stamp_key ^ address: "this block is free"
 *
 * Allocation clears word 1. A live block carries its own stamp only if the program put back bytes
 * that it had read from the block while it was free; so a hit in free() is looked into before
 * anybody is accused (hak_heap_block_is_free()).
 */
#ifndef HAK_FREELIST_H
#define HAK_FREELIST_H

#include "base.h"

/* Const after init: random bits, the same for the whole process. */
extern HAK_HIDDEN uintptr_t hak_stamp_key;

typedef struct {
    void *head;
    void *tail;
    unsigned count;
} hak_chain_t;

HAK_INLINE void *hak_block_next(const void *block) {
    return *(void *const *)block;
}

HAK_INLINE void hak_block_set_next(void *block, void *next) {
    *(void **)block = next;
}

HAK_INLINE uintptr_t hak_block_stamp(const void *block) {
    return hak_stamp_key ^ (uintptr_t)block;
}

HAK_INLINE bool hak_block_is_stamped(const void *block) {
    return ((const uintptr_t *)block)[1] == hak_block_stamp(block);
}

HAK_INLINE void hak_block_set_stamp(void *block) {
    ((uintptr_t *)block)[1] = hak_block_stamp(block);
}

HAK_INLINE void hak_block_clear_stamp(void *block) {
    ((uintptr_t *)block)[1] = 0;
}

/* Puts block in front; the first one becomes the tail. */
HAK_INLINE void hak_chain_push(hak_chain_t *chain, void *block) {
    hak_block_set_next(block, chain->head);
    if (chain->head == NULL) {
        chain->tail = block;
    }
    chain->head = block;
    chain->count++;
}

#endif
