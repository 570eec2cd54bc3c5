/* retain.c: see retain.h.
 *
 * Threads:   see retain.h.
 */
#include "retain.h"

hak_retain_t hak_retain;

/* Boost falls with what is live, so that a burst that ends takes most of its boost with it; not
 * all, or a program that builds up 15 MB and drops them, ten times, has 23,000 faults rather than
 * 6,000. One that allocates and frees a single large block over and over has nothing live half of
 * the time: the size of such a block counts too. Where blocks of many MiB come and go, what is kept
 * must be some of them: of 16 blocks of 5 to 25 MB, replaced 1,600 times at random, with two kept
 * 2,580 a second at 312 MiB, with four 3,620 at 345 MiB, with six 3,370 at 369 MiB. */
HAK_INLINE size_t boost_of(const hak_retain_t *r) {
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
HAK_INLINE size_t dip_of(const hak_retain_t *r, size_t base) {
    size_t live = hak_load_relaxed(&r->live_bytes);
    size_t peak = hak_load_relaxed(&r->peak_bytes);
    size_t below = peak - hak_min(live + base, peak);
    return hak_min(below, hak_min(live / 4, hak_load_relaxed(&r->boost_bytes)));
}

HAK_INLINE size_t bound_of(const hak_retain_t *r) {
    size_t part = hak_load_relaxed(&r->live_bytes) / 100 * hak_options.retain_share;
    size_t base = hak_max((size_t)hak_options.retain << 20, part);
    return base + boost_of(r) + dip_of(r, base);
}

size_t hak_retain_boost(const hak_retain_t *r) {
    return boost_of(r);
}

size_t hak_retain_bound(const hak_retain_t *r) {
    return bound_of(r);
}

size_t hak_retain_excess(hak_retain_t *r, uint32_t now_ms) {
    size_t boost = hak_load_relaxed(&r->boost_bytes);
    uint32_t since_ms = hak_load_relaxed(&r->boost_ms);
    if (boost != 0 && hak_retain_is_older(since_ms, now_ms)) {
        size_t halvings = (now_ms - since_ms) / hak_max(hak_options.decay_ms, 1U);
        boost = halvings < 32 ? boost >> halvings : 0;
        hak_store_relaxed(&r->boost_bytes, boost < 4096 ? 0 : boost);
        hak_store_relaxed(&r->pulse_bytes, 0);
        hak_store_relaxed(&r->boost_ms, now_ms);
    }
    size_t bound = bound_of(r);
    size_t retained = hak_load_relaxed(&r->retained_bytes);
    return retained > bound ? retained - bound : 0;
}

size_t hak_retain_own_excess(hak_retain_t *r, const hak_share_t *share, uint32_t now_ms) {
    size_t excess = hak_retain_excess(r, now_ms);
    size_t total = hak_load_relaxed(&r->retained_bytes);
    size_t others = total - hak_min(share->retained_bytes, total);
    return excess - hak_min(others, excess);
}

/* Had boost grown by just that much, a swing of 100 MiB would be faulted in once more before all of
 * it is kept. */
void hak_retain_wanted_back(hak_retain_t *r, size_t bytes, size_t piece, uint32_t purged_ms,
                            uint32_t now_ms) {
    if (hak_retain_is_older(purged_ms, now_ms)) {
        return;
    }
    size_t pulse = hak_max(hak_load_relaxed(&r->pulse_bytes), piece);
    hak_store_relaxed(&r->pulse_bytes, hak_min(pulse, HAK_PULSE_MAX_BYTES));
    hak_add_relaxed(&r->boost_bytes, 2 * bytes);
    hak_store_relaxed(&r->boost_bytes, boost_of(r));
    hak_store_relaxed(&r->boost_ms, now_ms);
}

/* A little stays, or a program that grows would have its next small pulse faulted in anew each
 * time. */
size_t hak_retain_over_peak(hak_retain_t *r) {
    size_t retained = hak_load_relaxed(&r->retained_bytes);
    size_t total = hak_load_relaxed(&r->live_bytes) + retained;
    size_t most = hak_load_relaxed(&r->peak_bytes) + boost_of(r);
    if (HAK_LIKELY(total <= most)) {
        return 0;
    }
    size_t spare = hak_min(boost_of(r), HAK_SPARE_BYTES);
    size_t over = hak_min(total - most, retained - hak_min(spare, retained));
    hak_add_relaxed(&r->peak_bytes, total - most - over);
    return over;
}
