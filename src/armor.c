/* armor.c: see armor.h.
 *
 * Threads:   static functions expect the shelf's lock to be held, unless they say otherwise.
 *
 * A shelf has the free blocks of a class and an arena in three places:
 *
 *   freed -> held, in a random seat -> ready ----------------> live, a random one of them
 *                                   -> bits of its slab -> ready
 */
#include "armor.h"

#include <string.h>

#include "armor_slab.h"
#include "chance.h"
#include "os.h"
#include "pool.h"
#include "stats.h"

/* Ids of threads follow each other: neighbours meet only where there are more than these. */
#define ARENAS 16U
/* Blocks of a class that an arena holds back before they may be handed out again. */
#define HELD_BYTES ((size_t)32 << 10)
#define HELD_LEAST 4U
#define HELD_MOST 256U
/* Of so many free blocks at least one is drawn, as long as there are more. */
#define CHOICE_LEAST 8U
#define CHOICE_FILLED 16U
#define CHOICE_MOST 24U

/* Slabs without a live block that are kept for the next blocks though their shelf has others: slots
 * of each shelf, and of all together. A program whose memory comes and goes would else fault and
 * ask for permissions all day. A shelf whose thread ended keeps what it has, until a trim. */
#define SPARE_SLOTS 16U
#define SPARE_SLOTS_ALL 64U

bool hak_hardened;

typedef struct {
    _Alignas(HAK_CACHE_LINE) hak_lock_t lock;
    uint8_t ready_count;
    uint8_t spare_slots;      /* of slabs that are charged as spare ones */
    uint16_t held_most;       /* const while held is not NULL */
    uint64_t random;          /* 0 before the first slab */
    hak_slab_t *slabs;        /* with blocks that are not ready yet */
    void **held;              /* quarantine; NULL before the first free */
    const hak_slab_t *unpaid; /* the one spare slab that is not charged; NULL: there is none */
    void *ready[CHOICE_MOST]; /* to be handed out next */
} shelf_t;

static struct {
    bool go_on;        /* const after hak_armor_start(), like the next */
    uint64_t seed;     /* the system's, had at the start: a program may take the call from itself */
    hak_lock_t births; /* before all shelves' */
    /* Set once, under armor.births: before that no shelf of it is locked or used. */
    _Atomic bool born[ARENAS];
    /* atomic, relaxed: of all shelves; a stale one keeps a slab more or less */
    _Atomic uint32_t spare_slots;
    shelf_t shelves[ARENAS][HAK_CLASSES];
} armor;

HAK_INLINE void write_headers(hak_place_t place) {
    place.start[-1] = hak_header_of(place.note, place.cls);
    place.start[place.stride - 1] = hak_header_of(place.note + 1, place.cls);
}

/* What is free looks the same as what nobody may write to. Not zero: a zero is what programs write
 * most through a stale pointer, and a pointer read from such a block leads to no memory. */
HAK_INLINE void fill(hak_place_t place) {
    hak_canary_write(place.start, place.stride - 1);
}

/* Whether p starts a live block, and what else is wrong with it. The place is that of the block
 * which covers p. */
HAK_INLINE hak_place_t inspect(const void *p, unsigned cls, hak_armor_finding_t *finding) {
    hak_place_t place = hak_place_at(p, cls);
    const hak_note_t *note = place.note;
    if (HAK_UNLIKELY(place.index == 0 || place.index >= hak_load_relaxed(&place.slab->carved) ||
                     note->state == HAK_NEVER)) {
        hak_sheet_find(place.slab, place.index, HAK_ARMOR_NO_BLOCK, NULL, finding);
    } else if (HAK_UNLIKELY(place.start != p)) {
        hak_sheet_find(place.slab, place.index, HAK_ARMOR_INSIDE, NULL, finding);
    } else if (HAK_UNLIKELY(note->state != HAK_LIVE)) {
        hak_sheet_find(place.slab, place.index, HAK_ARMOR_FREED, NULL, finding);
    } else {
        if (HAK_LIKELY(
                hak_place_has_headers(place) &&
                hak_canary_is_whole(place.start + note->size, place.stride - 1 - note->size)) ||
            hak_sheet_is_sound(place.slab, place.index, finding)) {
            finding->fault = HAK_ARMOR_SOUND;
            finding->cls = cls;
        }
        finding->own_origin = (hak_origin_t)note->origin;
        finding->own_size = note->size;
    }
    return place;
}

/* ---- Slabs with blocks to hand out ----------------------------------------------------------- */

