// What threads that vanished may have cost at most, and what the allocator says of itself.
#ifndef LOSSES_H
#define LOSSES_H

#include <dlfcn.h>
#include <malloc.h>

#include "../../include/hakmem.h"
#include "stress_util.h"

typedef struct {
    size_t times, bytes; // two blocks at most each time
} losses_t;

typedef struct {
    long rss_kib;
    hak_stats_t stats; // zeros under another malloc
} footprint_t;

// After a trim. Other threads must be gone: what is in their bins counts as live.
static inline footprint_t footprint_now(void) {
    int (*get)(hak_stats_t *) = NULL;
    void *symbol = dlsym(RTLD_DEFAULT, "hak_stats_get");
    footprint_t now;
    memset(&now, 0, sizeof now);
    memcpy(&get, &symbol, sizeof symbol);
    malloc_trim(0);
    now.rss_kib = stress_rss_kib();
    now.stats.struct_bytes = sizeof now.stats;
    if (get != NULL && get(&now.stats) != 0) {
        STRESS_FAIL("hak_stats_get() fails\n");
    }
    return now;
}

// heaps: what the program's threads can need at most.
static inline void footprint_check(const char *name, const footprint_t *before,
                                   const footprint_t *after, const losses_t *losses, size_t heaps) {
    // Rounding is an eighth at most, or 16 bytes, or a page.
    size_t blocks = 2 * losses->times;
    size_t bytes = losses->bytes + losses->bytes / 8 + blocks * 4096;
    long rss_kib = before->rss_kib + (long)(bytes >> 10) + 8 * 1024;
    if (after->rss_kib > rss_kib) {
        STRESS_FAIL("%s: RSS %ld KiB, was %ld, %zu bytes may be lost\n", name, after->rss_kib,
                    before->rss_kib, bytes);
    }
    if (after->stats.live_blocks > before->stats.live_blocks + blocks ||
        after->stats.live_bytes > before->stats.live_bytes + bytes) {
        STRESS_FAIL("%s: %zu blocks, %zu bytes live; were %zu, %zu; %zu, %zu may be lost\n", name,
                    after->stats.live_blocks, after->stats.live_bytes, before->stats.live_blocks,
                    before->stats.live_bytes, blocks, bytes);
    }
    if (after->stats.heaps > heaps || after->stats.orphaned_heaps > after->stats.heaps) {
        STRESS_FAIL("%s: %zu heaps, %zu without a thread, where %zu are enough\n", name,
                    after->stats.heaps, after->stats.orphaned_heaps, heaps);
    }
}

#endif
