/* large.c: see large.h.
 *
 * Threads:   static functions expect large.lock to be held.
 */
#include "large.h"

#include <string.h>

#include "address_map.h"
#include "os.h"
#include "run_free.h"
#include "run_pages.h"
#include "run_take.h"
#include "run_watch.h"
#include "stats.h"

/* What nobody could keep all of goes back before it counts as kept. */
#define NEVER_KEPT_BYTES ((size_t)1 << 30)

static struct {
    hak_lock_t lock; /* of free runs, too */
    size_t live_blocks;
} large;

static hak_run_t *obtain_live(size_t size, size_t align, bool resident) {
    uint32_t now_ms = hak_os.now_ms();
    hak_run_t *run = hak_runs_obtain(size, align, now_ms);
    if (run == NULL) {
        return NULL;
    }
    if (resident) {
        hak_runs_take_over(run);
    }
    hak_runs_note_wanted_back(run, now_ms);
    run->dirty_pages = 0;
    hak_retain_add_live(&hak_runs_share, hak_run_bytes(run));
    return run;
}

static void *alloc_run(size_t size, size_t align, bool *zero, bool resident) {
    hak_lock(&large.lock);
    hak_run_table_init();
    hak_run_t *run = align <= hak_page_bytes() ? hak_runs_take_waiting(size) : NULL;
    if (run == NULL) {
        run = obtain_live(size, hak_max(align, hak_page_bytes()), resident);
    }
    if (run != NULL) {
        *zero = run->zero;
        hak_run_watch(run, size, hak_run_bytes(run));
        large.live_blocks++;
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

static bool is_block(const hak_run_t *run) {
    return run->live && !run->waits;
}

static hak_run_t *live_run(const void *p) {
    uintptr_t address = (uintptr_t)p;
    if (hak_page_shift == 0 || address % hak_page_bytes() != 0) {
        return NULL;
    }
    hak_run_t *run = hak_run_starting_at(address);
    return run != NULL && is_block(run) ? run : NULL;
}

static void release_run(hak_run_t *run, size_t dirty_pages) {
    uint32_t now_ms = hak_os.now_ms();
    const hak_run_t block = *run; /* looked at later: what was asked for comes meanwhile */
    hak_retain_sub_live(&hak_runs_share, hak_run_bytes(run));
    large.live_blocks--;
    if (dirty_pages != 0 && hak_run_bytes(run) >= NEVER_KEPT_BYTES) {
        hak_run_check_slack(run, hak_run_bytes(run));
        hak_runs_free_purged(run, now_ms);
        return;
    }
    run->dirty_pages = dirty_pages;
    hak_pages_set(run->start, run->pages, dirty_pages != 0);
    run->zero = dirty_pages == 0;
    run->since_ms = now_ms;
    hak_runs_free(run, dirty_pages != 0 ? &block : NULL);
    hak_runs_keep_within_bounds(now_ms);
}

hak_large_freed_t hak_large_free(void *p) {
    hak_large_freed_t freed = HAK_LARGE_NO_BLOCK;
    hak_lock(&large.lock);
    hak_run_t *run = live_run(p);
    if (run != NULL) {
        hak_run_fetch_live(run, hak_run_bytes(run));
        freed = HAK_LARGE_FREED;
        bool looked;
        if (!hak_runs_let_wait(run, &looked)) {
            release_run(run, run->pages);
        } else {
            large.live_blocks--;
            freed = looked ? HAK_LARGE_FREED : HAK_LARGE_WAITS;
        }
        HAK_COUNT(large_frees);
    }
    hak_unlock(&large.lock);
    HAK_ASSERT_EXPENSIVE(hak_large_is_valid());
    return freed;
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
    if (hak_runs_cut(run, pages)) {
        hak_retain_sub_live(&hak_runs_share, before - hak_run_bytes(run));
        hak_runs_keep_within_bounds(run->since_ms);
    }
    run->dirty_pages = 0;
}

static bool grow_run(hak_run_t *run, size_t pages) {
    size_t more = pages - run->pages;
    uint32_t now_ms = hak_os.now_ms();
    hak_run_t *next = hak_runs_obtain_behind(run, more, now_ms);
    if (next == NULL) {
        return false;
    }
    hak_runs_take_over(next);
    hak_runs_note_wanted_back(next, now_ms);
    hak_retain_add_live(&hak_runs_share, hak_run_bytes(next));
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
        place.kind = !is_block(run) ? HAK_LARGE_FREE : starts ? HAK_LARGE_LIVE : HAK_LARGE_INTERIOR;
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
            if (run != NULL && is_block(run) &&
                !visit((void *)run->start, hak_run_bytes(run), context)) {
                return;
            }
        }
    }
}

void hak_large_shed(size_t bytes) {
    hak_lock(&large.lock);
    hak_runs_shed(bytes, hak_os.now_ms());
    hak_unlock(&large.lock);
}

void hak_large_keep_bound(void) {
    size_t excess = hak_retain_excess(&hak_retain, hak_os.now_ms());
    if (HAK_UNLIKELY(excess != 0)) {
        hak_large_shed(excess);
    }
}

bool hak_large_trim(void) {
    hak_lock(&large.lock);
    bool gave = hak_runs_trim(hak_os.now_ms());
    hak_unlock(&large.lock);
    return gave;
}

void hak_large_gauges(hak_large_gauges_t *out) {
    hak_lock(&large.lock);
    *out = (hak_large_gauges_t){
        .live_bytes = hak_runs_share.live_bytes - hak_runs_waiting_bytes(),
        .live_blocks = large.live_blocks,
        .free_bytes = hak_runs_free_bytes() + hak_runs_waiting_bytes(),
        .retained_bytes = hak_runs_share.retained_bytes + hak_runs_waiting_bytes(),
        .bound_bytes = hak_retain_bound(&hak_retain),
    };
    hak_unlock(&large.lock);
}

hak_lock_t *hak_large_own_lock(void) {
    return &large.lock;
}

bool hak_large_is_valid(void) {
    hak_lock(&large.lock);
    bool valid = hak_runs_are_valid();
    hak_unlock(&large.lock);
    return valid;
}
