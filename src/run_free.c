/* run_free.c: see run_free.h. */
#include "run_free.h"

#include "address_map.h"
#include "os.h"
#include "run_age.h"
#include "run_index.h"
#include "run_pages.h"
#include "run_watch.h"
#include "stats.h"

/* From here on a block gets addresses with room behind them, since it may be about to grow. */
#define GIANT_BYTES ((size_t)32 << 20)
#define DECAY_STEPS 4
/* Blocks freed last that wait for others of their sizes: so many, of so many bytes each at most,
 * and such a part of HAKMEM_RETAIN. */
#define WAIT_COUNT 8
#define WAIT_BYTES ((size_t)128 << 10)
#define WAIT_SHARE 32
/* Where all that wait are wanted back, one in so many that are freed has a look at bounds. */
#define WAIT_LOOK 64
/* What grows by more in place asks for addresses first: they may well be refused, and metadata is
 * never given back. */
#define REACH_BYTES ((size_t)256 << 20)

static hak_run_index_t free_runs; /* all of them */

static struct {
    hak_run_t *waiting[WAIT_COUNT]; /* the oldest first; neither blocks nor free runs */
    unsigned waiting_count;
    unsigned unlooked;  /* blocks freed since bounds were looked at */
    hak_run_age_t aged; /* those that may be dirty */
    size_t free_pages;
    size_t returned_bytes; /* given back, and not wanted again since */
    uint32_t returned_ms;  /* when the last of it was */
    bool purge_refused;    /* once: what counts as clean need not be zero */
} runs;

hak_share_t hak_runs_share;

/* ---- Lists --------------------------------------------------------------------------------- */

/* In the hands of a function that holds the lock, a run counts as live: no neighbour absorbs it. */
static void unlist_free(hak_run_t *run) {
    run->live = true;
    hak_run_index_remove(&free_runs, run);
    if (run->dirty_pages != 0) {
        hak_run_age_remove(&runs.aged, run);
    }
    hak_retain_sub_kept(&hak_runs_share, run->dirty_pages << hak_page_shift);
    runs.free_pages -= run->pages;
}

