/* size_class.h: from sizes to classes and back; pure functions over constant tables.
 *
 * Owns:      the strides, the slots a slab of each class takes, the divisors' inverses.
 * Knows not: memory.
 * Threads:   constant.
 *
 * Invariants, for each class c > 0:
 *   stride[c] % 16 == 0,  stride[c - 1] < stride[c],  stride[HAK_CLASSES - 1] == HAK_MID_MAX
 *   hak_class_of(n) is the lowest c with stride[c] >= n, of those that are not for alignment only
 *   between two classes for alignment only is one that is not
 */
#ifndef HAK_SIZE_CLASS_H
#define HAK_SIZE_CLASS_H

#include "config.h"

typedef struct {
    uint32_t stride;   /* bytes from one block to the next */
    uint16_t capacity; /* blocks in a slab */
    uint8_t slots;     /* slots in a slab: 1, 2 or 4 */
    uint8_t carve;     /* blocks carved at a time: at most a page of them, at least one */
    /* ceil(2^32 / stride); where the slab is more than one slot, of stride / 16. An offset n < 2^16
     * in a slab of one slot (stride <= 2^13) is a multiple of stride exactly when the low 32 bits
     * of n * inverse are below inverse; so is a multiple n of 16 in a wider slab (n / 16 < 2^14,
     * stride / 16 <= 2^11) when those of n / 16 * inverse are. */
    uint32_t inverse;
    uint64_t wide_inverse; /* ceil(2^64 / stride): the same for every offset in any slab */
} hak_class_info_t;

extern HAK_HIDDEN const hak_class_info_t hak_class_info[HAK_CLASSES];
/* Class by (size + 15) / 16, sizes to HAK_MID_MAX. */
extern HAK_HIDDEN const uint8_t hak_class_table[HAK_MID_MAX / 16 + 1];

/* size <= HAK_MID_MAX; 0 counts as 1. */
HAK_INLINE unsigned hak_class_of(size_t size) {
    return hak_class_table[(size + 15) >> 4];
}

HAK_INLINE size_t hak_class_stride(unsigned cls) {
    return hak_class_info[cls].stride;
}

/* The index of the block that covers the byte at offset in a slab of the class. */
HAK_INLINE unsigned hak_class_index(unsigned cls, size_t offset) {
    return (unsigned)((uint32_t)offset / hak_class_info[cls].stride);
}

/* The smallest size that blocks of the class are for; where it is for alignment only, that of the
 * next one. */
size_t hak_class_least(unsigned cls);

/* The lowest class whose blocks hold size bytes and are all multiples of align (a power of two),
 * or HAK_CLASSES when there is none. */
unsigned hak_class_of_aligned(size_t size, size_t align);

#endif
