/* armor_shelf.c: see armor_shelf.h.
 *
 * Threads:   see armor_shelf.h.
 */
#include "armor_shelf.h"

#include "armor_slab.h"
#include "stats.h"

/* Blocks of a class that an arena holds back before they may be handed out again. */
#define HELD_BYTES ((size_t)16 << 10)
#define HELD_LEAST 4U
#define HELD_MOST 256U
/* How many are made ready together. */
#define CHOICE_FILLED 16U

/* Slabs without a live block that are kept for the next blocks though their shelf has others: slots
 * of each shelf, and of all together. A program whose memory comes and goes would else fault and
 * ask for permissions all day. A shelf that nobody uses any more keeps what it has, until a trim.
 */
#define SPARE_SLOTS 16U
#define SPARE_SLOTS_ALL 64U

/* Atomic, relaxed: of all shelves; a stale one keeps a slab more or less. */
static _Atomic uint32_t spare_slots;

typedef hak_armor_shelf_t shelf_t;

/* ---- Slabs with blocks to hand out ----------------------------------------------------------- */

bool hak_armor_has_room(const hak_slab_t *slab) {
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
        hak_add_relaxed(&spare_slots, slots);
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
                      hak_load_relaxed(&spare_slots) + slab->slots <= SPARE_SLOTS_ALL;
    if (affordable) {
        set_charged(shelf, slab, true);
    }
    return affordable;
}

/* The slab gets a live block, or goes. */
void hak_armor_end_spare(shelf_t *shelf, const hak_slab_t *slab) {
    if (shelf->unpaid == slab) {
        shelf->unpaid = NULL;
    } else {
        set_charged(shelf, slab, false);
    }
}

static hak_slab_t *acquire(shelf_t *shelf, unsigned cls, unsigned arena, uint64_t seed) {
    if (shelf->random == 0) {
        shelf->random = hak_chance_derive(seed, arena * HAK_CLASSES + cls);
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
    unsigned to = (unsigned)hak_min(from + hak_max(info->carve, HAK_CHOICE_LEAST), info->capacity);
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
    if (sheet->free_bits[slab->index] < HAK_CHOICE_LEAST) {
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
    if (!hak_armor_has_room(slab)) {
        unlist(shelf, slab);
    }
}

/* A new slab only if there is nothing else to hand out. */
void hak_armor_refill(shelf_t *shelf, unsigned cls, unsigned arena, uint64_t seed) {
    if (shelf->ready_count == 0 && shelf->slabs == NULL &&
        acquire(shelf, cls, arena, seed) == NULL) {
        return;
    }
    while (shelf->ready_count < HAK_CHOICE_LEAST && shelf->slabs != NULL) {
        make_ready(shelf, shelf->slabs);
    }
    shelf->choice = (uint8_t)hak_chance_below(&shelf->random, shelf->ready_count);
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
    if (HAK_LIKELY(shelf->ready_count < HAK_CHOICE_MOST)) {
        shelf->ready[shelf->ready_count++] = block;
    } else {
        put_into_slab(shelf, block, cls);
    }
}

/* The block takes the place of one that has waited; without memory for those it goes home at once.
 */
void hak_armor_hold(shelf_t *shelf, void *block, unsigned cls) {
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
    hak_armor_end_spare(shelf, slab);
    hak_armor_slab_release(slab);
}

/* None of the slab's blocks is live: if it is not kept, those in quarantine need not wait, since
 * now all of it becomes untouchable. */
void hak_armor_keep_or_release_one(shelf_t *shelf, hak_slab_t *slab, bool go_on,
                                   hak_armor_finding_t *finding) {
    if (!may_keep(shelf, slab) &&
        (finding->fault != HAK_ARMOR_SOUND || all_sound(slab, finding) || go_on)) {
        release(shelf, slab);
    }
}

void hak_armor_trim_shelf(shelf_t *shelf, unsigned cls) {
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
