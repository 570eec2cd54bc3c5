/* sheet.h: what is known of the blocks of a SuperSlab in the hardened mode, and where it stands.
 *
 * Owns:      the layout of a sheet, the values of headers, the search for damage in and around a
 *            block.
 * Knows not: what is done with blocks (armor.h, whose invariants these are).
 * Threads:   a slab's part of a sheet is guarded by the lock of its shelf (armor.c), but for
 *            short_rows (armor_slab.c) and for BUSY blocks. A block is BUSY while one thread has it
 *            in hand, on its way to or from LIVE: its bytes, size, origin and header are that
 *            thread's alone, without a lock. One that is put away stays BUSY, filled, and is
 * guarded by the lock of the shelf where it was put.
 *
 *   FREE, NEVER -> BUSY   under the lock          BUSY -> LIVE   release: all of it is written
 *   LIVE -> BUSY          acquire, by one who     BUSY -> FREE   under the lock
 *                         frees it
 *
 * So under the lock FREE and NEVER last; LIVE may become BUSY, and comes back to LIVE only by way
 * of FREE, or as it was, where a free was a fault. Who looks at a LIVE block that is not his
 * reads its state once more afterwards: if it still is LIVE, it was all the time.
 */
#ifndef HAK_SHEET_H
#define HAK_SHEET_H

#include "canary.h"
#include "origin.h"
#include "superslab.h"

#define HAK_SHEET_BLOCKS (HAK_SLOT_BYTES / HAK_ALIGNMENT)
#define HAK_HEADER_NOT_LIVE ((unsigned char)0x9C)

enum { HAK_NEVER, HAK_LIVE, HAK_FREE, HAK_BUSY };

typedef struct {
    uint16_t size; /* of a LIVE block */
    _Atomic uint8_t state;
    uint8_t origin; /* of a LIVE block */
} hak_note_t;

_Static_assert(sizeof(hak_note_t) == 4, "a sheet is a quarter of its SuperSlab");

typedef struct {
    hak_note_t notes[HAK_SLOTS][HAK_SHEET_BLOCKS]; /* whole pages for each slot */
    hak_note_t behind; /* NEVER, as number 0 of each slab is: what follows the last block of all */
    uint64_t free[HAK_SLOTS][HAK_SHEET_BLOCKS / 64];
    uint16_t free_bits[HAK_SLOTS]; /* how many are set */
    /* Slots whose row may have a page that is resident for nothing (armor_slab.c). */
    uint32_t short_rows;
    bool charged[HAK_SLOTS];          /* of the slab that starts there: it is a spare one */
    _Atomic uint8_t arena[HAK_SLOTS]; /* atomic, relaxed: likewise */
} hak_sheet_t;

typedef enum {
    HAK_ARMOR_SOUND,
    HAK_ARMOR_NO_BLOCK,  /* never handed out */
    HAK_ARMOR_INSIDE,    /* not the start of the block */
    HAK_ARMOR_FREED,     /* the block is free already */
    HAK_ARMOR_OVERFLOW,  /* bytes behind the block were written to */
    HAK_ARMOR_UNDERFLOW, /* bytes in front of it were */
    HAK_ARMOR_WRITTEN,   /* bytes of it were, after it was freed */
} hak_armor_fault_t;

/* What was found out about a pointer. */
typedef struct {
    hak_armor_fault_t fault;
    unsigned cls;
    /* Of the block that the fault is about, which may be a neighbour. */
    const void *block;
    size_t size;    /* as it was asked for; its stride less one for a block that is not live */
    const void *at; /* where the first wrong byte is; NULL when nothing was written */
    /* Of the block that starts at the pointer, unless the fault is one of the pointer. */
    hak_origin_t own_origin;
    size_t own_size;
} hak_armor_finding_t;

/* A block, and all that is known of where it stands. */
typedef struct {
    hak_slab_t *slab;
    hak_sheet_t *sheet;
    hak_note_t *note;
    unsigned char *start;
    size_t stride;
    unsigned cls, slot, index; /* slot: with which the slab starts */
} hak_place_t;

/* Acquire pairs with the release that makes a block LIVE. */
HAK_INLINE unsigned hak_note_state(const hak_note_t *note) {
    return hak_load_acquire(&note->state);
}

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
        .slot = slab->index,
        .index = index,
    };
}

/* The slot with which the slab starts that p is in; a slab is aligned to its size. */
HAK_INLINE size_t hak_sheet_slot(const void *p, unsigned cls) {
    return ((uintptr_t)p >> HAK_SLOT_SHIFT) % HAK_SLOTS & ~((size_t)hak_class_info[cls].slots - 1);
}

/* The block that covers p, an address in the SuperSlab and a slab of the class. */
HAK_INLINE hak_place_t hak_place_in(hak_superslab_t *ss, const void *p, unsigned cls) {
    __extension__ typedef unsigned __int128 wide_t;
    const hak_class_info_t *info = &hak_class_info[cls];
    hak_sheet_t *sheet = ss->sheet;
    size_t slot = hak_sheet_slot(p, cls);
    size_t offset = (uintptr_t)p & (info->slots * HAK_SLOT_BYTES - 1);
    size_t index = (size_t)(((wide_t)offset * info->wide_inverse) >> 64);
    return (hak_place_t){
        .slab = &ss->slabs[slot],
        .sheet = sheet,
        .note = &sheet->notes[slot][index],
        .start = (unsigned char *)((uintptr_t)p - offset + index * info->stride),
        .stride = info->stride,
        .cls = cls,
        .slot = (unsigned)slot,
        .index = (unsigned)index,
    };
}

HAK_INLINE hak_place_t hak_place_at(const void *p, unsigned cls) {
    return hak_place_in(hak_map_record(p), p, cls);
}

/* The header in front of the block at start. Relaxed: a neighbour's may change meanwhile. */
HAK_INLINE unsigned char hak_header_at(const unsigned char *start) {
    return hak_load_relaxed((const _Atomic unsigned char *)start - 1);
}

HAK_INLINE void hak_header_set(unsigned char *start, unsigned char header) {
    hak_store_relaxed((_Atomic unsigned char *)start - 1, header);
}

/* Of a block that was handed out before: its own header is the one that is given, that of the right
 * neighbour is one that may stand there. Which of the two, only he knows who has that one. */
HAK_INLINE bool hak_place_has_headers(hak_place_t place, unsigned char own) {
    unsigned char next = hak_header_at(place.start + place.stride);
    return hak_header_at(place.start) == own &&
           (next == hak_tag_of_class(place.cls) || next == HAK_HEADER_NOT_LIVE);
}

HAK_INLINE bool hak_header_replace(unsigned char *start, unsigned char found,
                                   unsigned char header) {
    return hak_cas_relaxed((_Atomic unsigned char *)start - 1, &found, header);
}

/* Looks at a block, which is in the state, and at the headers on both its sides. False: the finding
 * says what is wrong. */
bool hak_sheet_is_sound_as(hak_slab_t *slab, unsigned index, unsigned state,
                           hak_armor_finding_t *finding);
/* The same in whatever state it is; true if that is in somebody's hand just now. */
bool hak_sheet_is_sound(hak_slab_t *slab, unsigned index, hak_armor_finding_t *finding);
/* A fault of the pointer at. The finding names the block as its note has it. (Not by its place:
 * that would have to stand in memory on the way of those that are sound.) */
void hak_sheet_find(hak_slab_t *slab, unsigned index, hak_armor_fault_t fault,
                    hak_armor_finding_t *finding);

#endif
