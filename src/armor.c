/* armor.c: see armor.h.
 *
 * Threads:   static functions that get a shelf expect its lock to be held, unless what is said of
 * them tells otherwise. What takes time, looking at the bytes of a block and writing them, is done
 * without it, while the block is BUSY (sheet.h).
 */
#include "armor.h"

#include <string.h>

#include "armor_away.h"
#include "armor_slab.h"
#include "os.h"

/* Wider blocks are called into the cache that far. */
#define PREFETCH_FROM 256U

bool hak_hardened;

static struct {
    bool go_on;    /* const after hak_armor_start(), like the next */
    uint64_t seed; /* the system's, had at the start: a program may take the call from itself */
} armor;

/* ---- Handing out ----------------------------------------------------------------------------- */

static hak_armor_shelf_t *shelf_of(hak_place_t place) {
    return &hak_armor_shelves[hak_load_relaxed(&place.sheet->arena[place.slot])][place.cls];
}

HAK_INLINE hak_armor_shelf_t *lock_own_shelf(unsigned cls) {
    hak_armor_shelf_t *shelf = &hak_armor_shelves[hak_arena_own()][cls];
    HAK_KEEP(shelf);
    if (HAK_UNLIKELY(!hak_lock_try(&shelf->lock))) {
        shelf = &hak_armor_shelves[hak_arena_choose()][cls];
        hak_lock(&shelf->lock);
    }
    return shelf;
}

/* The headers beside a block that is BUSY and was damaged, as the one in front of a block that is
 * not live and as the state of the right neighbour has it. He may be about to change his own: then
 * it is no wrong one any more. */
static HAK_COLD void put_right(hak_slab_t *slab, unsigned index) {
    hak_place_t place = hak_place_of(slab, index);
    unsigned char *behind = place.start + place.stride;
    unsigned char live = hak_tag_of_class(place.cls), found = hak_header_at(behind);
    unsigned next = hak_note_state(place.note + 1);
    hak_header_set(place.start, HAK_HEADER_NOT_LIVE);
    if (next != HAK_BUSY && found != live && found != HAK_HEADER_NOT_LIVE) {
        hak_header_replace(behind, found, next == HAK_LIVE ? live : HAK_HEADER_NOT_LIVE);
    }
}

/* A block that nobody ever had, so nothing but zeros may be there, is about to be BUSY. */
static HAK_NOINLINE void leave_never(hak_slab_t *slab, unsigned index,
                                     hak_armor_finding_t *finding) {
    hak_place_t place = hak_place_of(slab, index);
    bool sound = hak_sheet_is_sound_as(slab, index, HAK_NEVER, finding);
    if (HAK_UNLIKELY(!sound) && !armor.go_on) { /* whoever looks at the dead process sees it */
        return;
    }
    hak_header_set(place.start, HAK_HEADER_NOT_LIVE);
    if (hak_note_state(place.note + 1) == HAK_NEVER) {
        hak_header_set(place.start + place.stride, HAK_HEADER_NOT_LIVE);
    }
    if (HAK_UNLIKELY(!sound)) {
        put_right(place.slab, place.index);
    }
}

/* Which of those that are ready comes next is decided one block ahead, so that its memory may come
 * meanwhile: it has not been touched for long. */
HAK_INLINE void choose(hak_armor_shelf_t *shelf, size_t stride) {
    unsigned choice = hak_chance_below(&shelf->random, shelf->ready_count);
    const char *next = shelf->ready[choice];
    shelf->choice = (uint8_t)choice;
    __builtin_prefetch(next, 1);
    if (stride >= PREFETCH_FROM) {
        for (size_t at = HAK_CACHE_LINE; at < PREFETCH_FROM; at += HAK_CACHE_LINE) {
            __builtin_prefetch(next + at, 1);
        }
    }
}

/* One of those that are ready; from now on it is BUSY. *never: what it was before. */
HAK_INLINE hak_place_t draw(hak_armor_shelf_t *shelf, unsigned cls, bool *never,
                            hak_armor_finding_t *finding) {
    void **choice = &shelf->ready[shelf->choice < shelf->ready_count ? shelf->choice : 0];
    hak_place_t place = hak_place_at(*choice, cls);
    hak_slab_t *slab = place.slab;
    *choice = shelf->ready[--shelf->ready_count];
    choose(shelf, place.stride); /* or what lies behind the last one: any number will do */
    *never = hak_load_relaxed(&place.note->state) == HAK_NEVER;
    if (HAK_UNLIKELY(*never)) {
        leave_never(slab, place.index, finding);
    }
    hak_store_relaxed(&place.note->state, HAK_BUSY);
    if (HAK_UNLIKELY(slab->free_count-- == hak_load_relaxed(&slab->carved))) {
        hak_armor_end_spare(shelf, slab);
    }
    return place;
}

/* What is wrong with the bytes of a block, which is BUSY or the caller's, and is to be in the
 * state. Takes the lock: its neighbours are looked at. (The block is named by its slab here and
 * below: the parts of a place stay in registers, as long as nobody wants them all in memory.) */
