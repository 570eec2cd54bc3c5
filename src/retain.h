/* retain.h: how much freed memory a tier may keep, and when it has kept too much.
 *
 * Owns:      the bound and how it moves.
 * Knows not: what is kept or how it is given back.
 * Threads:   guarded by the lock of the tier that owns the hak_retain_t.
 *
 *   bound = max(HAKMEM_RETAIN MiB, HAKMEM_RETAIN_SHARE % of live) + boost
 *
 * What is freed beyond the bound is given back at once, by the thread that frees it, so that an
 * idle program is small without a helper thread. When memory that was given back is wanted again
 * within the decay time, boost grows by it, so that a pulsing program does not fault all day;
 * boost halves with each decay time that passes, and is itself bounded by a share of live.
 */
#ifndef HAK_RETAIN_H
#define HAK_RETAIN_H

#include "config.h"
#include "options.h"

typedef struct {
    size_t live_bytes;
    size_t retained_bytes;
    size_t boost_bytes;
    uint32_t boost_ms; /* when boost last changed */
} hak_retain_t;

/* Times are of a clock that wraps; differences below 24 days are right. */
HAK_INLINE bool hak_retain_is_older(uint32_t since_ms, uint32_t now_ms) {
    return now_ms - since_ms > hak_options.decay_ms;
}

HAK_INLINE size_t hak_retain_bound(const hak_retain_t *r) {
    size_t share = r->live_bytes / 100 * hak_options.retain_share;
    return hak_max((size_t)hak_options.retain << 20, share) + r->boost_bytes;
}

/* Bytes to give back now. */
HAK_INLINE size_t hak_retain_excess(hak_retain_t *r, uint32_t now_ms) {
    if (r->boost_bytes != 0 && hak_retain_is_older(r->boost_ms, now_ms)) {
        r->boost_bytes = r->boost_bytes < 4096 ? 0 : r->boost_bytes / 2;
        r->boost_ms = now_ms;
    }
    size_t bound = hak_retain_bound(r);
    return r->retained_bytes > bound ? r->retained_bytes - bound : 0;
}

/* bytes that were given back at purged_ms are about to be used again. */
HAK_INLINE void hak_retain_wanted_back(hak_retain_t *r, size_t bytes, uint32_t purged_ms,
                                       uint32_t now_ms) {
    if (hak_retain_is_older(purged_ms, now_ms)) {
        return;
    }
    size_t pulse = hak_min(bytes, HAK_PULSE_MAX_BYTES); /* a loop of one large malloc and free */
    size_t limit = hak_max(r->live_bytes / 4, pulse) + ((size_t)hak_options.retain << 20);
    r->boost_bytes = hak_min(r->boost_bytes + bytes, limit);
    r->boost_ms = now_ms;
}

#endif
