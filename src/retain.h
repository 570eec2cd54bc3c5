/* retain.h: how much freed memory may be kept, and when it is too much.
 *
 * Owns:      the bound and how it moves; the sums over the tiers that it is made of.
 * Knows not: what is kept or how it is given back.
 * Threads:   a tier's share is guarded by the tier's lock. The sums are atomic, relaxed: they
 *            decide how much is kept, never what; a stale one moves a purge to the next occasion.
 *
 *   bound = max(HAKMEM_RETAIN MiB, HAKMEM_RETAIN_SHARE % of live) + boost + dip
 *
 * What is freed beyond the bound is given back at once, by the thread that frees it, so that an
 * idle program is small without a helper thread. When memory that was given back is wanted again
 * within the decay time, boost grows by twice as much, so that a pulsing program does not fault all
 * day; boost halves with each decay time that passes, and is itself bounded by a share of live and
 * a few times what may be kept anyway. As much again may be kept as live and kept memory are below
 * the most that they ever were together: that raises no peak.
 *
 * What one tier keeps is of no use to another. So when live and kept memory together are about to
 * be more than they ever were, kept memory goes first: hak_retain_over_peak().
 */
#ifndef HAK_RETAIN_H
#define HAK_RETAIN_H

#include "atomic.h"
#include "config.h"
#include "options.h"

typedef struct {
    _Atomic size_t live_bytes;
    _Atomic size_t retained_bytes;
    _Atomic size_t boost_bytes;
    _Atomic size_t pulse_bytes; /* the largest piece that was wanted back, while boost lasts */
    _Atomic size_t peak_bytes;  /* the most that live and retained memory were together */
    _Atomic uint32_t boost_ms;  /* when boost last changed */
} hak_retain_t;

/* A tier's part of the sums. */
typedef struct {
    size_t live_bytes;
    size_t retained_bytes;
} hak_share_t;

extern HAK_HIDDEN hak_retain_t hak_retain;

HAK_INLINE void hak_retain_add_live(hak_share_t *share, size_t bytes) {
    share->live_bytes += bytes;
    hak_add_relaxed(&hak_retain.live_bytes, bytes);
}

HAK_INLINE void hak_retain_sub_live(hak_share_t *share, size_t bytes) {
    share->live_bytes -= bytes;
    hak_sub_relaxed(&hak_retain.live_bytes, bytes);
}

HAK_INLINE void hak_retain_add_kept(hak_share_t *share, size_t bytes) {
    share->retained_bytes += bytes;
    hak_add_relaxed(&hak_retain.retained_bytes, bytes);
}

HAK_INLINE void hak_retain_sub_kept(hak_share_t *share, size_t bytes) {
    share->retained_bytes -= bytes;
    hak_sub_relaxed(&hak_retain.retained_bytes, bytes);
}

/* Times are of a clock that wraps; differences below 24 days are right. */
HAK_INLINE bool hak_retain_is_older(uint32_t since_ms, uint32_t now_ms) {
    return (int32_t)(now_ms - since_ms) > (int32_t)hak_options.decay_ms;
}

/* What boost comes to now. */
size_t hak_retain_boost(const hak_retain_t *r);
size_t hak_retain_bound(const hak_retain_t *r);
/* Bytes to give back now. */
size_t hak_retain_excess(hak_retain_t *r, uint32_t now_ms);
/* The same for the tier that has just freed: first the other's go, which are older and of no use to
 * it. hak_pool_keep_bound() and hak_large_keep_bound() see to those. */
size_t hak_retain_own_excess(hak_retain_t *r, const hak_share_t *share, uint32_t now_ms);
/* bytes that were given back at purged_ms are about to be used again, in a piece of which the rest
 * may be resident. */
void hak_retain_wanted_back(hak_retain_t *r, size_t bytes, size_t piece, uint32_t purged_ms,
                            uint32_t now_ms);
/* Live memory has just grown: by how much all of it is above what it may be, the peak there was and
 * boost, as far as that is kept memory, which can go. Where nothing can, the peak rises. */
size_t hak_retain_over_peak(hak_retain_t *r);

#endif
