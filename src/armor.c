/* armor.c: see armor.h.
 *
 * Threads:   static functions expect the arena's lock to be held, unless they say otherwise.
 */
#include "armor.h"

#include <string.h>

#include "canary.h"
#include "chance.h"
#include "os.h"
#include "pool.h"
#include "sheet.h"
#include "stats.h"

/* Ids of threads follow each other: neighbours meet only where there are more than these. */
#define ARENAS 16U
/* Blocks of a class that an arena holds back before they may be handed out again. */
#define HELD_BYTES ((size_t)32 << 10)
#define HELD_LEAST 4U
#define HELD_MOST 256U
#define MAPPINGS_STANDARD 65530
/* Of so many free blocks at least one is drawn, as long as the slab has more. */
#define CHOICE_LEAST 8U

bool hak_hardened;


typedef struct {
    hak_slab_t *slabs; /* with blocks to hand out */
    void **held;       /* quarantine; NULL before the first free */
} shelf_t;

typedef struct {
    _Alignas(HAK_CACHE_LINE) hak_lock_t lock;
    uint64_t random; /* arena.lock; the system's seed: not to be foretold from outside */
    shelf_t shelves[HAK_CLASSES];
} arena_t;

static struct {
    hak_lock_t lock; /* between arenas' and the pool's: slabs on their way to or from the pool */
    bool go_on;      /* const after hak_armor_start() */
    bool short_of_mappings; /* armor.lock: the system has refused one more */
    bool open;              /* armor.lock: nothing is made untouchable any more */
    size_t sealed;          /* armor.lock: records of SuperSlabs that may be sealed */
    size_t sealed_most;     /* const after hak_armor_start() */
    arena_t arenas[ARENAS];
} armor;

static unsigned random_below(arena_t *arena, unsigned bound) {
    return hak_chance_below(&arena->random, bound);
}

static void write_headers(const hak_place_t *place) {
    place->start[-1] = hak_header_of(place->note, place->cls);
    place->start[place->stride - 1] = hak_header_of(place->note + 1, place->cls);
}

/* What is free looks the same as what nobody may write to. Not zero: a zero is what programs write most
 * through a stale pointer, and a pointer read from such a block leads to no memory. */
static void fill(const hak_place_t *place) {
    hak_canary_write(place->start, place->stride - 1);
}

/* ---- Looking for damage ---------------------------------------------------------------------- */

static HAK_COLD void find_fault(hak_armor_finding_t *finding, hak_armor_fault_t fault,
                                const hak_place_t *place, const void *at) {
    *finding = (hak_armor_finding_t){
        .fault = fault,
        .cls = place->cls,
        .block = place->start,
        .size = place->note->state == HAK_LIVE ? place->note->size : place->stride - 1,
        .at = at,
    };
}

/* The first wrong byte of the block itself, but the last. */
HAK_INLINE const void *own_damage(const hak_place_t *place) {
    if (place->note->state == HAK_NEVER) {
        return hak_zero_damage(place->start, place->stride - 1);
    }
    size_t size = place->note->state == HAK_LIVE ? place->note->size : 0;
    return hak_canary_damage(place->start + size, place->stride - 1 - size);
}

/* The header behind this block is wrong, whichever side it was seen from. The block was written past if it
 * ends there, if its canary is damaged too, or if nobody ever had the next; else that was written before. */
static HAK_COLD void find_between(hak_armor_finding_t *finding, hak_slab_t *slab, unsigned index) {
    hak_place_t left = hak_place_of(slab, index), right = hak_place_of(slab, index + 1);
    bool left_live = left.note->state == HAK_LIVE;
    const void *first = left_live ? own_damage(&left) : NULL;
    if (first != NULL || (left_live && left.note->size == left.stride - 1) ||
        (right.note->state == HAK_NEVER && index != 0)) {
        find_fault(finding, left_live ? HAK_ARMOR_OVERFLOW : HAK_ARMOR_WRITTEN, &left,
                   first != NULL ? first : right.start - 1);
    } else {
        bool live = right.note->state == HAK_LIVE;
        find_fault(finding, live ? HAK_ARMOR_UNDERFLOW : HAK_ARMOR_WRITTEN, &right, right.start - 1);
    }
}

