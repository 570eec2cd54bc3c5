/* large.c: see large.h.
 *
 * Threads:   static functions expect large.lock to be held.
 */
#include "large.h"

#include <string.h>

#include "address_map.h"
#include "os.h"
#include "retain.h"
#include "run_age.h"
#include "run_pages.h"
#include "run_table.h"
#include "run_watch.h"
#include "stats.h"

/* From here on a block gets addresses with room behind them, since it may be about to grow. */
#define GIANT_BYTES ((size_t)32 << 20)
#define DECAY_STEPS 4
/* A block of so many bytes takes over pages of free runs, in pieces of so many at least. */
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
/* What nobody could keep all of goes back before it counts as kept. */
#define NEVER_KEPT_BYTES ((size_t)1 << 30)

static struct {
    hak_lock_t lock;
    hak_run_t *tree;    /* all free runs */
    hak_run_age_t aged; /* free runs that may be dirty */
    hak_share_t share;
    size_t live_blocks;
    size_t free_pages;
    size_t returned_bytes; /* given back, and not wanted again since */
    uint32_t returned_ms;  /* when the last of it was */
    unsigned take_refused; /* attempts in a row to take pages over that the system refused */
    bool purge_refused;    /* once: what counts as clean need not be zero */
} large;

/* ---- Free runs ----------------------------------------------------------------------------- */

/* In the hands of a function that holds the lock, a run counts as live: no neighbour absorbs it. */
static void unlist_free(hak_run_t *run) {
    run->live = true;
    hak_run_tree_remove(&large.tree, run);
    if (run->dirty_pages != 0) {
        hak_run_age_remove(&large.aged, run);
    }
    hak_retain_sub_kept(&large.share, run->dirty_pages << hak_page_shift);
    large.free_pages -= run->pages;
}

static void list_free(hak_run_t *run) {
    run->live = false;
    hak_run_tree_insert(&large.tree, run);
    if (run->dirty_pages != 0) {
        hak_run_age_insert(&large.aged, run);
    }
    hak_retain_add_kept(&large.share, run->dirty_pages << hak_page_shift);
    large.free_pages += run->pages;
    hak_run_set_entries(run);
}

/* Takes the neighbour's pages into run. */
static void absorb(hak_run_t *run, hak_run_t *neighbour) {
    unlist_free(neighbour);
    hak_run_join_stamps(run, hak_run_bytes(run), neighbour, hak_run_bytes(neighbour));
    if (neighbour->dirty_pages >
        run->dirty_pages) { /* the greater part says how old the whole is */
        run->since_ms = neighbour->since_ms;
    }
    run->start = run->start < neighbour->start ? run->start : neighbour->start;
    run->pages += neighbour->pages;
    run->dirty_pages += neighbour->dirty_pages;
    run->zero = run->zero && neighbour->zero;
    hak_run_drop(neighbour);
}

/* run is on no list: joins it with its free neighbours and lists the whole. block: what it was, if
 * it is to be watched. Its slack comes before the next run's stamp, which an overflow may have
 * reached too. */
static hak_run_t *free_run(hak_run_t *run, const hak_run_t *block) {
    HAK_ASSERT(run->live);
    hak_run_t *left = hak_run_ending_at(run->start);
    hak_run_t *right = hak_run_starting_at(hak_run_end(run));
    hak_run_fetch_stamp(right);
    if (left != NULL && !left->live) {
        absorb(run, left);
    }
    if (block != NULL) {
        hak_run_check_slack(block, hak_run_bytes(block));
    }
    if (right != NULL && !right->live) {
        absorb(run, right);
    }
    hak_run_stamp(run, block);
    list_free(run);
    return run;
}

/* Cuts run, which is on no list, to its first pages; the rest becomes a free run. False without
 * memory for records: nothing happened. */
static bool cut_run(hak_run_t *run, size_t pages) {
    if (pages == run->pages) {
        return true;
    }
    uintptr_t border = run->start + (pages << hak_page_shift);
    hak_run_t *rest = hak_run_new();
    if (rest == NULL) {
        return false;
    }
    if (!hak_run_prepare_entry(border) || !hak_run_prepare_entry(border - hak_page_bytes())) {
        hak_run_drop(rest);
        return false;
    }
    rest->start = border;
    rest->pages = run->pages - pages;
    size_t dirty_here = run->dirty_pages == run->pages ? pages : hak_pages_count(run->start, pages);
    rest->dirty_pages = run->dirty_pages - dirty_here;
    rest->zero = run->zero;
    rest->since_ms = run->since_ms;
    rest->live = true;
    run->pages = pages;
    run->dirty_pages = dirty_here;
    hak_run_set_entries(run);
    free_run(rest, NULL);
    return true;
}