static HAK_NOINLINE bool look_closer(hak_slab_t *slab, unsigned index, unsigned state,
                                     hak_armor_finding_t *finding) {
    hak_armor_shelf_t *shelf = shelf_of(hak_place_of(slab, index));
    hak_lock(&shelf->lock);
    bool sound = hak_sheet_is_sound_as(slab, index, state, finding);
    hak_unlock(&shelf->lock);
    return sound;
}

/* One that was not as it ought to be when it left FREE or NEVER. */
static HAK_NOINLINE bool clear_odd(hak_slab_t *slab, unsigned index, size_t size, bool never,
                                   hak_armor_finding_t *finding) {
    hak_place_t place = hak_place_of(slab, index);
    bool sound = !never && look_closer(slab, index, HAK_FREE, finding);
    if (!sound && !armor.go_on) {
        return false;
    }
    if (!sound && !never) {
        put_right(place.slab, place.index);
    }
    hak_canary_fill_body(place.start, place.stride - 1);
    return hak_canary_take_body(place.start, size, place.stride - 1);
}

/* The block is BUSY, and all zero from now on. False: what was wrong with it was found out. */
HAK_INLINE bool clear(hak_place_t place, size_t size, bool never, hak_armor_finding_t *finding) {
    if (HAK_UNLIKELY(never) && HAK_LIKELY(finding->fault == HAK_ARMOR_SOUND)) {
        hak_canary_write(place.start + size, place.stride - 1 - size);
        return true;
    }
    return HAK_LIKELY(!never && hak_place_has_headers(place, HAK_HEADER_NOT_LIVE) &&
                      hak_canary_take_body(place.start, size, place.stride - 1)) ||
           clear_odd(place.slab, place.index, size, never, finding);
}

void *hak_armor_alloc(unsigned cls, size_t size, hak_origin_t origin,
                      hak_armor_finding_t *finding) {
    bool never;
    finding->fault = HAK_ARMOR_SOUND;
    hak_armor_shelf_t *shelf = lock_own_shelf(cls);
    if (HAK_UNLIKELY(shelf->ready_count < HAK_CHOICE_LEAST)) {
        hak_armor_refill(shelf, cls, hak_arena_of_shelf(shelf), armor.seed);
        if (HAK_UNLIKELY(shelf->ready_count == 0)) {
            hak_unlock(&shelf->lock);
            return NULL;
        }
    }
    hak_place_t place = draw(shelf, cls, &never, finding);
    hak_unlock(&shelf->lock);
    if (HAK_UNLIKELY(!clear(place, size, never, finding))) {
        return NULL;
    }
    place.note->size = (uint16_t)size;
    place.note->origin = (uint8_t)origin;
    hak_header_set(place.start, hak_tag_of_class(cls));
    hak_store_release(&place.note->state, HAK_LIVE); /* pairs with hak_note_state(), seize() */
    return place.start;
}

/* ---- Coming back ------------------------------------------------------------------------------
 */

static HAK_COLD void find_gone(const void *p, unsigned cls, hak_armor_finding_t *finding) {
    *finding = (hak_armor_finding_t){
        .fault = HAK_ARMOR_FREED, .cls = cls, .block = p, .size = hak_class_stride(cls) - 1};
}

/* In memory that had a sheet when its tag was read. */
HAK_INLINE bool has_sheet(const hak_superslab_t *ss) {
    return HAK_LIKELY(ss != NULL) && HAK_LIKELY(ss->sheet != NULL);
}

/* p lies in a slab of the class still. Who has a block of it in hand may be sure of that: whoever
 * made another slab of it set the tag before a block of that was LIVE. */
HAK_INLINE bool is_still_of(const hak_superslab_t *ss, const void *p, unsigned cls) {
    return HAK_LIKELY(hak_map_tag(p) == hak_tag_of_class(cls) && hak_map_record(p) == ss);
}

/* p starts no live block. */
static HAK_COLD void find_fault(hak_slab_t *slab, unsigned index, const void *p, unsigned cls,
                                hak_armor_finding_t *finding) {
    if (!is_still_of(hak_slab_superslab(slab), p, cls)) {
        find_gone(p, cls, finding);
        return;
    }
    hak_place_t place = hak_place_of(slab, index);
    unsigned state = hak_note_state(place.note);
    hak_armor_fault_t fault = state == HAK_NEVER ? HAK_ARMOR_NO_BLOCK
                              : place.start != p ? HAK_ARMOR_INSIDE
                                                 : HAK_ARMOR_FREED;
    hak_sheet_find(slab, index, fault, finding);
}

/* LIVE becomes BUSY, for one of those who free it. Pairs with the release that made it LIVE; and
 * with is_still() in sheet.c: the fence keeps what is written to the block behind the state. (In a
 * process of one thread a second free could only come from a handler, between two instructions.) */