/* A block and the headers on both its sides. */
static bool is_sound(const hak_place_t *place, hak_armor_finding_t *finding) {
    const unsigned char *behind = place->start + place->stride - 1;
    const void *damage = own_damage(place);
    if (HAK_UNLIKELY(damage != NULL)) {
        bool live = place->note->state == HAK_LIVE;
        find_fault(finding, live ? HAK_ARMOR_OVERFLOW : HAK_ARMOR_WRITTEN, place, damage);
        return false;
    }
    if (HAK_UNLIKELY(place->start[-1] != hak_header_of(place->note, place->cls))) {
        find_between(finding, place->slab, place->index - 1);
        return false;
    }
    if (HAK_UNLIKELY(*behind != hak_header_of(place->note + 1, place->cls))) {
        find_between(finding, place->slab, place->index);
        return false;
    }
    return true;
}

/* Whether p starts a live block, and what else is wrong with it. The place is that of the block which
 * covers p. */
static hak_place_t inspect(const void *p, unsigned cls, hak_armor_finding_t *finding) {
    hak_place_t place = hak_place_at(p, cls);
    if (place.index == 0 || place.index >= hak_load_relaxed(&place.slab->carved) ||
        place.note->state == HAK_NEVER) {
        find_fault(finding, HAK_ARMOR_NO_BLOCK, &place, NULL);
    } else if (place.start != p) {
        find_fault(finding, HAK_ARMOR_INSIDE, &place, NULL);
    } else if (place.note->state != HAK_LIVE) {
        find_fault(finding, HAK_ARMOR_FREED, &place, NULL);
    } else {
        if (is_sound(&place, finding)) {
            *finding = (hak_armor_finding_t){.cls = cls};
        }
        finding->own_origin = (hak_origin_t)place.note->origin;
        finding->own_size = place.note->size;
    }
    return place;
}

/* ---- Slabs ----------------------------------------------------------------------------------- */

static bool has_room(const hak_slab_t *slab) {
    const hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
    return sheet->free_bits[slab->index] != 0 ||
           hak_load_relaxed(&slab->carved) < hak_class_info[slab->cls].capacity;
}

static void unlist(arena_t *arena, hak_slab_t *slab) {
    shelf_t *shelf = &arena->shelves[slab->cls];
    if (slab->prev != NULL) {
        slab->prev->next = slab->next;
    } else {
        shelf->slabs = slab->next;
    }
    if (slab->next != NULL) {
        slab->next->prev = slab->prev;
    }
    slab->listed = false;
}

/* In front or behind the first, as chance has it: so the order of slabs is not known. */
static void list(arena_t *arena, hak_slab_t *slab) {
    shelf_t *shelf = &arena->shelves[slab->cls];
    hak_slab_t *before = shelf->slabs != NULL && random_below(arena, 2) != 0 ? shelf->slabs : NULL;
    hak_slab_t *behind = before != NULL ? before->next : shelf->slabs;
    slab->prev = before;
    slab->next = behind;
    if (before != NULL) {
        before->next = slab;
    } else {
        shelf->slabs = slab;
    }
    if (behind != NULL) {
        behind->prev = slab;
    }
    slab->listed = true;
}

/* A sheet lasts as long as its SuperSlab's record: for good. armor.lock is held. */
static bool prepare_sheet(hak_superslab_t *ss) {
    if (ss->sheet != NULL) {
        return true;
    }
    size_t page = hak_map.page_bytes;
    size_t bytes = hak_round_up(sizeof(hak_sheet_t), page);
    char *memory = hak_os.map(bytes + 2 * page);
    if (memory == NULL) {
        return false;
    }
    HAK_COUNT(map_calls);
    (void)hak_os.protect(memory, page, false);
    (void)hak_os.protect(memory + page + bytes, page, false);
    ss->sheet = memory + page;
    return true;
}