/* ---- Giving back --------------------------------------------------------------------------- */

static void purge(hak_run_t *run) {
    HAK_COUNT(purge_calls);
    run->zero = hak_os.purge((void *)run->start, hak_run_bytes(run));
    if (!run->zero) {
        HAK_COUNT(purge_failures);
        large.purge_refused = true;
    }
}

static void purge_and_list(hak_run_t *run, uint32_t now_ms) {
    if (run->dirty_pages != 0 || !run->zero) {
        purge(run);
    }
    /* What cannot be purged counts as clean all the same, lest it be tried for ever. */
    run->dirty_pages = 0;
    hak_pages_set(run->start, run->pages, false);
    run->since_ms = now_ms;
    list_free(run);
}

/* run is on no list. Unmaps the whole units in its middle [from, to); its ends become runs of
 * their own. False, and nothing happened, if there is no record to be had or the system refuses. */
static bool unmap_middle(hak_run_t *run, uintptr_t from, uintptr_t to, uint32_t now_ms) {
    hak_run_t *right = NULL;
    if (hak_run_end(run) > to && (right = hak_run_new()) == NULL) {
        return false;
    }
    hak_run_detach_entries(from, to);
    if (!hak_map_release((void *)from, to - from)) {
        hak_map_set_tags((void *)from, (to - from) >> HAK_SLOT_SHIFT, HAK_TAG_LARGE);
        /* Cannot fail: the entries just taken away are spare. */
        (void)hak_run_prepare_entry(run->start);
        (void)hak_run_prepare_entry(hak_run_end(run) - hak_page_bytes());
        if (right != NULL) {
            hak_run_drop(right);
        }
        return false;
    }
    hak_pages_drop(from, (to - from) >> hak_page_shift);
    if (right != NULL) {
        *right = *run;
        right->start = to;
        right->pages = (hak_run_end(run) - to) >> hak_page_shift;
        purge_and_list(right, now_ms);
    }
    run->pages = run->start < from ? (from - run->start) >> hak_page_shift : 0;
    if (run->pages != 0) {
        purge_and_list(run, now_ms);
    } else {
        hak_run_drop(run);
    }
    return true;
}

/* Of a free run. False, and nothing happened, as above, or where it has no whole unit. */
static bool unmap_units(hak_run_t *run, uint32_t now_ms) {
    uintptr_t from = hak_round_up(run->start, HAK_SUPERSLAB_BYTES);
    uintptr_t to = hak_round_down(hak_run_end(run), HAK_SUPERSLAB_BYTES);
    unlist_free(run);
    if (from < to && unmap_middle(run, from, to, now_ms)) {
        return true;
    }
    list_free(run);
    return false;
}

/* How many pages of the run's front, up to the border of a unit, hold so many bytes that may be
 * resident; all of its pages if that takes them. One whole unit at least, if there is one: units
 * that are purged by halves are never unmapped. */
static size_t front_pages(const hak_run_t *run, size_t bytes) {
    if (bytes >= run->dirty_pages << hak_page_shift) {
        return run->pages;
    }
    size_t left = hak_pages_of(bytes);
    uintptr_t at = run->start;
    uintptr_t to = hak_round_up(at, HAK_SUPERSLAB_BYTES) + HAK_SUPERSLAB_BYTES;
    while (to < hak_run_end(run)) {
        size_t here = hak_pages_count(at, (to - at) >> hak_page_shift);
        if (here >= left) {
            return (to - run->start) >> hak_page_shift;
        }
        left -= here;
        at = to;
        to += HAK_SUPERSLAB_BYTES;
    }
    return run->pages;
}

