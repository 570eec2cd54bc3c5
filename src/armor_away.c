/* armor_away.c: see armor_away.h.
 *
 * Threads:   static functions that get a shelf expect its lock to be held, unless what is said of
 * them tells otherwise.
 */
#include "armor_away.h"

/* How many, once the shelf was found locked this often: each time is worth many when it was not. */
#define AWAY_TURNS 64U
#define AWAY_CROWD 16U
#define AWAY_CROWD_MOST (3 * AWAY_CROWD)

/* Of the shelves of an arena, all together, since they are looked at whenever a block of another
 * arena is freed. Atomic, relaxed: stale ones do no harm. */
static struct {
    _Alignas(HAK_CACHE_LINE) _Atomic uint8_t turns[HAK_CLASSES];
    _Atomic uint8_t crowd[HAK_CLASSES];
} away[HAK_ARENAS];

/* Of a block that was put away, the slab is looked at whatever was found before. */
static void come_home_late(hak_armor_shelf_t *shelf, hak_place_t place, bool go_on,
                           hak_armor_finding_t *finding) {
    hak_armor_finding_t found = *finding;
    found.fault = HAK_ARMOR_SOUND;
    hak_armor_come_home(shelf, place, go_on, &found);
    if (finding->fault == HAK_ARMOR_SOUND) {
        *finding = found;
    }
}

/* A block's own shelf is the second one that is locked: it must not be waited for. */
void hak_away_take_home(hak_armor_shelf_t *own, unsigned cls, bool go_on,
                        hak_armor_finding_t *finding) {
    for (unsigned left = own->away_count; left != 0;) { /* those below are not looked at yet */
        unsigned arena = hak_arena_at(own->away[left - 1], cls);
        hak_armor_shelf_t *shelf = &hak_armor_shelves[arena][cls];
        if (!hak_lock_try(&shelf->lock)) {
            left--;
            continue;
        }
        for (unsigned i = left; i-- > 0;) {
            void *block = own->away[i];
            if (hak_arena_at(block, cls) == arena) {
                own->away[i] = own->away[--left];
                own->away[left] = own->away[--own->away_count];
                come_home_late(shelf, hak_place_at(block, cls), go_on, finding);
            }
        }
        hak_unlock(&shelf->lock);
    }
}

/* No lock is held. False: there is no room. Each of those that are away may keep a slab; so when no
 * more are to be put there, every free of the class tries to take them home until they are. */
static bool put_away(void *block, unsigned cls, unsigned arena, bool go_on,
                     hak_armor_finding_t *finding) {
    hak_armor_shelf_t *own = &hak_armor_shelves[arena][cls];
    _Atomic uint8_t *turns = &away[arena].turns[cls];
    hak_lock(&own->lock);
    unsigned left = hak_load_relaxed(turns);
    left -= left != 0;
    if (own->away_count == HAK_AWAY_MOST || left == 0) {
        hak_away_take_home(own, cls, go_on, finding);
    }
    bool room = own->away_count < HAK_AWAY_MOST && left != 0;
    if (room) {
        own->away[own->away_count++] = block;
    }
    hak_store_relaxed(turns, (uint8_t)(left != 0 || own->away_count == 0 ? left : 1));
    hak_unlock(&own->lock);
    return room;
}

/* The shelf of another arena than the caller's own. True: it is locked. */
static bool lock_if_free(hak_armor_shelf_t *shelf, unsigned cls, unsigned own) {
    _Atomic uint8_t *crowd = &away[own].crowd[cls];
    unsigned before = hak_load_relaxed(crowd);
    if (HAK_LIKELY(hak_lock_try(&shelf->lock))) {
        if (HAK_UNLIKELY(before != 0)) {
            hak_store_relaxed(crowd, (uint8_t)(before - 1));
        }
        return true;
    }
    if (before + AWAY_CROWD < AWAY_CROWD_MOST) {
        hak_store_relaxed(crowd, (uint8_t)(before + AWAY_CROWD));
    } else {
        hak_store_relaxed(&away[own].turns[cls], AWAY_TURNS);
    }
    return false;
}

HAK_NOINLINE bool hak_away_lock_or_put(hak_armor_shelf_t *shelf, void *block, unsigned cls,
                                       unsigned own, bool go_on, hak_armor_finding_t *finding) {
    const _Atomic uint8_t *turns = &away[own].turns[cls];
    if (hak_load_relaxed(turns) == 0 && HAK_LIKELY(lock_if_free(shelf, cls, own))) {
        return true;
    }
    if (hak_load_relaxed(turns) != 0 && put_away(block, cls, own, go_on, finding)) {
        return false;
    }
    hak_lock(&shelf->lock);
    return true;
}
