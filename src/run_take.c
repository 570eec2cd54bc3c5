/* run_take.c: see run_take.h. */
#include "run_take.h"

#include "os.h"
#include "run_free.h"
#include "run_pages.h"
#include "run_watch.h"
#include "stats.h"

/* A run of so many bytes takes over pages, in pieces of so many at least. */
#define TAKE_MIN_BYTES ((size_t)1 << 20)
#define TAKE_PIECE_BYTES ((size_t)256 << 10)
/* Pieces moved, and free runs looked at: bounds the lock. */
#define TAKE_STEPS 64
#define TAKE_LOOKS 512
/* Each may be a mapping of its own; a process has 65,530 unless it was told otherwise. */
#define TAKE_MAPPINGS_MOST 8192
/* Refused so often in a row, it is tried again once in so many times. */
#define TAKE_REFUSED_MOST 8
#define TAKE_REFUSED_PAUSE 1024

/* Attempts in a row that the system refused; guarded by the large tier's lock. */
static unsigned take_refused;

/* From a free run to one on no list. How many bytes; 0 when the system refuses. */
static size_t move_piece(hak_run_t *donor, uintptr_t from, uintptr_t to, size_t bytes) {
    size_t pages = bytes >> hak_page_shift;
    if (from == donor->start) {
        hak_run_take_stamp(donor, hak_run_bytes(donor));
    }
    HAK_COUNT(remap_calls);
    bool moved = hak_os.move((void *)from, (void *)to, bytes);
    hak_pages_note_moved(to, pages); /* or mapped anew */
    if (!moved) {
        take_refused++;
        return 0;
    }
    take_refused = 0;
    HAK_COUNT_N(taken_over_kib, bytes >> 10);
    hak_runs_lose_pages(donor, from, pages);
    hak_pages_set(to, pages, true);
    return bytes;
}

/* The next range, from *at on, of pages that may be resident, and are one mapping, or that are not
 * resident; its bytes, which are enough for a piece, or 0 at the end of the run. */
static size_t next_range(const hak_run_t *run, uintptr_t *at, bool resident) {
    uintptr_t end = hak_run_end(run);
    while (*at < end) {
        *at = hak_pages_next(*at, end, resident);
        uintptr_t to = hak_pages_next(*at, end, !resident);
        to = resident && *at < to ? hak_pages_mapping_end(*at, to) : to;
        if (to - *at >= TAKE_PIECE_BYTES) {
            return to - *at;
        }
        *at = to;
    }
    return 0;
}

static bool is_worth_a_try(void) {
    return take_refused < TAKE_REFUSED_MOST || ++take_refused % TAKE_REFUSED_PAUSE == 0;
}

static bool may_take_over(const hak_run_t *run) {
    size_t clean_bytes = (run->pages - run->dirty_pages) << hak_page_shift;
    return hak_runs_oldest() != NULL && hak_run_bytes(run) >= TAKE_MIN_BYTES &&
           clean_bytes >= TAKE_PIECE_BYTES && !hak_runs_purge_was_refused() && is_worth_a_try();
}

static hak_run_t *next_donor(hak_run_t *run, unsigned *looks) {
    while (run != NULL && run->dirty_pages << hak_page_shift < TAKE_PIECE_BYTES) {
        run = ++*looks < TAKE_LOOKS ? run->newer : NULL;
    }
    return run;
}

void hak_runs_take_over(hak_run_t *run) {
    if (!may_take_over(run)) {
        return;
    }
    unsigned looks = 0;
    hak_run_t *donor = next_donor(hak_runs_oldest(), &looks);
    uintptr_t to = run->start;
    uintptr_t from = donor != NULL ? donor->start : 0;
    for (int steps = 0; steps < TAKE_STEPS && donor != NULL; steps++) {
        hak_run_t *next = donor->newer;
        size_t wanted = next_range(run, &to, false);
        if (wanted == 0 || hak_pages_mappings() >= TAKE_MAPPINGS_MOST ||
            (steps == 0 && hak_runs_is_locked(to))) {
            return;
        }
        size_t there = next_range(donor, &from, true);
        size_t moved = there != 0 ? move_piece(donor, from, to, hak_min(wanted, there)) : 0;
        if (there != 0 && moved == 0) {
            return;
        }
        if (moved != 0) {
            run->zero = false;
            run->dirty_pages += moved >> hak_page_shift;
            from += moved;
            to += moved;
        }
        if (moved == 0 || donor->dirty_pages == 0) {
            donor = next_donor(next, &looks);
            from = donor != NULL ? donor->start : 0;
        }
    }
}