HAK_INLINE bool seize(hak_note_t *note) {
    uint8_t live = HAK_LIVE;
    if (__libc_single_threaded) {
        if (HAK_UNLIKELY(hak_load_relaxed(&note->state) != HAK_LIVE)) {
            return false;
        }
        hak_store_relaxed(&note->state, HAK_BUSY);
        return true;
    }
    bool seized = hak_cas_acquire(&note->state, &live, HAK_BUSY);
    hak_fence_release();
    return seized;
}

/* Whether the bytes around a block that is BUSY or the caller's are as they were left. */
HAK_INLINE void look_around(hak_place_t place, hak_armor_finding_t *finding) {
    finding->fault = HAK_ARMOR_SOUND;
    finding->cls = place.cls;
    if (HAK_UNLIKELY(!hak_place_has_headers(place, hak_tag_of_class(place.cls)) ||
                     !hak_canary_ends_body(place.start, place.note->size, place.stride - 1))) {
        (void)look_closer(place.slab, place.index, HAK_LIVE, finding);
    }
    finding->own_origin = (hak_origin_t)place.note->origin;
    finding->own_size = place.note->size;
}

void hak_armor_free(void *p, unsigned cls, hak_armor_finding_t *finding) {
    hak_superslab_t *ss = hak_map_record(p);
    if (HAK_UNLIKELY(!has_sheet(ss))) {
        find_gone(p, cls, finding);
        return;
    }
    hak_place_t place = hak_place_in(ss, p, cls);
    if (HAK_UNLIKELY(place.start != p || !seize(place.note))) {
        find_fault(place.slab, place.index, p, cls, finding);
        return;
    }
    if (HAK_UNLIKELY(!__libc_single_threaded && !is_still_of(ss, p, cls))) {
        hak_store_release(&place.note->state, HAK_LIVE); /* somebody else's block, as it was */
        find_gone(p, cls, finding);
        return;
    }
    look_around(place, finding);
    if (HAK_UNLIKELY(finding->fault != HAK_ARMOR_SOUND)) {
        if (!armor.go_on) {
            hak_store_release(&place.note->state, HAK_LIVE);
            return;
        }
        put_right(place.slab, place.index);
    }
    hak_canary_fill_body(place.start, place.stride - 1);
    hak_header_set(place.start, HAK_HEADER_NOT_LIVE);

    unsigned arena = hak_load_relaxed(&place.sheet->arena[place.slot]);
    hak_armor_shelf_t *shelf = &hak_armor_shelves[arena][cls];
    HAK_KEEP(shelf);
    unsigned own = hak_arena_own();
    if (HAK_UNLIKELY(arena != own) && place.stride <= HAK_AWAY_STRIDE_MAX) {
        if (!hak_away_lock_or_put(shelf, p, cls, own, armor.go_on, finding)) {
            return;
        }
    } else if (HAK_UNLIKELY(!hak_lock_try(&shelf->lock))) {
        (void)hak_arena_choose();
        hak_lock(&shelf->lock);
    }
    hak_armor_come_home(shelf, place, armor.go_on, finding);
    hak_unlock(&shelf->lock);
}

void hak_armor_look(const void *p, unsigned cls, hak_armor_finding_t *finding) {
    hak_superslab_t *ss = hak_map_record(p);
    if (!has_sheet(ss)) {
        find_gone(p, cls, finding);
        return;
    }
    hak_place_t place = hak_place_in(ss, p, cls);
    if (place.start != p || hak_note_state(place.note) != HAK_LIVE) {
        find_fault(place.slab, place.index, p, cls, finding);
    } else if (!is_still_of(ss, p, cls)) {
        find_gone(p, cls, finding);
    } else {
        look_around(place, finding);
    }
}

/* Under the lock, though the block is the caller's: who looks at all blocks must not find its size
 * and its canary at odds. */
bool hak_armor_resize(void *p, unsigned cls, size_t size) {
    hak_superslab_t *ss = hak_map_record(p);
    size_t stride = hak_class_stride(cls);
    if (size >= stride || !has_sheet(ss)) {
        return false;
    }
    hak_place_t place = hak_place_in(ss, p, cls);
    hak_armor_shelf_t *shelf = shelf_of(place);
    hak_lock(&shelf->lock);
    bool live = place.start == p && hak_note_state(place.note) == HAK_LIVE &&
                is_still_of(ss, p, cls); /* or another thread freed it */
    if (live) {
        if (size > place.note->size) {
            memset(place.start + place.note->size, 0, size - place.note->size);
        }
        hak_canary_write(place.start + size, stride - 1 - size);
        place.note->size = (uint16_t)size;
    }
    hak_unlock(&shelf->lock);
    return live;
}

/* ---- Start ------------------------------------------------------------------------------------
 */

void hak_armor_start(bool go_on) {
    hak_canary_init();
    hak_canary_widen();
    hak_armor_slab_start();
    armor.go_on = go_on;
    hak_os_random(&armor.seed, sizeof armor.seed);
    hak_arena_start();
    hak_hardened = true;
}
