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

/* Boost falls with what is live, so that a burst that ends takes most of its boost with it; not
 * all, or a program that builds up 15 MB and drops them, ten times, has 23,000 faults rather than
 * 6,000. One that allocates and frees a single large block over and over has nothing live half of
 * the time: the size of such a block counts too. Where blocks of many MiB come and go, what is kept
 * must be some of them: of 16 blocks of 5 to 25 MB, replaced 1,600 times at random, with two kept
 * 2,580 a second at 312 MiB, with four 3,620 at 345 MiB, with six 3,370 at 369 MiB. */
HAK_INLINE size_t hak_retain_boost(const hak_retain_t *r) {
    size_t live = hak_load_relaxed(&r->live_bytes);
    size_t pulse = hak_load_relaxed(&r->pulse_bytes);
    size_t retain = (size_t)hak_options.retain << 20;
    size_t share = hak_max(live / 4, hak_max(pulse, hak_min(live, HAK_PULSES_KEPT * pulse)));
    size_t most = hak_max(share, HAK_PULSE_RETAINS * retain) + retain;
    return hak_min(hak_load_relaxed(&r->boost_bytes), most);
}

/* base: what may be kept anyway. A program whose live memory swings by blocks of many MiB would
 * give back at each low what it wants at the next high: the workload above, 1,600 times, 206,000
 * faults instead of 306,000. As much as boost at most, so that a small pulse does not keep much. */
HAK_INLINE size_t hak_retain_dip(const hak_retain_t *r, size_t base) {
    size_t live = hak_load_relaxed(&r->live_bytes);
    size_t peak = hak_load_relaxed(&r->peak_bytes);
    size_t below = peak - hak_min(live + base, peak);
    return hak_min(below, hak_min(live / 4, hak_load_relaxed(&r->boost_bytes)));
}

HAK_INLINE size_t hak_retain_bound(const hak_retain_t *r) {
    size_t part = hak_load_relaxed(&r->live_bytes) / 100 * hak_options.retain_share;
    size_t base = hak_max((size_t)hak_options.retain << 20, part);
    return base + hak_retain_boost(r) + hak_retain_dip(r, base);
}

/* Bytes to give back now. */
HAK_INLINE size_t hak_retain_excess(hak_retain_t *r, uint32_t now_ms) {
    size_t boost = hak_load_relaxed(&r->boost_bytes);
    uint32_t since_ms = hak_load_relaxed(&r->boost_ms);
    if (boost != 0 && hak_retain_is_older(since_ms, now_ms)) {
        size_t halvings = (now_ms - since_ms) / hak_max(hak_options.decay_ms, 1U);
        boost = halvings < 32 ? boost >> halvings : 0;
        hak_store_relaxed(&r->boost_bytes, boost < 4096 ? 0 : boost);
        hak_store_relaxed(&r->pulse_bytes, 0);
        hak_store_relaxed(&r->boost_ms, now_ms);
    }
    size_t bound = hak_retain_bound(r);
    size_t retained = hak_load_relaxed(&r->retained_bytes);
    return retained > bound ? retained - bound : 0;
}

/* The same for the tier that has just freed: first the other's go, which are older and of no use to
 * it. hak_pool_keep_bound() and hak_large_keep_bound() see to those. */
HAK_INLINE size_t hak_retain_own_excess(hak_retain_t *r, const hak_share_t *share,
                                        uint32_t now_ms) {
    size_t excess = hak_retain_excess(r, now_ms);
    size_t total = hak_load_relaxed(&r->retained_bytes);
    size_t others = total - hak_min(share->retained_bytes, total);
    return excess - hak_min(others, excess);
}

/* bytes that were given back at purged_ms are about to be used again, in a piece of which the rest
 * may be resident. Had boost grown by just that much, a swing of 100 MiB would be faulted in once
 * more before all of it is kept. */
HAK_INLINE void hak_retain_wanted_back(hak_retain_t *r, size_t bytes, size_t piece,
                                       uint32_t purged_ms, uint32_t now_ms) {
    if (hak_retain_is_older(purged_ms, now_ms)) {
        return;
    }
    size_t pulse = hak_max(hak_load_relaxed(&r->pulse_bytes), piece);
    hak_store_relaxed(&r->pulse_bytes, hak_min(pulse, HAK_PULSE_MAX_BYTES));
    hak_add_relaxed(&r->boost_bytes, 2 * bytes);
    hak_store_relaxed(&r->boost_bytes, hak_retain_boost(r));
    hak_store_relaxed(&r->boost_ms, now_ms);
}

/* Live memory has just grown: by how much all of it is above what it may be, the peak there was and
 * boost, as far as that is kept memory, which can go. Where nothing can, the peak rises. A little
 * stays, or a program that grows would have its next small pulse faulted in anew each time. */
HAK_INLINE size_t hak_retain_over_peak(hak_retain_t *r) {
    size_t retained = hak_load_relaxed(&r->retained_bytes);
    size_t total = hak_load_relaxed(&r->live_bytes) + retained;
    size_t most = hak_load_relaxed(&r->peak_bytes) + hak_retain_boost(r);
    if (HAK_LIKELY(total <= most)) {
        return 0;
    }
    size_t spare = hak_min(hak_retain_boost(r), HAK_SPARE_BYTES);
    size_t over = hak_min(total - most, retained - hak_min(spare, retained));
    hak_add_relaxed(&r->peak_bytes, total - most - over);
    return over;
}

#endif