/* Each takes as many mappings as it has borders; all together a quarter of what there may be. */
static bool may_seal(hak_superslab_t *ss) {
    if (!ss->counted && armor.sealed < armor.sealed_most) {
        ss->counted = true;
        armor.sealed++;
    }
    return ss->counted;
}

/* Nobody else's slab is in a SuperSlab that is not sealed yet: armor.lock is held since before it came. Where the
 * system has no mapping left for a border between what may be touched and what may not, all of it may. */
static bool open_slab(hak_slab_t *slab) {
    hak_superslab_t *ss = hak_slab_superslab(slab);
    if (!ss->sealed && !armor.open && may_seal(ss)) {
        ss->sealed = true;
        (void)hak_os.protect(ss->base, HAK_SUPERSLAB_BYTES, false);
    }
    if (!ss->sealed || hak_os.protect(hak_slab_base(slab), slab->slots * HAK_SLOT_BYTES, true)) {
        return true;
    }
    armor.short_of_mappings = true;
    return hak_os.protect(ss->base, HAK_SUPERSLAB_BYTES, true);
}

static hak_slab_t *acquire(arena_t *arena, unsigned cls) {
    hak_lock(&armor.lock);
    hak_slab_t *slab = hak_pool_acquire(cls, false);
    if (slab != NULL && (!prepare_sheet(hak_slab_superslab(slab)) || !open_slab(slab))) {
        hak_pool_release(slab);
        slab = NULL;
    }
    if (slab != NULL) {
        hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
        uint8_t number = (uint8_t)(arena - armor.arenas);
        hak_store_relaxed(&sheet->arena[slab->index], number);
        sheet->free_bits[slab->index] = 0;
        hak_store_relaxed(&slab->carved, 1);
        slab->free_count = 1; /* number 0 */
        list(arena, slab);
    }
    hak_unlock(&armor.lock);
    return slab;
}

/* Rows of notes are as much as a quarter of what they are about, so they go back with it. */
static void forget_notes(hak_note_t *notes, unsigned count) {
    size_t page = hak_map.page_bytes;
    size_t bytes = hak_round_up(count * sizeof(hak_note_t), page);
    bool whole = bytes <= sizeof(hak_note_t[HAK_SHEET_BLOCKS]) && (uintptr_t)notes % page == 0;
    HAK_COUNT_N(purge_calls, whole);
    if (!whole || !hak_os.purge(notes, bytes)) {
        memset(notes, 0, count * sizeof(hak_note_t));
    }
}

/* Its memory goes back at once, so it is zero when it comes again, and whoever still writes there is
 * stopped. */
static void release(arena_t *arena, hak_slab_t *slab) {
    hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
    unsigned carved = hak_load_relaxed(&slab->carved);
    char *base = hak_slab_base(slab);
    size_t bytes = slab->slots * HAK_SLOT_BYTES;
    unlist(arena, slab);
    forget_notes(sheet->notes[slab->index], carved);
    memset(sheet->free[slab->index], 0, hak_round_up(carved, 64) / 8);
    HAK_COUNT(purge_calls);
    if (!hak_os.purge(base, bytes)) {
        HAK_COUNT(purge_failures);
        memset(base, 0, hak_min(carved * hak_class_stride(slab->cls) + 1, bytes));
    }
    hak_lock(&armor.lock);
    if (!armor.open && hak_slab_superslab(slab)->sealed && !hak_os.protect(base, bytes, false)) {
        armor.short_of_mappings = true;
    }
    hak_store_relaxed(&slab->carved, 0); /* nothing of it is resident */
    slab->free_count = 0;
    hak_pool_release(slab);
    hak_unlock(&armor.lock);
}

/* ---- Free blocks ------------------------------------------------------------------------------ */

