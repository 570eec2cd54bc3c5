/* sheet.h: what is known of the blocks of a SuperSlab in the hardened mode, and where it stands.
 *
 * Owns:      the layout of a sheet, the values of headers.
 * Knows not: what is done with blocks (armor.h, whose invariants these are).
 * Threads:   a slab's part of a sheet is guarded by the lock of its arena.
 */
#ifndef HAK_SHEET_H
#define HAK_SHEET_H

#include "superslab.h"

#define HAK_SHEET_BLOCKS (HAK_SLOT_BYTES / HAK_ALIGNMENT)
#define HAK_HEADER_NOT_LIVE ((unsigned char)0x9C)

enum { HAK_NEVER, HAK_LIVE, HAK_FREE, HAK_HELD };

typedef struct {
    uint16_t size; /* of a LIVE block */
    uint8_t state;
    uint8_t origin;
} hak_note_t;

_Static_assert(sizeof(hak_note_t) == 4, "a sheet is a quarter of its SuperSlab");

typedef struct {
    hak_note_t notes[HAK_SLOTS][HAK_SHEET_BLOCKS]; /* whole pages for each slot */
    hak_note_t behind; /* NEVER, as number 0 of each slab is: what follows the last block of all */
    uint64_t free[HAK_SLOTS][HAK_SHEET_BLOCKS / 64];
    uint16_t free_bits[HAK_SLOTS];    /* how many are set */
    _Atomic uint8_t arena[HAK_SLOTS]; /* atomic, relaxed: of the slab that starts there */
} hak_sheet_t;

/* A block, and all that is known of where it stands. */
typedef struct {
    hak_slab_t *slab;
    hak_sheet_t *sheet;
    hak_note_t *note;
    unsigned char *start;
    size_t stride;
    unsigned cls, index;
} hak_place_t;

HAK_INLINE hak_place_t hak_place_of(hak_slab_t *slab, unsigned index) {
    hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
    size_t stride = hak_class_stride(slab->cls);
    return (hak_place_t){
        .slab = slab,
        .sheet = sheet,
        .note = &sheet->notes[slab->index][index],
        .start = (unsigned char *)hak_slab_base(slab) + index * stride,
        .stride = stride,
        .cls = slab->cls,
        .index = index,
    };
}

/* The block that covers p. */
HAK_INLINE hak_place_t hak_place_at(const void *p, unsigned cls) {
    hak_slab_t *slab = hak_slab_of(p, cls);
    size_t offset = (size_t)((uintptr_t)p - (uintptr_t)hak_slab_base(slab));
    __extension__ typedef unsigned __int128 wide_t;
    unsigned index = (unsigned)(((wide_t)offset * hak_class_info[cls].wide_inverse) >> 64);
    return hak_place_of(slab, index);
}

/* What stands in front of the block that the note is about; it is not number 0. Behind the last block of a
 * slab comes the note of number 0 of the next slot, or sheet.behind. */
HAK_INLINE unsigned char hak_header_of(const hak_note_t *note, unsigned cls) {
    if (note->state == HAK_LIVE) {
        return hak_tag_of_class(cls);
    }
    return note->state == HAK_NEVER && note[-1].state == HAK_NEVER ? 0 : HAK_HEADER_NOT_LIVE;
}

#endif
