/* sheet.c: see sheet.h.
 *
 * Threads:   see sheet.h.
 */
#include "sheet.h"

static void find(const hak_place_t *place, hak_armor_fault_t fault, const void *at,
                 hak_armor_finding_t *finding) {
    *finding = (hak_armor_finding_t){
        .fault = fault,
        .cls = place->cls,
        .block = place->start,
        .size = place->note->state == HAK_LIVE ? place->note->size : place->stride - 1,
        .at = at,
    };
}

HAK_COLD void hak_sheet_find(hak_slab_t *slab, unsigned index, hak_armor_fault_t fault,
                             const void *at, hak_armor_finding_t *finding) {
    hak_place_t place = hak_place_of(slab, index);
    find(&place, fault, at, finding);
}

/* The first wrong byte of the block itself, but the last. */
static const void *own_damage(const hak_place_t *place) {
    if (place->note->state == HAK_NEVER) {
        return hak_zero_damage(place->start, place->stride - 1);
    }
    size_t size = place->note->state == HAK_LIVE ? place->note->size : 0;
    return hak_canary_damage(place->start + size, place->stride - 1 - size);
}

/* The header behind this block is wrong, whichever side it was seen from. The block was written
 * past if it ends there, if its canary is damaged too, or if nobody ever had the next; else that
 * was written before. */
static HAK_COLD void find_between(hak_slab_t *slab, unsigned index, hak_armor_finding_t *finding) {
    hak_place_t left = hak_place_of(slab, index), right = hak_place_of(slab, index + 1);
    bool left_live = left.note->state == HAK_LIVE;
    const void *first = left_live ? own_damage(&left) : NULL;
    if (first != NULL || (left_live && left.note->size == left.stride - 1) ||
        (right.note->state == HAK_NEVER && index != 0)) {
        find(&left, left_live ? HAK_ARMOR_OVERFLOW : HAK_ARMOR_WRITTEN,
             first != NULL ? first : right.start - 1, finding);
    } else {
        bool live = right.note->state == HAK_LIVE;
        find(&right, live ? HAK_ARMOR_UNDERFLOW : HAK_ARMOR_WRITTEN, right.start - 1, finding);
    }
}

bool hak_sheet_is_sound(hak_slab_t *slab, unsigned index, hak_armor_finding_t *finding) {
    hak_place_t place = hak_place_of(slab, index);
    const void *damage = own_damage(&place);
    if (HAK_UNLIKELY(damage != NULL)) {
        bool live = place.note->state == HAK_LIVE;
        find(&place, live ? HAK_ARMOR_OVERFLOW : HAK_ARMOR_WRITTEN, damage, finding);
        return false;
    }
    if (HAK_UNLIKELY(place.start[-1] != hak_header_of(place.note, place.cls))) {
        find_between(slab, index - 1, finding);
        return false;
    }
    if (HAK_UNLIKELY(place.start[place.stride - 1] != hak_header_of(place.note + 1, place.cls))) {
        find_between(slab, index, finding);
        return false;
    }
    return true;
}
