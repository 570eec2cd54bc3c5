/* armor_shelf.h: the free blocks of a class and an arena, in the hardened mode.
 *
 * Owns:      which of them wait, which come next and in what order; which slabs without a live
 *            block are kept.
 * Knows not: what stands in blocks (armor.c); other shelves, but for how many slabs all keep.
 * Threads:   every function expects the shelf's lock to be held.
 *
 *   freed -> held, in a random seat -> ready ----------------> live, a random one of them
 *                                   -> bits of its slab -> ready
 */
#ifndef HAK_ARMOR_SHELF_H
#define HAK_ARMOR_SHELF_H

#include "chance.h"
#include "lock.h"
#include "sheet.h"

/* Of so many free blocks at least one is drawn, as long as there are more. */
#define HAK_CHOICE_LEAST 8U
#define HAK_CHOICE_MOST 24U
/* Blocks of other arenas that are put away. */
#define HAK_AWAY_MOST 16U

typedef struct {
    _Alignas(HAK_CACHE_LINE) hak_lock_t lock;
    uint8_t ready_count;
    uint8_t away_count;
    uint8_t choice;           /* the next of those that are ready; the first, if it is too high */
    uint8_t spare_slots;      /* of slabs that are charged as spare ones */
    uint16_t held_most;       /* const while held is not NULL */
    uint64_t random;          /* 0 before the first slab */
    hak_slab_t *slabs;        /* with blocks that are not ready yet */
    void **held;              /* quarantine; NULL before the first free */
    const hak_slab_t *unpaid; /* the one spare slab that is not charged; NULL: there is none */
    void *ready[HAK_CHOICE_MOST]; /* to be handed out next */
    void *away[HAK_AWAY_MOST];    /* BUSY, of other arenas */
} hak_armor_shelf_t;

/* Makes blocks ready; a new slab only if there is nothing else to hand out. seed: of all chance. */
void hak_armor_refill(hak_armor_shelf_t *shelf, unsigned cls, unsigned arena, uint64_t seed);
/* A FREE block waits, in the place of one that has waited. */
void hak_armor_hold(hak_armor_shelf_t *shelf, void *block, unsigned cls);
/* The slab, which had no live block, gets one. */
void hak_armor_end_spare(hak_armor_shelf_t *shelf, const hak_slab_t *slab);
/* None of the slab's blocks is live: if it is not kept, those in quarantine need not wait, since
 * now all of it becomes untouchable. They are looked at before, unless the finding tells of
 * something already; one that was written to goes into the finding, and the slab stays unless the
 * program is to go on. */
void hak_armor_keep_or_release_one(hak_armor_shelf_t *shelf, hak_slab_t *slab, bool go_on,
                                   hak_armor_finding_t *finding);
/* Empties the quarantine; slabs without a live block go to the pool. */
void hak_armor_trim_shelf(hak_armor_shelf_t *shelf, unsigned cls);
bool hak_armor_has_room(const hak_slab_t *slab);

/* The same, quick where a shelf has no other slab. */
HAK_INLINE void hak_armor_keep_or_release(hak_armor_shelf_t *shelf, hak_slab_t *slab, bool go_on,
                                          hak_armor_finding_t *finding) {
    if (shelf->slabs == slab && slab->next == NULL && shelf->unpaid == NULL) {
        shelf->unpaid = slab;
    } else {
        hak_armor_keep_or_release_one(shelf, slab, go_on, finding);
    }
}

/* A block that was BUSY, filled and without a header of a live one. */
HAK_INLINE void hak_armor_come_home(hak_armor_shelf_t *shelf, hak_place_t place, bool go_on,
                                    hak_armor_finding_t *finding) {
    hak_slab_t *slab = place.slab;
    hak_store_relaxed(&place.note->state, HAK_FREE);
    slab->free_count++;
    hak_armor_hold(shelf, place.start, place.cls);
    if (HAK_UNLIKELY(slab->free_count == hak_load_relaxed(&slab->carved))) {
        hak_armor_keep_or_release(shelf, slab, go_on, finding);
    }
}

#endif
