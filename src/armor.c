/* armor.c: see armor.h.
 *
 * Threads:   static functions that get a shelf expect its lock to be held, unless what is said of
 * them tells otherwise. What takes time, looking at the bytes of a block and writing them, is done
 * without it, while the block is BUSY (sheet.h).
 *
 * Who frees small blocks of another arena and found its shelf locked some times puts the next ones
 * away, in the shelf of his own arena, and takes them home together: so two threads that hand over
 * blocks seldom meet. They stay BUSY so long.
 */
#include "armor.h"

#include <string.h>

#include "armor_shelf.h"
#include "armor_slab.h"
#include "os.h"
#include "pool.h"
#include "stats.h"

/* Processors share one where there are more than these that run the program. */
#define ARENAS 16U
#define PROCESSORS 1024U
/* Wider blocks are called into the cache that far. */
#define PREFETCH_FROM 256U

/* Blocks of other arenas that are put away are no wider: each may keep a slab. */
#define AWAY_STRIDE_MAX 1024U
/* How many, once the shelf was found locked this often: each time is worth many when it was not. */
#define AWAY_TURNS 64U
#define AWAY_CROWD 16U
#define AWAY_CROWD_MOST (3 * AWAY_CROWD)

bool hak_hardened;

/* The number of the arena that this thread uses, plus one; 0: none yet. */
static _Thread_local uint8_t arena_of_thread __attribute__((tls_model("initial-exec")));

/* Of the shelves of an arena, all together, since they are looked at whenever a block of another
 * arena is freed. Atomic, relaxed: stale ones do no harm. */
typedef struct {
    _Alignas(HAK_CACHE_LINE) _Atomic uint8_t turns[HAK_CLASSES];
    _Atomic uint8_t crowd[HAK_CLASSES];
} away_t;

static struct {
    bool go_on;        /* const after hak_armor_start(), like the next */
    uint64_t seed;     /* the system's, had at the start: a program may take the call from itself */
    hak_lock_t births; /* before all shelves' */
    /* Set once, under armor.births: before that no shelf of it is locked or used. */
    _Atomic bool born[ARENAS];
    /* Numbers plus one, 0: none yet. Set once, under armor.births. */
    _Atomic uint8_t arena_of_cpu[PROCESSORS];
    unsigned next_arena; /* guarded by births */
    hak_armor_shelf_t shelves[ARENAS][HAK_CLASSES];
    away_t away[ARENAS];
} armor;

/* ---- Handing out ----------------------------------------------------------------------------- */

/* Of a block's slab: the arena stays the same while a block of it is live. No lock need be held. */
static unsigned arena_at(const void *block, unsigned cls) {
    const hak_superslab_t *ss = hak_map_record(block);
    const hak_sheet_t *sheet = ss->sheet;
    return hak_load_relaxed(&sheet->arena[hak_sheet_slot(block, cls)]);
}

static hak_armor_shelf_t *shelf_of(hak_place_t place) {
    return &armor.shelves[hak_load_relaxed(&place.sheet->arena[place.slot])][place.cls];
}

/* Processors get them in the order in which they first run a thread that asks. */
static HAK_COLD void bear(_Atomic uint8_t *arena_of_cpu) {
    hak_lock(&armor.births);
    if (hak_load_relaxed(arena_of_cpu) == 0) {
        unsigned arena = armor.next_arena++ % ARENAS;
        /* Seen early it does no harm: whoever has all locks has births. */
        hak_store_relaxed(&armor.born[arena], true);
        hak_store_relaxed(arena_of_cpu, (uint8_t)(arena + 1));
    }
    hak_unlock(&armor.births);
}

/* That of the processor it runs on: so threads of which only one runs at a time, or that follow
 * each other, have one together, and there are no more than processors. Chosen anew by who meets
 * another thread there, since then one of them has come to another processor. */
static HAK_NOINLINE unsigned choose_arena(void) {
    if (arena_of_thread == 0) {
        arena_of_thread = 1; /* born; should what is asked allocate */
    }
    _Atomic uint8_t *arena_of_cpu = &armor.arena_of_cpu[hak_os.cpu() % PROCESSORS];
    if (HAK_UNLIKELY(hak_load_relaxed(arena_of_cpu) == 0)) {
        bear(arena_of_cpu);
    }
    arena_of_thread = hak_load_relaxed(arena_of_cpu);
    return arena_of_thread - 1U;
}