static void carve(hak_slab_t *slab, hak_sheet_t *sheet) {
    const hak_class_info_t *info = &hak_class_info[slab->cls];
    unsigned from = hak_load_relaxed(&slab->carved);
    unsigned to = (unsigned)hak_min(from + hak_max(info->carve, CHOICE_LEAST), info->capacity);
    for (unsigned i = from; i < to; i++) {
        sheet->free[slab->index][i / 64] |= (uint64_t)1 << i % 64;
    }
    sheet->free_bits[slab->index] = (uint16_t)(sheet->free_bits[slab->index] + to - from);
    slab->free_count = (uint16_t)(slab->free_count + to - from);
    hak_store_relaxed(&slab->carved, (uint16_t)to);
    HAK_COUNT_N(carved_blocks, to - from);
}

/* Any of the free blocks, as chance has it: each one of a word is as likely as the others. */
static unsigned draw(arena_t *arena, hak_slab_t *slab, hak_sheet_t *sheet) {
    uint64_t *bits = sheet->free[slab->index];
    unsigned words = (hak_load_relaxed(&slab->carved) + 63U) / 64U;
    unsigned at = random_below(arena, words);
    while (bits[at] == 0) {
        at = at + 1 < words ? at + 1 : 0;
    }
    uint64_t left = bits[at];
    for (unsigned skip = random_below(arena, (unsigned)__builtin_popcountl(left)); skip != 0; skip--) {
        left &= left - 1;
    }
    unsigned bit = (unsigned)__builtin_ctzl(left);
    bits[at] &= ~((uint64_t)1 << bit);
    sheet->free_bits[slab->index]--;
    return at * 64 + bit;
}

/* The block left quarantine. */
static void put_home(arena_t *arena, void *block, unsigned cls) {
    hak_place_t place = hak_place_at(block, cls);
    hak_slab_t *slab = place.slab;
    place.note->state = HAK_FREE;
    place.sheet->free[slab->index][place.index / 64] |= (uint64_t)1 << place.index % 64;
    place.sheet->free_bits[slab->index]++;
    if (!slab->listed) {
        list(arena, slab);
    }
}

static unsigned held_most(unsigned cls) {
    return (unsigned)hak_clamp(HELD_BYTES / hak_class_stride(cls), HELD_LEAST, HELD_MOST);
}

/* The block takes the place of one that has waited; without memory for those it goes home at once. */
static void hold(arena_t *arena, void *block, unsigned cls) {
    shelf_t *shelf = &arena->shelves[cls];
    unsigned most = held_most(cls);
    if (shelf->held == NULL) {
        shelf->held = hak_meta_alloc(most * sizeof(void *), sizeof(void *));
    }
    if (shelf->held != NULL) {
        void **seat = &shelf->held[random_below(arena, most)];
        void *before = *seat;
        *seat = block;
        block = before;
    }
    if (block != NULL) {
        put_home(arena, block, cls);
    }
}

/* The last look at what is in the slab, before its memory goes. False: something was written to. */
static bool all_sound(hak_slab_t *slab, hak_armor_finding_t *finding) {
    unsigned carved = hak_load_relaxed(&slab->carved);
    hak_armor_finding_t found;
    for (unsigned i = 1; i < carved; i++) {
        hak_place_t place = hak_place_of(slab, i);
        if (HAK_UNLIKELY(!is_sound(&place, &found))) {
            found.own_origin = finding->own_origin;
            found.own_size = finding->own_size;
            *finding = found;
            return false;
        }
    }
    return true;
}

/* None of the slab's blocks is live: those in quarantine need not wait, since now all of it becomes
 * untouchable. Not so for the last slab to hand out blocks, or a pair would acquire one each time. */
