/* freelist.h: chains of free blocks, linked through the blocks themselves.
 *
 * Owns:      the first two words of every free block; no other file reads or writes them, except
 *            the hit paths in alloc_fast.h, which spell out the same loads and stores.
 * Knows not: bins, slabs, sizes.
 * Threads:   a chain belongs to one thread or is guarded by its owner's lock.
 *
 *   free block:  word 0  next free block of the chain, or NULL
 *                word 1  hak_stamp: "this block is free"
 *
 * Freeing sets the stamp, allocation takes it away, and each looks first. A block that is freed
 * with its stamp on is free already, or holds bytes that the program read from a free block; so
 * free() looks into it before it accuses. A block that is allocated without its stamp was written
 * to after it was freed, or was handed out before by malloc in a signal handler that interrupted
 * this very allocation. There is no lawful way to it, so it ends the program.
 *
 * Why the stamp is one number and not mixed with the address: each hit path is an instruction
 * shorter, which pays for the check on allocation. Who can read a free block can undo the mixture.
 */
#ifndef HAK_FREELIST_H
#define HAK_FREELIST_H

#include "base.h"

/* Const after init: random bits, odd, so that it is no pointer to anything aligned. */
extern HAK_HIDDEN uintptr_t hak_stamp;

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

/* For loops, which would read hak_stamp each time. */
HAK_INLINE bool hak_block_carries(const void *block, uintptr_t stamp) {
    return ((const uintptr_t *)block)[1] == stamp;
}

HAK_INLINE bool hak_block_is_stamped(const void *block) {
    return hak_block_carries(block, hak_stamp);
}

HAK_INLINE void hak_block_mark(void *block, uintptr_t stamp) {
    ((uintptr_t *)block)[1] = stamp;
}

HAK_INLINE void hak_block_set_stamp(void *block) {
    hak_block_mark(block, hak_stamp);
}

/* Word 1 becomes 0; false when it was not the stamp, and then it is put back, whosever it is: here
 * and not where that is reported, since the way there may be a page fault, and a signal that comes
 * meanwhile has its handler look at a changed block. */
HAK_INLINE bool hak_block_take_stamp(void *block) {
    uintptr_t *word = (uintptr_t *)block + 1;
    if (HAK_UNLIKELY(!hak_xor_gives_zero(word, hak_stamp))) {
        *word ^= hak_stamp;
        return false;
    }
    return true;
}

#endif