HAK_INLINE unsigned own_arena(void) {
    unsigned arena = arena_of_thread;
    return HAK_LIKELY(arena != 0) ? arena - 1 : choose_arena();
}

static unsigned arena_of(const hak_armor_shelf_t *shelf) {
    return (unsigned)((shelf - armor.shelves[0]) / HAK_CLASSES);
}

HAK_INLINE hak_armor_shelf_t *lock_own_shelf(unsigned cls) {
    hak_armor_shelf_t *shelf = &armor.shelves[own_arena()][cls];
    HAK_KEEP(shelf);
    if (HAK_UNLIKELY(!hak_lock_try(&shelf->lock))) {
        shelf = &armor.shelves[choose_arena()][cls];
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
        hak_armor_refill(shelf, cls, arena_of(shelf), armor.seed);
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

/* A block that was BUSY, filled and without a header of a live one. */
HAK_INLINE void come_home(hak_armor_shelf_t *shelf, hak_place_t place, bool go_on,
                          hak_armor_finding_t *finding) {
    hak_slab_t *slab = place.slab;
    hak_store_relaxed(&place.note->state, HAK_FREE);
    slab->free_count++;
    hak_armor_hold(shelf, place.start, place.cls);
    if (HAK_UNLIKELY(slab->free_count == hak_load_relaxed(&slab->carved))) {
        hak_armor_keep_or_release(shelf, slab, go_on, finding);
    }
}

/* The same of one that was put away: its slab is looked at whatever was found before. */
static void come_home_late(hak_armor_shelf_t *shelf, hak_place_t place, bool go_on,
                           hak_armor_finding_t *finding) {
    hak_armor_finding_t found = *finding;
    found.fault = HAK_ARMOR_SOUND;
    come_home(shelf, place, go_on, &found);
    if (finding->fault == HAK_ARMOR_SOUND) {
        *finding = found;
    }
}

/* Takes home what was put away there, as far as it need not wait for a shelf: it is the second one
 * that is locked, so it must not. */
static void take_home(hak_armor_shelf_t *own, unsigned cls, bool go_on,
                      hak_armor_finding_t *finding) {
    for (unsigned left = own->away_count; left != 0;) { /* those below are not looked at yet */
        unsigned arena = arena_at(own->away[left - 1], cls);
        hak_armor_shelf_t *shelf = &armor.shelves[arena][cls];
        if (!hak_lock_try(&shelf->lock)) {
            left--;
            continue;
        }
        for (unsigned i = left; i-- > 0;) {
            void *block = own->away[i];
            if (arena_at(block, cls) == arena) {
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
static bool put_away(void *block, unsigned cls, unsigned arena, hak_armor_finding_t *finding) {
    hak_armor_shelf_t *own = &armor.shelves[arena][cls];
    _Atomic uint8_t *turns = &armor.away[arena].turns[cls];
    hak_lock(&own->lock);
    unsigned left = hak_load_relaxed(turns);
    left -= left != 0;
    if (own->away_count == HAK_AWAY_MOST || left == 0) {
        take_home(own, cls, armor.go_on, finding);
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
    _Atomic uint8_t *crowd = &armor.away[own].crowd[cls];
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
        hak_store_relaxed(&armor.away[own].turns[cls], AWAY_TURNS);
    }
    return false;
}

/* A block of the shelf of another arena than the caller's own. True: the shelf is locked. */
static HAK_NOINLINE bool lock_or_put_away(hak_armor_shelf_t *shelf, void *block, unsigned cls,
                                          unsigned own, hak_armor_finding_t *finding) {
    const _Atomic uint8_t *turns = &armor.away[own].turns[cls];
    if (hak_load_relaxed(turns) == 0 && HAK_LIKELY(lock_if_free(shelf, cls, own))) {
        return true;
    }
    if (hak_load_relaxed(turns) != 0 && put_away(block, cls, own, finding)) {
        return false;
    }
    hak_lock(&shelf->lock);
    return true;
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
    hak_armor_shelf_t *shelf = &armor.shelves[arena][cls];
    HAK_KEEP(shelf);
    unsigned own = own_arena();
    if (HAK_UNLIKELY(arena != own) && place.stride <= AWAY_STRIDE_MAX) {
        if (!lock_or_put_away(shelf, p, cls, own, finding)) {
            return;
        }
    } else if (HAK_UNLIKELY(!hak_lock_try(&shelf->lock))) {
        (void)choose_arena();
        hak_lock(&shelf->lock);
    }
    come_home(shelf, place, armor.go_on, finding);
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

/* ---- All of it ------------------------------------------------------------------------------- */

static void each_shelf(void (*visit)(hak_armor_shelf_t *shelf, unsigned cls, void *context),
                       void *context) {
    for (unsigned arena = 0; arena < ARENAS; arena++) {
        for (unsigned cls = 0; cls < HAK_CLASSES && hak_load_relaxed(&armor.born[arena]); cls++) {
            visit(&armor.shelves[arena][cls], cls, context);
        }
    }
}

/* Takes the lock. Nothing can be told here: a slab in which something was written stays, for the
 * next who looks. */
static void fetch(hak_armor_shelf_t *shelf, unsigned cls, void *unused) {
    hak_armor_finding_t untold = {.fault = HAK_ARMOR_SOUND};
    (void)unused;
    hak_lock(&shelf->lock);
    take_home(shelf, cls, false, &untold);
    hak_unlock(&shelf->lock);
}

/* Takes the lock. What goes is not looked at. */
static void trim(hak_armor_shelf_t *shelf, unsigned cls, void *unused) {
    (void)unused;
    hak_lock(&shelf->lock);
    hak_armor_trim_shelf(shelf, cls);
    hak_unlock(&shelf->lock);
}

void hak_armor_fetch(void) {
    each_shelf(fetch, NULL);
}

bool hak_armor_trim(void) {
    uint64_t before = hak_load_relaxed(&hak_counters.released_slabs);
    hak_armor_fetch();
    each_shelf(trim, NULL);
    return hak_load_relaxed(&hak_counters.released_slabs) != before;
}

typedef struct {
    hak_armor_finding_t *findings;
    size_t most, count;
    hak_armor_finding_t last; /* a wrong header is seen from both sides */
} check_t;

static void note_finding(check_t *check, const hak_armor_finding_t *finding) {
    if (finding->block != check->last.block || finding->at != check->last.at) {
        if (check->count < check->most) {
            check->findings[check->count] = *finding;
        }
        check->count++;
        check->last = *finding;
    }
}

static void check_slab(hak_slab_t *slab, void *context) {
    hak_armor_finding_t finding;
    unsigned carved = hak_load_relaxed(&slab->carved);
    for (unsigned i = 1; i < carved; i++) {
        if (!hak_sheet_is_sound(slab, i, &finding)) {
            note_finding(context, &finding);
        }
    }
}

/* They are BUSY, but in nobody's hand, and look like FREE ones. */
static void check_away(hak_armor_shelf_t *shelf, unsigned cls, void *context) {
    hak_armor_finding_t finding;
    for (unsigned i = 0; i < shelf->away_count; i++) {
        hak_place_t place = hak_place_at(shelf->away[i], cls);
        if (!hak_sheet_is_sound_as(place.slab, place.index, HAK_FREE, &finding)) {
            note_finding(context, &finding);
        }
    }
}

size_t hak_armor_check_locked(hak_armor_finding_t *findings, size_t most) {
    check_t check = {.findings = findings, .most = most};
    hak_pool_each_slab(check_slab, &check);
    each_shelf(check_away, &check);
    return check.count;
}

bool hak_armor_is_live_locked(const hak_slab_t *slab, unsigned index, size_t *size) {
    const hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
    const hak_note_t *note = &sheet->notes[slab->index][index];
    bool live = hak_note_state(note) == HAK_LIVE;
    *size = note->size;
    return live;
}

void hak_armor_start(bool go_on) {
    hak_canary_init();
    hak_armor_slab_start();
    armor.go_on = go_on;
    hak_os_random(&armor.seed, sizeof armor.seed);
    hak_store_relaxed(
        &armor.born[0],
        true); /* a wrong pointer into a slab that just comes finds a 0 in its sheet */
    hak_hardened = true;
}

/* ---- Locks ----------------------------------------------------------------------------------- */

/* In order, without those of arenas not born: no one can hold them. */
void hak_armor_each_lock(void (*visit)(hak_lock_t *lock, void *context), void *context) {
    visit(&armor.births, context);
    for (unsigned arena = 0; arena < ARENAS; arena++) {
        for (unsigned cls = 0; cls < HAK_CLASSES && hak_load_relaxed(&armor.born[arena]); cls++) {
            visit(&armor.shelves[arena][cls].lock, context);
        }
    }
    visit(hak_armor_slab_own_lock(), context);
}

static void take(hak_lock_t *lock, void *unused) {
    (void)unused;
    hak_lock(lock);
}

static void leave(hak_lock_t *lock, void *unused) {
    (void)unused;
    if (lock != &armor.births) {
        hak_unlock(lock);
    }
}

static void reset(hak_lock_t *lock, void *unused) {
    (void)unused;
    hak_lock_reset(lock);
}

void hak_armor_lock_all(void) {
    hak_armor_each_lock(take, NULL);
}

/* The first one taken comes last: with it goes the holder's deferred cancellation, and arenas may
 * be born. */
void hak_armor_unlock_all(void) {
    hak_armor_each_lock(leave, NULL);
    hak_unlock(&armor.births);
}

void hak_armor_after_fork_in_child(void) {
    hak_armor_each_lock(reset, NULL);
}

/* ---- Validity -------------------------------------------------------------------------------- */

typedef struct {
    bool valid;
    /* Listed slabs, and free blocks without their bit, less those that stand on shelves. */
    size_t missing;
} books_t;

static void check_books(hak_slab_t *slab, void *context) {
    books_t *books = context;
    const hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
    unsigned carved = hak_load_relaxed(&slab->carved);
    unsigned live = 0, bits = 0;
    books->valid = books->valid && slab->listed == hak_armor_has_room(slab);
    books->missing += slab->listed;
    for (unsigned i = 0; i < HAK_SHEET_BLOCKS; i++) {
        unsigned state = hak_note_state(&sheet->notes[slab->index][i]);
        bool is_block = i != 0 && i < carved;
        bool bit = (sheet->free[slab->index][i / 64] >> i % 64) & 1;
        bool is_free = is_block && (state == HAK_FREE || state == HAK_NEVER);
        books->valid = books->valid && (is_block || state == HAK_NEVER) && (is_free || !bit);
        books->missing += is_free && !bit;
        live += state == HAK_LIVE || state == HAK_BUSY;
        bits += bit;
    }
    books->valid =
        books->valid && bits == sheet->free_bits[slab->index] && live == carved - slab->free_count;
}

static bool is_at_home(const hak_armor_shelf_t *shelf, const void *block, unsigned cls) {
    return &armor.shelves[arena_at(block, cls)][cls] == shelf;
}

static void check_shelf(const hak_armor_shelf_t *shelf, unsigned cls, books_t *books) {
    for (unsigned i = 0; i < shelf->away_count; i++) {
        hak_place_t place = hak_place_at(shelf->away[i], cls);
        books->valid = books->valid && !is_at_home(shelf, shelf->away[i], cls) &&
                       hak_note_state(place.note) == HAK_BUSY &&
                       hak_header_at(place.start) == HAK_HEADER_NOT_LIVE;
    }
    for (const hak_slab_t *slab = shelf->slabs; slab != NULL; slab = slab->next, books->missing--) {
        books->valid = books->valid && slab->cls == cls && slab->listed &&
                       is_at_home(shelf, hak_slab_base(slab), cls);
    }
    for (unsigned i = 0; i < shelf->ready_count; i++, books->missing--) {
        unsigned state = hak_note_state(hak_place_at(shelf->ready[i], cls).note);
        books->valid = books->valid && is_at_home(shelf, shelf->ready[i], cls) &&
                       (state == HAK_FREE || state == HAK_NEVER);
    }
    for (unsigned i = 0; shelf->held != NULL && i < shelf->held_most; i++) {
        if (shelf->held[i] != NULL) {
            books->missing--;
            books->valid = books->valid && is_at_home(shelf, shelf->held[i], cls) &&
                           hak_note_state(hak_place_at(shelf->held[i], cls).note) == HAK_FREE;
        }
    }
}

bool hak_armor_is_valid(void) {
    hak_armor_lock_all();
    books_t books = {.valid = hak_armor_check_locked(NULL, 0) == 0};
    hak_pool_each_slab(check_books, &books);
    for (unsigned i = 0; i < ARENAS * HAK_CLASSES; i++) {
        check_shelf(&armor.shelves[i / HAK_CLASSES][i % HAK_CLASSES], i % HAK_CLASSES, &books);
    }
    hak_armor_unlock_all();
    return books.valid && books.missing == 0;
}