static void release_if_dead(arena_t *arena, hak_slab_t *slab, hak_armor_finding_t *finding) {
    shelf_t *shelf = &arena->shelves[slab->cls];
    bool last = shelf->slabs == NULL || (shelf->slabs == slab && slab->next == NULL);
    if (last || slab->free_count != hak_load_relaxed(&slab->carved) ||
        (finding->fault == HAK_ARMOR_SOUND && !all_sound(slab, finding) && !armor.go_on)) {
        return;
    }
    for (unsigned i = 0; shelf->held != NULL && i < held_most(slab->cls); i++) {
        if (shelf->held[i] != NULL && hak_slab_of(shelf->held[i], slab->cls) == slab) {
            put_home(arena, shelf->held[i], slab->cls);
            shelf->held[i] = NULL;
        }
    }
    release(arena, slab);
}

/* ---- From outside ----------------------------------------------------------------------------- */

/* The arena of the slab at p, which stays the same while a block of it is live. */
static arena_t *arena_of(const void *p, unsigned cls) {
    const hak_superslab_t *ss = hak_map_record(p);
    if (ss == NULL || ss->sheet == NULL) { /* unmapped since its tag was read, or not ready yet */
        return NULL;
    }
    const hak_sheet_t *sheet = ss->sheet;
    return &armor.arenas[hak_load_relaxed(&sheet->arena[hak_slab_of(p, cls)->index])];
}

/* Locks it. NULL, and the finding says so, if p was no valid pointer, so that another thread could give its
 * slab away meanwhile. */
static arena_t *lock_arena_of(const void *p, unsigned cls, hak_armor_finding_t *finding) {
    arena_t *arena = arena_of(p, cls);
    if (arena != NULL) {
        hak_lock(&arena->lock);
        if (hak_map_tag(p) == hak_tag_of_class(cls) && arena_of(p, cls) == arena) {
            return arena;
        }
        hak_unlock(&arena->lock);
    }
    *finding = (hak_armor_finding_t){
        .fault = HAK_ARMOR_FREED, .cls = cls, .block = p, .size = hak_class_stride(cls) - 1};
    return NULL;
}

static void *hand_out(arena_t *arena, hak_slab_t *slab, size_t size, hak_origin_t origin,
                      hak_armor_finding_t *finding) {
    hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
    if (sheet->free_bits[slab->index] < CHOICE_LEAST) {
        carve(slab, sheet);
    }
    hak_place_t place = hak_place_of(slab, draw(arena, slab, sheet));
    bool sound = is_sound(&place, finding);
    bool fresh = place.note->state == HAK_NEVER;
    slab->free_count--;
    *place.note = (hak_note_t){.size = (uint16_t)size, .state = HAK_LIVE, .origin = (uint8_t)origin};
    if (!has_room(slab)) {
        unlist(arena, slab);
    }
    if (HAK_UNLIKELY(!sound)) {
        if (!armor.go_on) {
            return NULL;
        }
        fill(&place);
        fresh = false;
    }
    if (fresh) { /* zero already */
        hak_canary_write(place.start + size, place.stride - 1 - size);
    } else {
        memset(place.start, 0, size);
    }
    write_headers(&place);
    return place.start;
}

void *hak_armor_alloc(unsigned cls, size_t size, hak_origin_t origin,
                      hak_armor_finding_t *finding) {
    arena_t *arena = &armor.arenas[hak_lock_id() % ARENAS];
    finding->fault = HAK_ARMOR_SOUND;
    hak_lock(&arena->lock);
    hak_slab_t *slab = arena->shelves[cls].slabs;
    if (slab == NULL) {
        slab = acquire(arena, cls);
    }
    void *block = slab != NULL ? hand_out(arena, slab, size, origin, finding) : NULL;
    hak_unlock(&arena->lock);
    return block;
}

void hak_armor_free(void *p, unsigned cls, hak_armor_finding_t *finding) {
    arena_t *arena = lock_arena_of(p, cls, finding);
    if (arena == NULL) {
        return;
    }
    hak_place_t place = inspect(p, cls, finding);
    if (finding->fault == HAK_ARMOR_SOUND ||
        (armor.go_on && !hak_armor_is_of_pointer(finding->fault))) {
        fill(&place);
        place.note->state = HAK_HELD;
        place.slab->free_count++;
        write_headers(&place);
        hold(arena, p, cls);
        release_if_dead(arena, place.slab, finding);
    }
    hak_unlock(&arena->lock);
}

