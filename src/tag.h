/* tag.h: the byte that says what a 64 KiB slot of the address window holds.
 *
 * Owns:      the values. The bytes themselves stand in the address map (address_map.h).
 * Knows not: slots, slabs.
 * Threads:   constant.
 *
 * A slot at work carries 0xA0 + class. No valid tag is 0x00, 0xFF or an ASCII byte, so a zeroed,
 * filled or overrun table cannot pass for a valid one.
 */
#ifndef HAK_TAG_H
#define HAK_TAG_H

#include "config.h"

enum {
    HAK_TAG_NONE = 0x00,     /* never ours */
    HAK_TAG_RETURNED = 0x80, /* was ours; its memory went back to the system */
    HAK_TAG_UNUSED = 0x81,   /* a slot of a SuperSlab that was never carved */
    HAK_TAG_EMPTY = 0x82,    /* a released slot, memory still there */
    HAK_TAG_LARGE = 0x90,    /* page runs of the large tier */
    HAK_TAG_CLASS = 0xA0,    /* + class: a slab at work */
    HAK_TAGS = 0x100,        /* what a byte can say, valid or not */
};

_Static_assert(HAK_TAG_CLASS + HAK_CLASSES < 0xFF, "tags of classes fit a byte below 0xFF");

HAK_INLINE uint8_t hak_tag_of_class(unsigned cls) {
    return (uint8_t)(HAK_TAG_CLASS + cls);
}

HAK_INLINE bool hak_tag_is_class(uint8_t tag) {
    return tag >= HAK_TAG_CLASS && tag < HAK_TAG_CLASS + HAK_CLASSES;
}

HAK_INLINE unsigned hak_tag_class(uint8_t tag) {
    return (unsigned)tag - HAK_TAG_CLASS;
}

#endif
