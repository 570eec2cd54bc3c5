/* armor_check.c: all blocks of the hardened mode at once: fetched, trimmed, looked at.
 *
 * Threads:   functions named _locked expect every lock to be held; the others take them.
 */
#include "armor.h"
#include "armor_away.h"
#include "pool.h"
#include "stats.h"

/* Takes the lock. Nothing can be told here: a slab in which something was written stays, for the
 * next who looks. */
static void fetch(hak_armor_shelf_t *shelf, unsigned cls, void *unused) {
    hak_armor_finding_t untold = {.fault = HAK_ARMOR_SOUND};
    (void)unused;
    hak_lock(&shelf->lock);
    hak_away_take_home(shelf, cls, false, &untold);
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
    hak_arena_each_shelf(fetch, NULL);
}

bool hak_armor_trim(void) {
    uint64_t before = hak_load_relaxed(&hak_counters.released_slabs);
    hak_armor_fetch();
    hak_arena_each_shelf(trim, NULL);
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
    hak_arena_each_shelf(check_away, &check);
    return check.count;
}

bool hak_armor_is_live_locked(const hak_slab_t *slab, unsigned index, size_t *size) {
    const hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
    const hak_note_t *note = &sheet->notes[slab->index][index];
    bool live = hak_note_state(note) == HAK_LIVE;
    *size = note->size;
    return live;
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
    return &hak_armor_shelves[hak_arena_at(block, cls)][cls] == shelf;
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
    hak_arena_lock_all();
    books_t books = {.valid = hak_armor_check_locked(NULL, 0) == 0};
    hak_pool_each_slab(check_books, &books);
    for (unsigned i = 0; i < HAK_ARENAS * HAK_CLASSES; i++) {
        check_shelf(&hak_armor_shelves[i / HAK_CLASSES][i % HAK_CLASSES], i % HAK_CLASSES, &books);
    }
    hak_arena_unlock_all();
    return books.valid && books.missing == 0;
}