/* Gives back the run, which is the oldest, or as much of its front as is enough for bytes. */
static void give_back(hak_run_t *run, size_t bytes, uint32_t now_ms) {
    hak_run_take_stamp(run, hak_run_bytes(run));
    unlist_free(run);
    (void)cut_run(run, front_pages(run, bytes)); /* or all of it goes */
    uintptr_t from = hak_round_up(run->start, HAK_SUPERSLAB_BYTES);
    uintptr_t to = hak_round_down(hak_run_end(run), HAK_SUPERSLAB_BYTES);
    size_t dirty_bytes = run->dirty_pages << hak_page_shift;
    size_t dirty_kib = dirty_bytes >> 10;
    if (hak_retain_is_older(large.returned_ms, now_ms)) {
        large.returned_bytes = 0; /* what came before is forgotten */
    }
    large.returned_bytes += dirty_bytes;
    large.returned_ms = now_ms;
    if (from < to && unmap_middle(run, from, to, now_ms)) {
        HAK_COUNT_N(purged_kib, dirty_kib);
        return;
    }
    hak_run_t *rest = hak_run_starting_at(hak_run_end(run));
    if (rest != NULL && !rest->live) { /* what was cut off: it stays with the run, and goes too */
        absorb(run, rest);
    }
    purge_and_list(run, now_ms);
    HAK_COUNT_N(purged_kib, run->zero ? dirty_kib : 0);
}

static void keep_within_bounds(uint32_t now_ms) {
    size_t excess;
    while (large.aged.oldest != NULL &&
           (excess = hak_retain_own_excess(&hak_retain, &large.share, now_ms)) != 0) {
        give_back(large.aged.oldest, excess, now_ms);
    }
    for (int step = 0; step < DECAY_STEPS && large.aged.oldest != NULL; step++) {
        if (!hak_retain_is_older(large.aged.oldest->since_ms, now_ms)) {
            break;
        }
        give_back(large.aged.oldest, SIZE_MAX, now_ms);
    }
}

/* ---- Getting more -------------------------------------------------------------------------- */

/* Fresh units just mapped at start become a free run, joined with its neighbours. NULL without
 * memory for records; the units are unmapped again. */
static hak_run_t *add_units(uintptr_t start, size_t bytes) {
    hak_run_t *run = hak_run_new();
    hak_map_set_tags((void *)start, bytes >> HAK_SLOT_SHIFT, HAK_TAG_LARGE);
    if (run == NULL || !hak_pages_add(start, bytes >> hak_page_shift) ||
        !hak_run_prepare_entry(start) || !hak_run_prepare_entry(start + bytes - hak_page_bytes())) {
        if (run != NULL) {
            hak_run_drop(run);
        }
        hak_run_detach_entries(start, start + bytes);
        (void)hak_map_release((void *)start, bytes); /* at worst the addresses stay taken */
        return NULL;
    }
    run->start = start;
    run->pages = bytes >> hak_page_shift;
    run->zero = true;
    run->live = true;
    return free_run(run, NULL);
}

static hak_run_t *claim_run(size_t pages, size_t align) {
    size_t wanted = pages << hak_page_shift;
    size_t bytes = hak_round_up(wanted, HAK_SUPERSLAB_BYTES);
    hak_area_t area = wanted >= GIANT_BYTES ? HAK_AREA_GIANT : HAK_AREA_LARGE;
    void *start = hak_map_claim(bytes, hak_max(align, HAK_SUPERSLAB_BYTES), area);
    if (start == NULL) {
        return NULL;
    }
    if (hak_options.thp == 1) {
        HAK_COUNT(huge_page_calls);
        hak_os.huge_pages(start, bytes, HAK_HUGE_PLEASE);
    } else if (hak_map.huge_by_default && hak_options.thp == 0) {
        HAK_COUNT(huge_page_calls);
        hak_os.huge_pages(start, bytes, HAK_HUGE_NEVER);
    }
    return add_units((uintptr_t)start, bytes);
}

/* A free run, off all lists, that starts at a multiple of align and has exactly the pages. */
static hak_run_t *shape_run(hak_run_t *run, size_t pages, size_t align) {
    uintptr_t start = hak_round_up(run->start, align);
    unlist_free(run);
    if (start != run->start) {
        hak_run_t *front = run;
        size_t front_pages = (start - run->start) >> hak_page_shift;
        if (!cut_run(front, front_pages)) {
            list_free(front);
            return NULL;
        }
        run = hak_run_starting_at(start); /* the rest, which cut_run() listed */
        unlist_free(run);
        list_free(front);
    }
    if (!cut_run(run, pages)) {
        free_run(run, NULL);
        return NULL;
    }
    return run;
}