void hak_armor_look(const void *p, unsigned cls, hak_armor_finding_t *finding) {
    arena_t *arena = lock_arena_of(p, cls, finding);
    if (arena != NULL) {
        (void)inspect(p, cls, finding);
        hak_unlock(&arena->lock);
    }
}

bool hak_armor_resize(void *p, unsigned cls, size_t size) {
    hak_armor_finding_t unused;
    size_t stride = hak_class_stride(cls);
    arena_t *arena = size < stride ? lock_arena_of(p, cls, &unused) : NULL;
    if (arena == NULL) {
        return false;
    }
    hak_place_t place = hak_place_at(p, cls);
    bool live = place.start == p && place.note->state == HAK_LIVE; /* or another thread freed it */
    if (live) {
        if (size > place.note->size) {
            memset(place.start + place.note->size, 0, size - place.note->size);
        }
        hak_canary_write(place.start + size, stride - 1 - size);
        place.note->size = (uint16_t)size;
        write_headers(&place);
    }
    hak_unlock(&arena->lock);
    return live;
}

/* ---- All of it --------------------------------------------------------------------------------- */

static void trim_shelf(arena_t *arena, unsigned cls) {
    shelf_t *shelf = &arena->shelves[cls];
    for (unsigned i = 0; shelf->held != NULL && i < held_most(cls); i++) {
        void *block = shelf->held[i];
        shelf->held[i] = NULL;
        if (block != NULL) {
            put_home(arena, block, cls);
        }
    }
    hak_slab_t *next;
    for (hak_slab_t *slab = shelf->slabs; slab != NULL; slab = next) {
        next = slab->next;
        if (slab->free_count == hak_load_relaxed(&slab->carved)) {
            release(arena, slab);
        }
    }
}

bool hak_armor_trim(void) {
    uint64_t before = hak_load_relaxed(&hak_counters.released_slabs);
    for (unsigned i = 0; i < ARENAS; i++) {
        hak_lock(&armor.arenas[i].lock);
        for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
            trim_shelf(&armor.arenas[i], cls);
        }
        hak_unlock(&armor.arenas[i].lock);
    }
    return hak_load_relaxed(&hak_counters.released_slabs) != before;
}

typedef struct {
    hak_armor_finding_t *findings;
    size_t most, count;
    hak_armor_finding_t last; /* a wrong header is seen from both sides */
} check_t;

static void check_slab(hak_slab_t *slab, void *context) {
    check_t *check = context;
    hak_armor_finding_t finding;
    unsigned carved = hak_load_relaxed(&slab->carved);
    for (unsigned i = 1; i < carved; i++) {
        hak_place_t place = hak_place_of(slab, i);
        if (!is_sound(&place, &finding) &&
            (finding.block != check->last.block || finding.at != check->last.at)) {
            if (check->count < check->most) {
                check->findings[check->count] = finding;
            }
            check->count++;
            check->last = finding;
        }
    }
}

size_t hak_armor_check_locked(hak_armor_finding_t *findings, size_t most) {
    check_t check = {.findings = findings, .most = most};
    hak_pool_each_slab(check_slab, &check);
    return check.count;
}

bool hak_armor_open_all_locked(void) {
    hak_superslab_t *ss = NULL;
    if (!armor.short_of_mappings || armor.open) {
        return false;
    }
    armor.open = true;
    while ((ss = hak_pool_next_superslab(ss)) != NULL) {
        (void)hak_os.protect(ss->base, HAK_SUPERSLAB_BYTES, true);
    }
    return true;
}

bool hak_armor_is_live_locked(const hak_slab_t *slab, unsigned index, size_t *size) {
    const hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
    const hak_note_t *note = &sheet->notes[slab->index][index];
    *size = note->size;
    return note->state == HAK_LIVE;
}