static bool has_room(const hak_slab_t *slab) {
    const hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
    return sheet->free_bits[slab->index] != 0 ||
           hak_load_relaxed(&slab->carved) < hak_class_info[slab->cls].capacity;
}

static void unlist(shelf_t *shelf, hak_slab_t *slab) {
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
static void list(shelf_t *shelf, hak_slab_t *slab) {
    hak_slab_t *before =
        shelf->slabs != NULL && hak_chance_below(&shelf->random, 2) != 0 ? shelf->slabs : NULL;
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

/* A slab without a live block: whether it counts as one that is kept though there are others. */
static bool *charge_of(const hak_slab_t *slab) {
    hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
    return &sheet->charged[slab->index];
}

static void set_charged(shelf_t *shelf, const hak_slab_t *slab, bool charged) {
    bool *charge = charge_of(slab);
    if (*charge != charged) {
        unsigned slots = charged ? slab->slots : 0U - slab->slots;
        *charge = charged;
        shelf->spare_slots = (uint8_t)(shelf->spare_slots + slots);
        hak_add_relaxed(&armor.spare_slots, slots);
    }
}

/* One is free of charge, if no other slab has room, or a pair would acquire one each time. */
static bool may_keep(shelf_t *shelf, const hak_slab_t *slab) {
    bool others = shelf->slabs != NULL && (shelf->slabs != slab || slab->next != NULL);
    if (!others && shelf->unpaid == NULL) {
        shelf->unpaid = slab;
        return true;
    }
    bool affordable = shelf->spare_slots + slab->slots <= SPARE_SLOTS &&
                      hak_load_relaxed(&armor.spare_slots) + slab->slots <= SPARE_SLOTS_ALL;
    if (affordable) {
        set_charged(shelf, slab, true);
    }
    return affordable;
}

/* The slab gets a live block, or goes. */
static void end_spare(shelf_t *shelf, const hak_slab_t *slab) {
    if (shelf->unpaid == slab) {
        shelf->unpaid = NULL;
    } else {
        set_charged(shelf, slab, false);
    }
}

static hak_slab_t *acquire(shelf_t *shelf, unsigned cls, unsigned arena) {
    if (shelf->random == 0) {
        shelf->random = hak_chance_derive(armor.seed, arena * HAK_CLASSES + cls);
    }
    hak_slab_t *slab = hak_armor_slab_acquire(cls, arena);
    if (slab != NULL) {
        list(shelf, slab);
    }
    return slab;
}

/* ---- Free blocks ----------------------------------------------------------------------------- */

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

/* Some of the slab's free blocks become ready, from where chance has it on. */
static void make_ready(shelf_t *shelf, hak_slab_t *slab) {
    hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
    uint64_t *bits = sheet->free[slab->index];
    if (sheet->free_bits[slab->index] < CHOICE_LEAST) {
        carve(slab, sheet);
    }
    unsigned words = (hak_load_relaxed(&slab->carved) + 63U) / 64U;
    unsigned at = hak_chance_below(&shelf->random, words);
    unsigned turn = hak_chance_below(&shelf->random, 64);
    char *base = hak_slab_base(slab);
    size_t stride = hak_class_stride(slab->cls);
    while (shelf->ready_count < CHOICE_FILLED && sheet->free_bits[slab->index] != 0) {
        uint64_t behind = bits[at] >> turn << turn;
        if (behind == 0) { /* those before are reached on the second time round */
            turn = 0;
            at = at + 1 < words ? at + 1 : 0;
            continue;
        }
        unsigned bit = (unsigned)__builtin_ctzl(behind);
        bits[at] &= ~((uint64_t)1 << bit);
        sheet->free_bits[slab->index]--;
        shelf->ready[shelf->ready_count++] = base + (at * 64 + bit) * stride;
    }
    if (!has_room(slab)) {
        unlist(shelf, slab);
    }
}

/* A new slab only if there is nothing else to hand out. */
static HAK_NOINLINE void refill(shelf_t *shelf, unsigned cls, unsigned arena) {
    if (shelf->ready_count == 0 && shelf->slabs == NULL && acquire(shelf, cls, arena) == NULL) {
        return;
    }
    while (shelf->ready_count < CHOICE_LEAST && shelf->slabs != NULL) {
        make_ready(shelf, shelf->slabs);
    }
}

static HAK_NOINLINE void put_into_slab(shelf_t *shelf, void *block, unsigned cls) {
    hak_place_t place = hak_place_at(block, cls);
    hak_slab_t *slab = place.slab;
    place.sheet->free[slab->index][place.index / 64] |= (uint64_t)1 << place.index % 64;
    place.sheet->free_bits[slab->index]++;
    if (!slab->listed) {
        list(shelf, slab);
    }
}

/* The block left quarantine. */
static void put_home(shelf_t *shelf, void *block, unsigned cls) {
    if (HAK_LIKELY(shelf->ready_count < CHOICE_MOST)) {
        shelf->ready[shelf->ready_count++] = block;
    } else {
        put_into_slab(shelf, block, cls);
    }
}

/* The block takes the place of one that has waited; without memory for those it goes home at once.
 */
static void hold(shelf_t *shelf, void *block, unsigned cls) {
    if (HAK_UNLIKELY(shelf->held == NULL)) {
        shelf->held_most =
            (uint16_t)hak_clamp(HELD_BYTES / hak_class_stride(cls), HELD_LEAST, HELD_MOST);
        shelf->held = hak_meta_alloc(shelf->held_most * sizeof(void *), sizeof(void *));
    }
    if (HAK_LIKELY(shelf->held != NULL)) {
        void **seat = &shelf->held[hak_chance_below(&shelf->random, shelf->held_most)];
        void *before = *seat;
        *seat = block;
        block = before;
    }
    if (block != NULL) {
        put_home(shelf, block, cls);
    }
}

/* The last look at what is in the slab, before its memory goes. False: something was written to. */
static bool all_sound(hak_slab_t *slab, hak_armor_finding_t *finding) {
    unsigned carved = hak_load_relaxed(&slab->carved);
    hak_armor_finding_t found;
    for (unsigned i = 1; i < carved; i++) {
        if (HAK_UNLIKELY(!hak_sheet_is_sound(slab, i, &found))) {
            found.own_origin = finding->own_origin;
            found.own_size = finding->own_size;
            *finding = found;
            return false;
        }
    }
    return true;
}

/* No block of the slab waits or is ready any more. */
static void withdraw(shelf_t *shelf, const hak_slab_t *slab) {
    unsigned cls = slab->cls;
    for (unsigned i = shelf->ready_count; i-- > 0;) {
        if (hak_slab_of(shelf->ready[i], cls) == slab) {
            shelf->ready[i] = shelf->ready[--shelf->ready_count];
        }
    }
    for (unsigned i = 0; shelf->held != NULL && i < shelf->held_most; i++) {
        if (shelf->held[i] != NULL && hak_slab_of(shelf->held[i], cls) == slab) {
            shelf->held[i] = NULL;
        }
    }
}

static void release(shelf_t *shelf, hak_slab_t *slab) {
    withdraw(shelf, slab);
    if (slab->listed) {
        unlist(shelf, slab);
    }
    end_spare(shelf, slab);
    hak_armor_slab_release(slab);
}

/* None of the slab's blocks is live: if it is not kept, those in quarantine need not wait, since
 * now all of it becomes untouchable. */
static HAK_NOINLINE void keep_or_release(shelf_t *shelf, hak_slab_t *slab,
                                         hak_armor_finding_t *finding) {
    if (!may_keep(shelf, slab) &&
        (finding->fault != HAK_ARMOR_SOUND || all_sound(slab, finding) || armor.go_on)) {
        release(shelf, slab);
    }
}

/* ---- From outside ---------------------------------------------------------------------------- */

/* Of the slab at p, an address in a SuperSlab with a sheet: the arena stays the same while a block
 * of it is live. No lock need be held. */
static unsigned arena_at(const hak_superslab_t *ss, const void *p, unsigned cls) {
    const hak_sheet_t *sheet = ss->sheet;
    return hak_load_relaxed(&sheet->arena[hak_sheet_slot(p, cls)]);
}

static HAK_COLD void find_gone(const void *p, unsigned cls, hak_armor_finding_t *finding) {
    *finding = (hak_armor_finding_t){
        .fault = HAK_ARMOR_FREED, .cls = cls, .block = p, .size = hak_class_stride(cls) - 1};
}

/* Locks the shelf that p came from. NULL, and the finding says so, if p was no valid pointer, so
 * that another thread could give its slab away meanwhile. */
HAK_INLINE shelf_t *lock_shelf_of(const void *p, unsigned cls, hak_armor_finding_t *finding) {
    const hak_superslab_t *ss = hak_map_record(p);
    if (HAK_LIKELY(ss != NULL &&
                   ss->sheet != NULL)) { /* or unmapped since its tag was read, or not ready yet */
        unsigned arena = arena_at(ss, p, cls);
        shelf_t *shelf = &armor.shelves[arena][cls];
        HAK_KEEP(shelf);
        hak_lock(&shelf->lock);
        if (HAK_LIKELY(hak_map_tag(p) == hak_tag_of_class(cls) && hak_map_record(p) == ss &&
                       arena_at(ss, p, cls) == arena)) {
            return shelf;
        }
        hak_unlock(&shelf->lock);
    }
    find_gone(p, cls, finding);
    return NULL;
}

/* A block that nobody ever had, or one that was written to after it was freed. */
static HAK_NOINLINE void *hand_out_odd(hak_slab_t *slab, unsigned index, size_t size, bool sound,
                                       bool never) {
    hak_place_t place = hak_place_of(slab, index);
    if (!sound) {
        if (!armor.go_on) {
            return NULL;
        }
        fill(place);
        never = false;
    }
    if (never) { /* zero already */
        hak_canary_write(place.start + size, place.stride - 1 - size);
    } else {
        memset(place.start, 0, size);
    }
    write_headers(place);
    return place.start;
}

HAK_INLINE void *hand_out(shelf_t *shelf, unsigned cls, size_t size, hak_origin_t origin,
                          hak_armor_finding_t *finding) {
    void **choice = &shelf->ready[hak_chance_below(&shelf->random, shelf->ready_count)];
    hak_place_t place = hak_place_at(*choice, cls);
    *choice = shelf->ready[--shelf->ready_count];
    bool never = place.note->state == HAK_NEVER;
    bool sound = !never && hak_place_has_headers(place) &&
                 hak_canary_is_whole(place.start, place.stride - 1);
    bool odd = !sound;
    if (HAK_UNLIKELY(odd)) {
        sound = hak_sheet_is_sound(place.slab, place.index, finding);
    }
    hak_slab_t *slab = place.slab;
    if (HAK_UNLIKELY(slab->free_count-- == hak_load_relaxed(&slab->carved))) {
        end_spare(shelf, slab);
    }
    *place.note =
        (hak_note_t){.size = (uint16_t)size, .state = HAK_LIVE, .origin = (uint8_t)origin};
    if (HAK_UNLIKELY(odd)) {
        return hand_out_odd(slab, place.index, size, sound, never);
    }
    memset(place.start, 0, size); /* what is behind is canary already */
    place.start[-1] = hak_tag_of_class(cls);
    return place.start;
}

static HAK_COLD void bear(unsigned arena) {
    hak_lock(&armor.births);
    hak_store_relaxed(&armor.born[arena],
                      true); /* seen early it does no harm: whoever has all locks has births */
    hak_unlock(&armor.births);
}

void *hak_armor_alloc(unsigned cls, size_t size, hak_origin_t origin,
                      hak_armor_finding_t *finding) {
    unsigned arena = hak_lock_id() % ARENAS;
    shelf_t *shelf = &armor.shelves[arena][cls];
    HAK_KEEP(shelf);
    finding->fault = HAK_ARMOR_SOUND;
    if (HAK_UNLIKELY(!hak_load_relaxed(&armor.born[arena]))) {
        bear(arena);
    }
    hak_lock(&shelf->lock);
    if (HAK_UNLIKELY(shelf->ready_count < CHOICE_LEAST)) {
        refill(shelf, cls, arena);
    }
    void *block =
        HAK_LIKELY(shelf->ready_count != 0) ? hand_out(shelf, cls, size, origin, finding) : NULL;
    hak_unlock(&shelf->lock);
    return block;
}

void hak_armor_free(void *p, unsigned cls, hak_armor_finding_t *finding) {
    shelf_t *shelf = lock_shelf_of(p, cls, finding);
    if (HAK_UNLIKELY(shelf == NULL)) {
        return;
    }
    hak_place_t place = inspect(p, cls, finding);
    bool sound = finding->fault == HAK_ARMOR_SOUND;
    if (HAK_LIKELY(sound) || (armor.go_on && !hak_armor_is_of_pointer(finding->fault))) {
        hak_slab_t *slab = place.slab;
        fill(place);
        place.note->state = HAK_FREE;
        slab->free_count++;
        if (HAK_LIKELY(sound)) {
            place.start[-1] = HAK_HEADER_NOT_LIVE;
        } else {
            write_headers(place);
        }
        hold(shelf, p, cls);
        if (HAK_UNLIKELY(slab->free_count == hak_load_relaxed(&slab->carved))) {
            keep_or_release(shelf, slab, finding);
        }
    }
    hak_unlock(&shelf->lock);
}

void hak_armor_look(const void *p, unsigned cls, hak_armor_finding_t *finding) {
    shelf_t *shelf = lock_shelf_of(p, cls, finding);
    if (shelf != NULL) {
        (void)inspect(p, cls, finding);
        hak_unlock(&shelf->lock);
    }
}

bool hak_armor_resize(void *p, unsigned cls, size_t size) {
    hak_armor_finding_t unused;
    size_t stride = hak_class_stride(cls);
    shelf_t *shelf = size < stride ? lock_shelf_of(p, cls, &unused) : NULL;
    if (shelf == NULL) {
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
        write_headers(place);
    }
    hak_unlock(&shelf->lock);
    return live;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static void trim_shelf(shelf_t *shelf, unsigned cls) {
    while (shelf->ready_count != 0) {
        put_into_slab(shelf, shelf->ready[--shelf->ready_count], cls);
    }
    for (unsigned i = 0; shelf->held != NULL && i < shelf->held_most; i++) {
        if (shelf->held[i] != NULL) {
            put_into_slab(shelf, shelf->held[i], cls);
            shelf->held[i] = NULL;
        }
    }
    hak_slab_t *next;
    for (hak_slab_t *slab = shelf->slabs; slab != NULL; slab = next) {
        next = slab->next;
        if (slab->free_count == hak_load_relaxed(&slab->carved)) {
            release(shelf, slab);
        }
    }
}

bool hak_armor_trim(void) {
    uint64_t before = hak_load_relaxed(&hak_counters.released_slabs);
    for (unsigned arena = 0; arena < ARENAS; arena++) {
        for (unsigned cls = 0; cls < HAK_CLASSES && hak_load_relaxed(&armor.born[arena]); cls++) {
            shelf_t *shelf = &armor.shelves[arena][cls];
            hak_lock(&shelf->lock);
            trim_shelf(shelf, cls);
            hak_unlock(&shelf->lock);
        }
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
        if (!hak_sheet_is_sound(slab, i, &finding) &&
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

bool hak_armor_is_live_locked(const hak_slab_t *slab, unsigned index, size_t *size) {
    const hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
    const hak_note_t *note = &sheet->notes[slab->index][index];
    *size = note->size;
    return note->state == HAK_LIVE;
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
    books->valid = books->valid && slab->listed == has_room(slab);
    books->missing += slab->listed;
    for (unsigned i = 0; i < HAK_SHEET_BLOCKS; i++) {
        unsigned state = sheet->notes[slab->index][i].state;
        bool is_block = i != 0 && i < carved;
        bool bit = (sheet->free[slab->index][i / 64] >> i % 64) & 1;
        bool is_free = is_block && (state == HAK_FREE || state == HAK_NEVER);
        books->valid = books->valid && (is_block || state == HAK_NEVER) && (is_free || !bit);
        books->missing += is_free && !bit;
        live += state == HAK_LIVE;
        bits += bit;
    }
    books->valid =
        books->valid && bits == sheet->free_bits[slab->index] && live == carved - slab->free_count;
}

static bool is_at_home(const shelf_t *shelf, const void *block, unsigned cls) {
    const hak_superslab_t *ss = hak_map_record(block);
    return &armor.shelves[arena_at(ss, block, cls)][cls] == shelf;
}

static void check_shelf(const shelf_t *shelf, unsigned cls, books_t *books) {
    for (const hak_slab_t *slab = shelf->slabs; slab != NULL; slab = slab->next, books->missing--) {
        books->valid = books->valid && slab->cls == cls && slab->listed &&
                       is_at_home(shelf, hak_slab_base(slab), cls);
    }
    for (unsigned i = 0; i < shelf->ready_count; i++, books->missing--) {
        unsigned state = hak_place_at(shelf->ready[i], cls).note->state;
        books->valid = books->valid && is_at_home(shelf, shelf->ready[i], cls) &&
                       (state == HAK_FREE || state == HAK_NEVER);
    }
    for (unsigned i = 0; shelf->held != NULL && i < shelf->held_most; i++) {
        if (shelf->held[i] != NULL) {
            books->missing--;
            books->valid = books->valid && is_at_home(shelf, shelf->held[i], cls) &&
                           hak_place_at(shelf->held[i], cls).note->state == HAK_FREE;
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