static hak_run_t *find_run(size_t pages, size_t align) {
    size_t slack = align > hak_page_bytes() ? (align >> hak_page_shift) - 1 : 0;
    hak_run_t *run = hak_run_tree_find(large.tree, pages + slack);
    if (run == NULL && slack != 0) { /* one that happens to be aligned */
        run = hak_run_tree_find(large.tree, pages);
        if (run != NULL && run->start % align != 0) {
            run = NULL;
        }
    }
    if (run != NULL) {
        HAK_COUNT(large_cache_hits);
    } else {
        size_t extra = align > HAK_SUPERSLAB_BYTES ? 0 : slack;
        run = claim_run(pages + (align == HAK_SUPERSLAB_BYTES ? 0 : extra), align);
    }
    return run;
}

/* A free run's pages went to other addresses. */
static void lose_pages(hak_run_t *run, uintptr_t from, size_t pages) {
    size_t lost = hak_pages_count(from, pages);
    hak_pages_set(from, pages, false);
    hak_retain_sub_kept(&large.share, lost << hak_page_shift);
    run->dirty_pages -= lost;
    if (run->dirty_pages == 0) {
        hak_run_age_remove(&large.aged, run);
        run->zero = !large.purge_refused;
    }
}

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
        large.take_refused++;
        return 0;
    }
    large.take_refused = 0;
    HAK_COUNT_N(taken_over_kib, bytes >> 10);
    lose_pages(donor, from, pages);
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
    return large.take_refused < TAKE_REFUSED_MOST || ++large.take_refused % TAKE_REFUSED_PAUSE == 0;
}

static bool may_take_over(const hak_run_t *run) {
    size_t clean_bytes = (run->pages - run->dirty_pages) << hak_page_shift;
    return large.aged.oldest != NULL && hak_run_bytes(run) >= TAKE_MIN_BYTES &&
           clean_bytes >= TAKE_PIECE_BYTES && !large.purge_refused && is_worth_a_try();
}

/* The kernel unlocks what pages are moved from, neighbours and all: so nothing is moved where
 * memory is locked (mlockall), which it does not purge either. */
static bool is_locked(uintptr_t clean_page) {
    large.purge_refused = !hak_os.purge((void *)clean_page, hak_page_bytes());
    return large.purge_refused;
}

static hak_run_t *next_donor(hak_run_t *run, unsigned *looks) {
    while (run != NULL && run->dirty_pages << hak_page_shift < TAKE_PIECE_BYTES) {
        run = ++*looks < TAKE_LOOKS ? run->newer : NULL;
    }
    return run;
}

/* run, on no list, is about to go live, and part of it is not resident. To move pages there that
 * are kept anyway, the oldest first, costs a hundredth of what faults do. */