static void list_free(hak_run_t *run) {
    run->live = false;
    hak_run_index_insert(&free_runs, run);
    if (run->dirty_pages != 0) {
        hak_run_age_insert(&runs.aged, run);
    }
    hak_retain_add_kept(&hak_runs_share, run->dirty_pages << hak_page_shift);
    runs.free_pages += run->pages;
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

/* The block's slack comes before the next run's stamp, which an overflow may have reached too. */
hak_run_t *hak_runs_free(hak_run_t *run, const hak_run_t *block) {
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

/* As hak_runs_cut(). No free run follows one that was free: the rest has nothing to join. */
static bool cut(hak_run_t *run, size_t pages, bool was_free) {
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
    if (was_free) {
        list_free(rest);
    } else {
        hak_runs_free(rest, NULL);
    }
    return true;
}

bool hak_runs_cut(hak_run_t *run, size_t pages) {
    return cut(run, pages, false);
}

/* ---- Waiting ----------------------------------------------------------------------------------
 *
 * Many a program frees some buffers and allocates others of the same sizes: then nothing is joined
 * or cut, and nobody asks for the time. Any other request for memory comes after they have become
 * free, so that the same runs are there to choose from. They count as live meanwhile. */

static void stop_waiting(unsigned which) {
    runs.waiting[which]->waits = false;
    runs.waiting_count--;
    for (; which < runs.waiting_count; which++) {
        runs.waiting[which] = runs.waiting[which + 1];
    }
}

/* The oldest become free runs, but for so many. */
static void settle_waiting(unsigned but, uint32_t now_ms) {
    while (runs.waiting_count > but) {
        hak_run_t *run = runs.waiting[0];
        stop_waiting(0);
        runs.unlooked = WAIT_LOOK;
        run->dirty_pages = run->pages;
        run->since_ms = now_ms;
        hak_retain_sub_live(&hak_runs_share, hak_run_bytes(run));
        hak_pages_set(run->start, run->pages, true);
        hak_runs_free(run, NULL);
    }
}

bool hak_runs_let_wait(hak_run_t *run, bool *looked) {
    size_t bytes = hak_run_bytes(run);
    size_t part = ((size_t)hak_options.retain << 20) / WAIT_SHARE;
    if (bytes > hak_min(part, WAIT_BYTES) || hak_options.decay_ms == 0) {
        return false;
    }
    hak_run_check_slack(run, bytes); /* before the stamps that an overflow may have reached */
    *looked = runs.waiting_count == WAIT_COUNT || ++runs.unlooked >= WAIT_LOOK;
    if (*looked) {
        uint32_t now_ms = hak_os.now_ms();
        settle_waiting(WAIT_COUNT - 1, now_ms);
        hak_runs_keep_within_bounds(now_ms);
    }
    run->zero = false;
    run->waits = true;
    hak_run_stamp(run, run);
    runs.waiting[runs.waiting_count++] = run;
    return true;
}

hak_run_t *hak_runs_take_waiting(size_t size) {
    size_t pages = hak_pages_of(size);
    for (unsigned i = runs.waiting_count; i-- > 0;) {
        hak_run_t *run = runs.waiting[i];
        if (run->pages == pages) {
            HAK_COUNT(large_cache_hits);
            stop_waiting(i);
            hak_run_take_stamp(run, hak_run_bytes(run));
            return run;
        }
    }
    return NULL;
}

size_t hak_runs_waiting_bytes(void) {
    size_t bytes = 0;
    for (unsigned i = 0; i < runs.waiting_count; i++) {
        bytes += hak_run_bytes(runs.waiting[i]);
    }
    return bytes;
}

/* ---- Giving back --------------------------------------------------------------------------- */

static void purge(hak_run_t *run) {
    HAK_COUNT(purge_calls);
    run->zero = hak_os.purge((void *)run->start, hak_run_bytes(run));
    if (!run->zero) {
        HAK_COUNT(purge_failures);
        runs.purge_refused = true;
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
    (void)cut(run, front_pages(run, bytes), true); /* or all of it goes */
    uintptr_t from = hak_round_up(run->start, HAK_SUPERSLAB_BYTES);
    uintptr_t to = hak_round_down(hak_run_end(run), HAK_SUPERSLAB_BYTES);
    size_t dirty_bytes = run->dirty_pages << hak_page_shift;
    size_t dirty_kib = dirty_bytes >> 10;
    if (hak_retain_is_older(runs.returned_ms, now_ms)) {
        runs.returned_bytes = 0; /* what came before is forgotten */
    }
    runs.returned_bytes += dirty_bytes;
    runs.returned_ms = now_ms;
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

void hak_runs_keep_within_bounds(uint32_t now_ms) {
    runs.unlooked = 0;
    size_t excess;
    while (runs.aged.oldest != NULL &&
           (excess = hak_retain_own_excess(&hak_retain, &hak_runs_share, now_ms)) != 0) {
        give_back(runs.aged.oldest, excess, now_ms);
    }
    for (int step = 0; step < DECAY_STEPS && runs.aged.oldest != NULL; step++) {
        if (!hak_retain_is_older(runs.aged.oldest->since_ms, now_ms)) {
            break;
        }
        give_back(runs.aged.oldest, SIZE_MAX, now_ms);
    }
}

/* Its pages go first: else a block of terabytes, most of it never touched, would have a bit set for
 * each page. */
void hak_runs_free_purged(hak_run_t *run, uint32_t now_ms) {
    purge(run);
    run->dirty_pages = 0;
    hak_pages_set(run->start, run->pages, false);
    run->since_ms = now_ms;
    unmap_units(hak_runs_free(run, NULL), now_ms);
}

void hak_runs_shed(size_t bytes, uint32_t now_ms) {
    size_t keep = hak_runs_share.retained_bytes - hak_min(bytes, hak_runs_share.retained_bytes);
    while (hak_runs_share.retained_bytes > keep) {
        give_back(runs.aged.oldest, hak_runs_share.retained_bytes - keep, now_ms);
    }
}

/* Units of which no page is resident are worth nothing but their addresses, which may be scarce. */
static bool unmap_clean(uint32_t now_ms) {
    const size_t pages =
        (2 * HAK_SUPERSLAB_BYTES >> hak_page_shift) - 1; /* a whole unit in any case */
    bool gave = false;
    hak_run_t *run;
    while (hak_page_shift != 0 && (run = hak_run_index_find(&free_runs, pages)) != NULL &&
           unmap_units(run, now_ms)) {
        gave = true;
    }
    return gave;
}

bool hak_runs_trim(uint32_t now_ms) {
    settle_waiting(0, now_ms);
    bool gave = runs.aged.oldest != NULL;
    while (runs.aged.oldest != NULL) {
        give_back(runs.aged.oldest, SIZE_MAX, now_ms);
    }
    return unmap_clean(now_ms) || gave;
}

/* ---- Getting more -------------------------------------------------------------------------- */

/* Fresh units just mapped at start become a free run, joined with its neighbours. NULL without
 * memory for records; the units are unmapped again. */
static HAK_COLD hak_run_t *add_units(uintptr_t start, size_t bytes) {
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
    return hak_runs_free(run, NULL);
}

static hak_run_t *claim_run(size_t pages, size_t align) {
    size_t wanted = pages << hak_page_shift;
    size_t bytes = hak_round_up(wanted, HAK_SUPERSLAB_BYTES);
    hak_area_t area = wanted >= GIANT_BYTES ? HAK_AREA_GIANT : HAK_AREA_LARGE;
    void *start = hak_run_reserve(bytes > HAK_SUPERSLAB_BYTES ? 2 : 1)
                      ? hak_map_claim(bytes, hak_max(align, HAK_SUPERSLAB_BYTES), area)
                      : NULL;
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
        if (!cut(front, front_pages, true)) {
            list_free(front);
            return NULL;
        }
        run = hak_run_starting_at(start); /* the rest, which cut() listed */
        unlist_free(run);
        list_free(front);
    }
    if (!cut(run, pages, true)) {
        hak_runs_free(run, NULL);
        return NULL;
    }
    return run;
}

static hak_run_t *find_run(size_t pages, size_t align) {
    size_t slack = align > hak_page_bytes() ? (align >> hak_page_shift) - 1 : 0;
    hak_run_t *run = hak_run_index_find(&free_runs, pages + slack);
    if (run == NULL && slack != 0) { /* one that happens to be aligned */
        run = hak_run_index_find(&free_runs, pages);
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

hak_run_t *hak_runs_obtain(size_t size, size_t align, uint32_t now_ms) {
    settle_waiting(0, now_ms);
    size_t pages = hak_pages_of(size);
    hak_run_t *run = hak_pages_init() ? find_run(pages, align) : NULL;
    if (run == NULL) {
        return NULL;
    }
    hak_run_fetch_free(run, size, pages << hak_page_shift);
    run = shape_run(run, pages, align);
    if (run != NULL) {
        hak_run_take_stamp(run, hak_run_bytes(run));
    }
    return run;
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
    /* Metadata comes first, the bits of the pages where they are few: if there is no memory for it,
     * and then the system refuses to unmap as well, the run could not grow in place again. */
    if (end % HAK_SUPERSLAB_BYTES != 0 || hak_run_is_at(end) ||
        !hak_run_reserve(bytes > HAK_SUPERSLAB_BYTES ? 2 : 1) ||
        (bytes <= REACH_BYTES && !hak_pages_reach(end, bytes >> hak_page_shift)) ||
        !hak_map_claim_at((void *)end, bytes) || add_units(end, bytes) == NULL) {
        return NULL;
    }
    return hak_run_starting_at(hak_run_end(run));
}

hak_run_t *hak_runs_obtain_behind(hak_run_t *run, size_t pages, uint32_t now_ms) {
    settle_waiting(0, now_ms);
    hak_run_t *next = room_behind(run, pages);
    next = next != NULL && next->pages >= pages ? shape_run(next, pages, hak_page_bytes()) : NULL;
    if (next != NULL) {
        hak_run_take_stamp(next, hak_run_bytes(next));
    }
    return next;
}

void hak_runs_note_wanted_back(const hak_run_t *run, uint32_t now_ms) {
    size_t clean = (run->pages - run->dirty_pages) << hak_page_shift;
    size_t back = hak_min(clean, runs.returned_bytes);
    if (back != 0) {
        runs.returned_bytes -= back;
        hak_retain_wanted_back(&hak_retain, back, hak_run_bytes(run), runs.returned_ms, now_ms);
    }
}

/* ---- For who moves pages -------------------------------------------------------------------- */

hak_run_t *hak_runs_oldest(void) {
    return runs.aged.oldest;
}

bool hak_runs_purge_was_refused(void) {
    return runs.purge_refused;
}

bool hak_runs_is_locked(uintptr_t clean_page) {
    runs.purge_refused = !hak_os.purge((void *)clean_page, hak_page_bytes());
    return runs.purge_refused;
}

void hak_runs_lose_pages(hak_run_t *run, uintptr_t from, size_t pages) {
    size_t lost = hak_pages_count(from, pages);
    hak_pages_set(from, pages, false);
    hak_retain_sub_kept(&hak_runs_share, lost << hak_page_shift);
    run->dirty_pages -= lost;
    if (run->dirty_pages == 0) {
        hak_run_age_remove(&runs.aged, run);
        run->zero = !runs.purge_refused;
    }
}

/* ---- Figures and validity ------------------------------------------------------------------- */

size_t hak_runs_free_bytes(void) {
    return runs.free_pages << hak_page_shift;
}

static bool bits_agree(const hak_run_t *tree) {
    return tree == NULL || (tree->dirty_pages == hak_pages_count(tree->start, tree->pages) &&
                            bits_agree(tree->left) && bits_agree(tree->right));
}

bool hak_runs_are_valid(void) {
    size_t pages = 0;
    size_t dirty = 0;
    bool valid = hak_run_index_is_valid(&free_runs, &pages, &dirty) && pages == runs.free_pages &&
                 dirty << hak_page_shift == hak_runs_share.retained_bytes;
    for (unsigned bin = 0; bin < HAK_RUN_BINS && valid; bin++) {
        valid = bits_agree(free_runs.trees[bin]);
    }
    for (unsigned i = 0; i < runs.waiting_count; i++) {
        const hak_run_t *run = runs.waiting[i];
        valid = valid && run->live && run->waits && run->stamped &&
                hak_run_starting_at(run->start) == run;
    }
    for (hak_run_t *run = runs.aged.oldest; run != NULL && valid; run = run->newer) {
        hak_run_t *left = hak_run_ending_at(run->start);
        hak_run_t *right = hak_run_starting_at(hak_run_end(run));
        valid = run->dirty_pages != 0 && !run->live && hak_run_starting_at(run->start) == run &&
                hak_run_ending_at(hak_run_end(run)) == run && (left == NULL || left->live) &&
                (right == NULL || right->live);
    }
    return valid;
}
