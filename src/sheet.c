/* sheet.c: see sheet.h.
 *
 * Threads:   see sheet.h.
 */
#include "sheet.h"

/* A block as it was when its state was read. */
typedef struct {
    hak_place_t place;
    unsigned state;
} seen_t;

static seen_t see(hak_slab_t *slab, unsigned index) {
    hak_place_t place = hak_place_of(slab, index);
    return (seen_t){place, hak_note_state(place.note)};
}

static void find(const seen_t *seen, hak_armor_fault_t fault, const void *at,
                 hak_armor_finding_t *finding) {
    const hak_place_t *place = &seen->place;
    *finding = (hak_armor_finding_t){
        .fault = fault,
        .cls = place->cls,
        .block = place->start,
        .size = seen->state == HAK_LIVE ? place->note->size : place->stride - 1,
        .at = at,
    };
}

HAK_COLD void hak_sheet_find(hak_slab_t *slab, unsigned index, hak_armor_fault_t fault,
                             hak_armor_finding_t *finding) {
    seen_t seen = see(slab, index);
    find(&seen, fault, NULL, finding);
}

/* The first wrong byte of the block itself, but the last. */
static const void *own_damage(const seen_t *seen) {
    const hak_place_t *place = &seen->place;
    if (seen->state == HAK_NEVER) {
        return hak_zero_damage(place->start, place->stride - 1);
    }
    size_t size = seen->state == HAK_LIVE ? place->note->size : 0;
    return hak_canary_damage(place->start + size, place->stride - 1 - size);
}

/* What stands in front of the block. It is not number 0, and not BUSY. Behind the last block of a
 * slab comes the note of number 0 of the next slot, or sheet.behind. */
static unsigned char header_of(const seen_t *seen) {
    if (seen->state == HAK_LIVE) {
        return hak_tag_of_class(seen->place.cls);
    }
    bool none = seen->state == HAK_NEVER && hak_note_state(seen->place.note - 1) == HAK_NEVER;
    return none ? 0 : HAK_HEADER_NOT_LIVE;
}

/* The header behind this block is wrong, whichever side it was seen from. The block was written
 * past if it ends there, if its canary is damaged too, or if nobody ever had the next; else that
 * was written before. */
static HAK_COLD void find_between(const seen_t *left, const seen_t *right,
                                  hak_armor_finding_t *finding) {
    const void *header = right->place.start - 1;
    bool left_live = left->state == HAK_LIVE;
    const void *first = left_live ? own_damage(left) : NULL;
    if (first != NULL || (left_live && left->place.note->size == left->place.stride - 1) ||
        (right->state == HAK_NEVER && left->place.index != 0)) {
        find(left, left_live ? HAK_ARMOR_OVERFLOW : HAK_ARMOR_WRITTEN,
             first != NULL ? first : header, finding);
    } else {
        bool live = right->state == HAK_LIVE;
        find(right, live ? HAK_ARMOR_UNDERFLOW : HAK_ARMOR_WRITTEN, header, finding);
    }
}

/* No one has taken the block in hand since. Pairs with the fence in armor.c's seize(): who has seen
 * a byte that was written after it sees the state of before it. */
static bool is_still(const seen_t *seen) {
    hak_fence_acquire();
    return hak_load_relaxed(&seen->place.note->state) == seen->state;
}

bool hak_sheet_is_sound_as(hak_slab_t *slab, unsigned index, unsigned state,
                           hak_armor_finding_t *finding) {
    const seen_t own = {hak_place_of(slab, index), state};
    const seen_t next = see(slab, index + 1);
    const void *damage = own_damage(&own);
    if (HAK_UNLIKELY(damage != NULL)) {
        find(&own, state == HAK_LIVE ? HAK_ARMOR_OVERFLOW : HAK_ARMOR_WRITTEN, damage, finding);
        return false;
    }
    if (HAK_UNLIKELY(hak_header_at(own.place.start) != header_of(&own))) {
        const seen_t before = see(slab, index - 1);
        find_between(&before, &own, finding);
        return false;
    }
    if (HAK_UNLIKELY(next.state != HAK_BUSY &&
                     hak_header_at(next.place.start) != header_of(&next) && is_still(&next))) {
        find_between(&own, &next, finding);
        return false;
    }
    return true;
}

bool hak_sheet_is_sound(hak_slab_t *slab, unsigned index, hak_armor_finding_t *finding) {
    const seen_t own = see(slab, index);
    return own.state == HAK_BUSY || hak_sheet_is_sound_as(slab, index, own.state, finding) ||
           !is_still(&own);
}