static void take_pages_over(hak_run_t *run) {
    if (!may_take_over(run)) {
        return;
    }
    unsigned looks = 0;
    hak_run_t *donor = next_donor(large.aged.oldest, &looks);
    uintptr_t to = run->start;
    uintptr_t from = donor != NULL ? donor->start : 0;
    for (int steps = 0; steps < TAKE_STEPS && donor != NULL; steps++) {
        hak_run_t *next = donor->newer;
        size_t wanted = next_range(run, &to, false);
        if (wanted == 0 || hak_pages_mappings() >= TAKE_MAPPINGS_MOST ||
            (steps == 0 && is_locked(to))) {
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

/* A run that goes live and is not resident: it is faulted in, maybe again. */
static void note_wanted_back(const hak_run_t *run, uint32_t now_ms) {
    size_t clean = (run->pages - run->dirty_pages) << hak_page_shift;
    size_t back = hak_min(clean, large.returned_bytes);
    if (back != 0) {
        large.returned_bytes -= back;
        hak_retain_wanted_back(&hak_retain, back, hak_run_bytes(run), large.returned_ms, now_ms);
    }
}

static void make_live(hak_run_t *run, uint32_t now_ms) {
    note_wanted_back(run, now_ms);
    run->live = true;
    run->dirty_pages = 0;
    hak_run_set_entries(run);
    hak_retain_add_live(&large.share, hak_run_bytes(run));
    large.live_blocks++;
}

static void *alloc_run(size_t size, size_t align, bool *zero, bool resident) {
    hak_lock(&large.lock);
    hak_run_table_init();
    uint32_t now_ms = hak_os.now_ms();
    align = hak_max(align, hak_page_bytes());
    hak_run_t *run = hak_pages_init() ? find_run(hak_pages_of(size), align) : NULL;
    if (run != NULL) {
        hak_run_fetch_free(run, size, hak_pages_of(size) << hak_page_shift);
        run = shape_run(run, hak_pages_of(size), align);
    }
    if (run != NULL) {
        hak_run_take_stamp(run, hak_run_bytes(run));
        if (resident) {
            take_pages_over(run);
        }
        *zero = run->zero;
        make_live(run, now_ms);
        hak_run_watch(run, size, hak_run_bytes(run));
        HAK_COUNT(large_allocs);
    }
    hak_unlock(&large.lock);
    if (run == NULL) {
        return NULL;
    }
    hak_run_write_slack(run, hak_run_bytes(run)); /* the run is nobody else's by now */
    return (void *)run->start;
}

void *hak_large_alloc(size_t size, size_t align, bool *zero) {
    return alloc_run(size, align, zero, false);
}

void *hak_large_alloc_resident(size_t size, size_t align, bool *zero) {
    return alloc_run(size, align, zero, true);
}

/* ---- The live block at an address ---------------------------------------------------------- */

static hak_run_t *live_run(const void *p) {
    uintptr_t address = (uintptr_t)p;
    if (hak_page_shift == 0 || address % hak_page_bytes() != 0) {
        return NULL;
    }
    hak_run_t *run = hak_run_starting_at(address);
    return run != NULL && run->live ? run : NULL;
}

/* Else a block of terabytes, most of it never touched, would have a bit set for each page. */
static void release_whole(hak_run_t *run, uint32_t now_ms) {
    hak_run_check_slack(run, hak_run_bytes(run));
    purge(run);
    run->dirty_pages = 0;
    hak_pages_set(run->start, run->pages, false);
    run->since_ms = now_ms;
    unmap_units(free_run(run, NULL), now_ms);
}

static void release_run(hak_run_t *run, size_t dirty_pages) {
    uint32_t now_ms = hak_os.now_ms();
    const hak_run_t block = *run; /* looked at later: what was asked for comes meanwhile */
    hak_retain_sub_live(&large.share, hak_run_bytes(run));
    large.live_blocks--;
    if (dirty_pages != 0 && hak_run_bytes(run) >= NEVER_KEPT_BYTES) {
        release_whole(run, now_ms);
        return;
    }
    run->dirty_pages = dirty_pages;
    hak_pages_set(run->start, run->pages, dirty_pages != 0);
    run->zero = dirty_pages == 0;
    run->since_ms = now_ms;
    free_run(run, dirty_pages != 0 ? &block : NULL);
    keep_within_bounds(now_ms);
}

bool hak_large_free(void *p) {
    hak_lock(&large.lock);
    hak_run_t *run = live_run(p);
    if (run != NULL) {
        hak_run_fetch_live(run, hak_run_bytes(run));
        release_run(run, run->pages);
        HAK_COUNT(large_frees);
    }
    hak_unlock(&large.lock);
    HAK_ASSERT_EXPENSIVE(hak_large_is_valid());
    return run != NULL;
}

size_t hak_large_bytes(const void *p, bool for_program) {
    hak_lock(&large.lock);
    hak_run_t *run = live_run(p);
    size_t bytes = run != NULL ? hak_run_bytes(run) : 0;
    if (run != NULL && for_program) {
        hak_run_end_watch(run, bytes);
    }
    hak_unlock(&large.lock);
    return bytes;
}

static void shrink_run(hak_run_t *run, size_t pages) {
    size_t before = hak_run_bytes(run);
    if (pages == run->pages) {
        return;
    }
    run->dirty_pages = run->pages; /* all of the rest may be dirty */
    hak_pages_set(run->start, run->pages, true);
    run->since_ms = hak_os.now_ms();
    if (cut_run(run, pages)) {
        hak_retain_sub_live(&large.share, before - hak_run_bytes(run));
        keep_within_bounds(run->since_ms);
    }
    run->dirty_pages = 0;
}

/* Maps the units behind the run, or behind the free run that follows it, if they are free. */
static hak_run_t *room_behind(hak_run_t *run, size_t more_pages) {
    hak_run_t *next = hak_run_starting_at(hak_run_end(run));
    if (next != NULL && (next->live || next->pages >= more_pages)) {
        return next->live ? NULL : next;
    }
    uintptr_t end = next != NULL ? hak_run_end(next) : hak_run_end(run);
    size_t missing = more_pages - (next != NULL ? next->pages : 0);
    size_t bytes = hak_round_up(missing << hak_page_shift, HAK_SUPERSLAB_BYTES);
    if (end % HAK_SUPERSLAB_BYTES != 0 || hak_run_is_at(end) ||
        !hak_map_claim_at((void *)end, bytes) || add_units(end, bytes) == NULL) {
        return NULL;
    }
    return hak_run_starting_at(hak_run_end(run));
}

static bool grow_run(hak_run_t *run, size_t pages) {
    size_t more = pages - run->pages;
    hak_run_t *next = room_behind(run, more);
    if (next == NULL || next->pages < more) {
        return false;
    }
    uint32_t now_ms = hak_os.now_ms();
    if (shape_run(next, more, hak_page_bytes()) == NULL) {
        return false;
    }
    hak_run_take_stamp(next, hak_run_bytes(next));
    take_pages_over(next);
    note_wanted_back(next, now_ms);
    hak_retain_add_live(&large.share, hak_run_bytes(next));
    run->pages += next->pages;
    run->zero = next->zero;
    hak_run_drop(next);
    hak_run_set_entries(run);
    HAK_COUNT(large_grown);
    return true;
}

static bool resize_run(hak_run_t *run, size_t size) {
    size_t pages = hak_pages_of(size);
    hak_run_check_slack(run, hak_run_bytes(run));
    if (pages <= run->pages) {
        run->zero = false; /* its last page is the program's */
        shrink_run(run, pages);
    } else if (!grow_run(run, pages)) {
        return false;
    }
    hak_run_watch(run, size, hak_run_bytes(run));
    hak_run_write_slack(run, hak_run_bytes(run));
    return true;
}

bool hak_large_resize(void *p, size_t size) {
    hak_lock(&large.lock);
    hak_run_t *run = live_run(p);
    bool done = run != NULL && resize_run(run, size);
    hak_unlock(&large.lock);
    HAK_ASSERT_EXPENSIVE(hak_large_is_valid());
    return done;
}

/* Mapping by mapping. What is refused once some has gone is copied: there is no way back. False
 * when nothing went; *copied: not all of source is clean now. */
static bool move_pages(const hak_run_t *source, const hak_run_t *target, bool *copied) {
    uintptr_t end = hak_run_end(source);
    bool any = false;
    *copied = false;
    for (uintptr_t from = source->start; from < end;) {
        uintptr_t to = target->start + (from - source->start);
        size_t bytes = hak_pages_mapping_end(from, end) - from;
        HAK_COUNT(remap_calls);
        bool moved = hak_os.move((void *)from, (void *)to, bytes);
        hak_pages_note_moved(to, bytes >> hak_page_shift);
        any |= moved;
        if (!any) {
            return false;
        }
        if (!moved) {
            memcpy((void *)to, (void *)from, bytes);
            *copied = true;
        }
        from += bytes;
    }
    return true;
}

bool hak_large_move(void *to, void *from) {
    bool moved = false;
    hak_lock(&large.lock);
    hak_run_t *source = live_run(from);
    hak_run_t *target = live_run(to);
    if (source != NULL && target != NULL && source->pages <= target->pages &&
        hak_run_bytes(source) >= HAK_LARGE_MOVE_MIN) {
        hak_run_check_slack(source, hak_run_bytes(source));
        bool copied;
        moved = move_pages(source, target, &copied);
        if (moved) {
            source->slack = 0; /* it went with the last page */
            if (source->pages == target->pages) {
                hak_run_watch_again(target, hak_run_bytes(target));
            }
            release_run(source, copied ? source->pages : 0);
            HAK_COUNT(large_moved);
        }
    }
    hak_unlock(&large.lock);
    return moved;
}

hak_large_place_t hak_large_place(const void *p) {
    hak_large_place_t place = {HAK_LARGE_FREE, NULL, 0};
    hak_lock(&large.lock);
    hak_run_t *run = hak_page_shift != 0 ? hak_run_covering((uintptr_t)p) : NULL;
    if (run != NULL) {
        bool starts = run->start == (uintptr_t)p;
        place.kind = !run->live ? HAK_LARGE_FREE : starts ? HAK_LARGE_LIVE : HAK_LARGE_INTERIOR;
        place.start = (void *)run->start;
        place.bytes = hak_run_bytes(run);
    }
    hak_unlock(&large.lock);
    return place;
}

void hak_large_each_live_locked(bool (*visit)(void *start, size_t bytes, void *context),
                                void *context) {
    char *unit = NULL;
    while (hak_page_shift != 0 && (unit = hak_map_next_unit(unit)) != NULL) {
        if (!hak_run_is_at((uintptr_t)unit) || hak_map_record(unit) == NULL) {
            continue; /* not ours, or the middle of a run */
        }
        for (size_t at = 0; at < HAK_SUPERSLAB_BYTES; at += hak_page_bytes()) {
            hak_run_t *run = hak_run_starting_at((uintptr_t)unit + at);
            if (run != NULL && run->live &&
                !visit((void *)run->start, hak_run_bytes(run), context)) {
                return;
            }
        }
    }
}

void hak_large_shed(size_t bytes) {
    hak_lock(&large.lock);
    uint32_t now_ms = hak_os.now_ms();
    size_t keep = large.share.retained_bytes - hak_min(bytes, large.share.retained_bytes);
    while (large.share.retained_bytes > keep) {
        give_back(large.aged.oldest, large.share.retained_bytes - keep, now_ms);
    }
    hak_unlock(&large.lock);
}

void hak_large_keep_bound(void) {
    size_t excess = hak_retain_excess(&hak_retain, hak_os.now_ms());
    if (HAK_UNLIKELY(excess != 0)) {
        hak_large_shed(excess);
    }
}

/* Units of which no page is resident are worth nothing but their addresses, which may be scarce. */
static bool unmap_clean(uint32_t now_ms) {
    const size_t pages =
        (2 * HAK_SUPERSLAB_BYTES >> hak_page_shift) - 1; /* a whole unit in any case */
    bool gave = false;
    hak_run_t *run;
    while (hak_page_shift != 0 && (run = hak_run_tree_find(large.tree, pages)) != NULL &&
           unmap_units(run, now_ms)) {
        gave = true;
    }
    return gave;
}

bool hak_large_trim(void) {
    hak_lock(&large.lock);
    bool gave = large.aged.oldest != NULL;
    uint32_t now_ms = hak_os.now_ms();
    while (large.aged.oldest != NULL) {
        give_back(large.aged.oldest, SIZE_MAX, now_ms);
    }
    gave |= unmap_clean(now_ms);
    hak_unlock(&large.lock);
    return gave;
}

void hak_large_gauges(hak_large_gauges_t *out) {
    hak_lock(&large.lock);
    *out = (hak_large_gauges_t){
        .live_bytes = large.share.live_bytes,
        .live_blocks = large.live_blocks,
        .free_bytes = large.free_pages << hak_page_shift,
        .retained_bytes = large.share.retained_bytes,
        .bound_bytes = hak_retain_bound(&hak_retain),
    };
    hak_unlock(&large.lock);
}

hak_lock_t *hak_large_own_lock(void) {
    return &large.lock;
}

static bool bits_agree(const hak_run_t *tree) {
    return tree == NULL || (tree->dirty_pages == hak_pages_count(tree->start, tree->pages) &&
                            bits_agree(tree->left) && bits_agree(tree->right));
}

bool hak_large_is_valid(void) {
    hak_lock(&large.lock);
    size_t pages = 0;
    size_t dirty = 0;
    bool valid = hak_run_tree_is_valid(large.tree, &pages, &dirty) && pages == large.free_pages &&
                 dirty << hak_page_shift == large.share.retained_bytes && bits_agree(large.tree);
    for (hak_run_t *run = large.aged.oldest; run != NULL && valid; run = run->newer) {
        hak_run_t *left = hak_run_ending_at(run->start);
        hak_run_t *right = hak_run_starting_at(hak_run_end(run));
        valid = run->dirty_pages != 0 && !run->live && hak_run_starting_at(run->start) == run &&
                hak_run_ending_at(hak_run_end(run)) == run && (left == NULL || left->live) &&
                (right == NULL || right->live);
    }
    hak_unlock(&large.lock);
    return valid;
}
