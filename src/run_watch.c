/* run_watch.c: see run_watch.h.
 *
 * Threads:   see run_watch.h.
 */
#include "run_watch.h"

#include "canary.h"
#include "message.h"

/* Next to the block and at the end of the page: what runs over passes the first, what writes in
 * front of the next block the second. A cache line each, since all of it would be up to a page. */
#define EDGE_BYTES HAK_CACHE_LINE
_Static_assert(EDGE_BYTES == HAK_PAIRS_LINE, "what is longer than a line has one at each end");

static size_t edge_bytes(const hak_run_t *run) {
    return hak_min(run->slack, EDGE_BYTES);
}

void hak_run_watch(hak_run_t *run, size_t asked, size_t bytes) {
    size_t slack = bytes - asked; /* of many pages where a block was to shrink and could not */
    run->slack = slack <= UINT16_MAX ? (uint16_t)slack : 0;
}

void hak_run_write_slack(const hak_run_t *run, size_t bytes) {
    uintptr_t end = run->start + bytes;
    if (run->slack == 0 || run->zero) {
        return;
    }
    if (run->slack < EDGE_BYTES) {
        hak_canary_write((void *)(end - run->slack), run->slack);
        return;
    }
    hak_canary_write_line((void *)(end - run->slack));
    hak_canary_write_line((void *)(end - EDGE_BYTES));
}

static const void *edge_damage(const hak_run_t *run, uintptr_t at) {
    size_t edge = edge_bytes(run);
    if (edge == EDGE_BYTES && !run->zero && HAK_LIKELY(hak_canary_line_is_whole((void *)at))) {
        return NULL;
    }
    return run->zero ? hak_zero_damage((void *)at, edge) : hak_canary_damage((void *)at, edge);
}

void hak_run_check_slack(const hak_run_t *run, size_t bytes) {
    if (run->slack == 0) {
        return;
    }
    void *block = (void *)run->start;
    uintptr_t end = run->start + bytes;
    size_t asked = bytes - run->slack;
    const void *near = edge_damage(run, run->start + asked);
    if (HAK_UNLIKELY(near != NULL)) {
        hak_message_fatal_about(block,
                                "heap overflow past %p (large, %zu bytes): %p was written to",
                                block, asked, near);
    }
    const void *far = edge_damage(run, end - edge_bytes(run));
    if (HAK_UNLIKELY(far != NULL)) {
        hak_message_fatal_about(block,
                                "heap underflow before %p: %p was written to (behind %p, large, "
                                "%zu bytes)",
                                (void *)end, far, block, asked);
    }
}

void hak_run_watch_again(hak_run_t *run, size_t bytes) {
    run->zero = false;
    hak_run_write_slack(run, bytes);
}

void hak_run_end_watch(hak_run_t *run, size_t bytes) {
    hak_run_check_slack(run, bytes);
    run->slack = 0;
}

void hak_run_fetch_free(const hak_run_t *run, size_t asked, size_t bytes) {
    hak_run_fetch_stamp(run);
    if (!run->zero) {
        __builtin_prefetch((void *)(run->start + asked), 1);
        __builtin_prefetch((void *)(run->start + bytes - 1), 1);
    }
}

void hak_run_fetch_live(const hak_run_t *run, size_t bytes) {
    uintptr_t end = run->start + bytes;
    __builtin_prefetch((void *)run->start, 1);
    if (run->slack != 0) {
        __builtin_prefetch((void *)(end - run->slack));
        __builtin_prefetch((void *)(end - run->slack + edge_bytes(run) - 1));
        __builtin_prefetch((void *)(end - 1));
    }
}

void hak_run_fetch_stamp(const hak_run_t *run) {
    if (run != NULL && run->stamped) {
        __builtin_prefetch((void *)run->start);
    }
}

void hak_run_stamp(hak_run_t *run, const hak_run_t *block) {
    if (block != NULL && run->start == block->start) {
        run->stamped = true;
        hak_canary_write_line((void *)run->start);
    }
}

void hak_run_take_stamp(hak_run_t *run, size_t bytes) {
    if (!run->stamped) {
        return;
    }
    if (HAK_UNLIKELY(!hak_canary_line_is_whole((void *)run->start))) {
        const void *changed = hak_canary_damage((void *)run->start, EDGE_BYTES);
        hak_message_fatal_about((void *)run->start,
                                "use after free: %p was written to after it was freed (in %zu free "
                                "bytes at %p)",
                                changed, bytes, (void *)run->start);
    }
    run->stamped = false;
}

void hak_run_join_stamps(hak_run_t *run, size_t bytes, hak_run_t *neighbour,
                         size_t neighbour_bytes) {
    if (run->start < neighbour->start) {
        hak_run_take_stamp(neighbour, neighbour_bytes);
    } else {
        hak_run_take_stamp(run, bytes);
        run->stamped = neighbour->stamped;
    }
}