void hak_armor_start(bool go_on) {
    hak_canary_init();
    size_t mappings = hak_os.mappings_max();
    armor.go_on = go_on;
    armor.sealed_most = (mappings != 0 ? mappings : MAPPINGS_STANDARD) / 4 / (HAK_SLOTS + 1);
    hak_hardened = true;
    for (unsigned i = 0; i < ARENAS; i++) {
        hak_os_random(&armor.arenas[i].random, sizeof armor.arenas[i].random);
        armor.arenas[i].random |= 1; /* 0 would stay 0 */
    }
}

void hak_armor_each_lock(void (*visit)(hak_lock_t *lock, void *context), void *context) {
    for (unsigned i = 0; i < ARENAS; i++) {
        visit(&armor.arenas[i].lock, context);
    }
    visit(&armor.lock, context);
}

void hak_armor_lock_all(void) {
    for (unsigned i = 0; i < ARENAS; i++) {
        hak_lock(&armor.arenas[i].lock);
    }
    hak_lock(&armor.lock);
}

void hak_armor_unlock_all(void) {
    hak_unlock(&armor.lock);
    for (unsigned i = ARENAS; i-- > 0;) {
        hak_unlock(&armor.arenas[i].lock);
    }
}

static void reset(hak_lock_t *lock, void *unused) {
    (void)unused;
    hak_lock_reset(lock);
}

void hak_armor_after_fork_in_child(void) {
    hak_armor_each_lock(reset, NULL);
}

/* ---- Validity -------------------------------------------------------------------------------- */

typedef struct {
    bool valid;
    size_t missing; /* listed slabs and HELD blocks, less those that stand on shelves */
} books_t;

static void check_books(hak_slab_t *slab, void *context) {
    books_t *books = context;
    const hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
    unsigned carved = hak_load_relaxed(&slab->carved);
    unsigned live = 0, bits = 0;
    books->valid = books->valid && slab->listed == has_room(slab);
    books->missing += slab->listed;
    for (unsigned i = 0; i < HAK_SHEET_BLOCKS; i++) {
        unsigned state = sheet->notes[slab->index][i].state;
        bool is_block = i != 0 && i < carved;
        bool bit = (sheet->free[slab->index][i / 64] >> i % 64) & 1;
        books->valid = books->valid && (is_block || state == HAK_NEVER) &&
                       bit == (is_block && (state == HAK_FREE || state == HAK_NEVER));
        books->missing += state == HAK_HELD;
        live += state == HAK_LIVE;
        bits += bit;
    }
    books->valid = books->valid && bits == sheet->free_bits[slab->index] &&
                   live == carved - slab->free_count;
}

static void check_shelf(const arena_t *arena, unsigned cls, books_t *books) {
    const shelf_t *shelf = &arena->shelves[cls];
    for (const hak_slab_t *slab = shelf->slabs; slab != NULL; slab = slab->next, books->missing--) {
        books->valid = books->valid && slab->cls == cls && slab->listed &&
                       arena_of(hak_slab_base(slab), cls) == arena;
    }
    for (unsigned i = 0; shelf->held != NULL && i < held_most(cls); i++) {
        if (shelf->held[i] != NULL) {
            books->missing--;
            books->valid = books->valid && arena_of(shelf->held[i], cls) == arena &&
                           hak_place_at(shelf->held[i], cls).note->state == HAK_HELD;
        }
    }
}

bool hak_armor_is_valid(void) {
    hak_armor_lock_all();
    books_t books = {.valid = hak_armor_check_locked(NULL, 0) == 0};
    hak_pool_each_slab(check_books, &books);
    for (unsigned i = 0; i < ARENAS * HAK_CLASSES; i++) {
        check_shelf(&armor.arenas[i / HAK_CLASSES], i % HAK_CLASSES, &books);
    }
    hak_armor_unlock_all();
    return books.valid && books.missing == 0;
}
