/* pool.c: see pool.h.
 *
 * Threads:   static functions expect the pool's lock to be held, unless they say that they take it.
 */
#include "pool.h"

#include "message.h"
#include "os.h"
#include "pool_return.h"
#include "stats.h"

/* SuperSlabs looked at for a run of slots before a fresh one is preferred: bounds the lock. */
#define RUN_TRIES 32

/* ---- Acquire and release -------------------------------------------------------------------- */

/* The lowest naturally aligned run of count bits in bits, or -1. */
static int find_run(uint32_t bits, unsigned count) {
    switch (count) {
    case 1:
        break;
    case 2:
        bits = bits & (bits >> 1) & 0x55555555U;
        break;
    default:
        bits = bits & (bits >> 1);
        bits = bits & (bits >> 2) & 0x11111111U;
        break;
    }
    return bits == 0 ? -1 : __builtin_ctz(bits);
}

static hak_slab_t *acquire_stage1(unsigned cls) {
    hak_slab_t *slab = hak_pool.empties.by_class[cls];
    if (slab == NULL) {
        return NULL;
    }
    hak_superslab_t *ss = hak_slab_superslab(slab);
    HAK_COUNT(stage1);
    if (hak_options.ss_acquire_debug) {
        hak_message_trace("[SP_ACQUIRE_STAGE1] class=%u reusing EMPTY slot (ss=%p slab=%u)", cls,
                          (void *)ss->base, slab->index);
    }
    return hak_slots_reuse(slab);
}

static void trace_stage2(const hak_superslab_t *ss, int first, unsigned cls) {
    if (hak_options.ss_acquire_debug) {
        hak_message_trace("[SP_ACQUIRE_STAGE2] class=%u using %s slot (ss=%p slab=%d)", cls,
                          (ss->empty >> first) & 1 ? "EMPTY" : "UNUSED", (void *)ss->base, first);
    }
}

typedef enum { ONLY_EMPTY, ONLY_UNUSED, EMPTY_OR_UNUSED } which_slots_t;

static uint32_t slots_of(const hak_superslab_t *ss, which_slots_t which) {
    uint32_t unused = ~(ss->active | ss->empty);
    return which == ONLY_EMPTY ? ss->empty : which == ONLY_UNUSED ? unused : unused | ss->empty;
}

/* The fullest SuperSlab with room. */
static hak_slab_t *acquire_stage2(unsigned cls, which_slots_t which, int tries_max,
                                  uint32_t now_ms) {
    unsigned count = hak_class_info[cls].slots;
    int tries = 0;
    for (uint32_t bits = hak_pool.partly.bucket_bits; bits != 0;) {
        unsigned fullest = 31 - (unsigned)__builtin_clz(bits);
        bits &= ~((uint32_t)1 << fullest);
        for (hak_superslab_t *ss = hak_pool.partly.buckets[fullest]; ss != NULL; ss = ss->next) {
            int first = find_run(slots_of(ss, which), count);
            if (first >= 0) {
                HAK_COUNT(stage2);
                trace_stage2(ss, first, cls);
                return hak_slots_take(ss, (unsigned)first, cls, now_ms);
            }
            if (++tries == tries_max) {
                return NULL;
            }
        }
    }
    return NULL;
}

static hak_slab_t *acquire_stage3(unsigned cls, hak_superslab_t *ss, bool from_lru,
                                  uint32_t now_ms) {
    HAK_COUNT(stage3);
    if (hak_options.ss_acquire_debug) {
        hak_message_trace("[SP_ACQUIRE_STAGE3] class=%u new SuperSlab (ss=%p from_lru=%d)", cls,
                          (void *)ss->base, from_lru);
    }
    unsigned count = hak_class_info[cls].slots;
    int first = find_run(ss->empty, count);
    return hak_slots_take(ss, (unsigned)(first >= 0 ? first : find_run(~ss->active, count)), cls,
                          now_ms);
}

static hak_slab_t *acquire_from_lru(unsigned cls, bool only_dirty, uint32_t now_ms) {
    hak_superslab_t *ss = hak_pool.lru.newest;
    if (ss == NULL && !only_dirty) {
        ss = hak_pool.clean.newest;
    }
    if (ss == NULL) {
        return NULL;
    }
    hak_lru_leave(ss);
    return acquire_stage3(cls, ss, true, now_ms);
}

static hak_slab_t *acquire_from_system(unsigned cls, bool grown, uint32_t now_ms) {
    hak_superslab_t *ss = hak_slots_map(grown);
    if (ss == NULL) {
        return NULL;
    }
    if (hak_pool.evicted != 0) {
        hak_pool.evicted--;
        hak_retain_wanted_back(&hak_retain, HAK_SUPERSLAB_BYTES, HAK_SUPERSLAB_BYTES,
                               hak_pool.evicted_ms, now_ms);
    }
    return acquire_stage3(cls, ss, false, now_ms);
}

/* Memory that is resident comes first, wherever it is: it costs no page fault and no memory. */
static hak_slab_t *acquire_resident(unsigned cls, uint32_t now_ms) {
    hak_slab_t *slab = acquire_stage1(cls);
    if (slab == NULL && hak_pool.empties.newest != NULL) {
        slab = acquire_stage2(cls, ONLY_EMPTY, RUN_TRIES, now_ms);
    }
    return slab != NULL ? slab : acquire_from_lru(cls, true, now_ms);
}

static hak_slab_t *acquire_any(unsigned cls, bool grown, uint32_t now_ms) {
    hak_slab_t *slab = acquire_stage2(cls, EMPTY_OR_UNUSED, RUN_TRIES, now_ms);
    if (slab == NULL) {
        slab = acquire_from_lru(cls, false, now_ms);
    }
    if (slab == NULL) {
        slab = acquire_from_system(cls, grown, now_ms);
    }
    if (slab == NULL) { /* no memory: now the search may take as long as it takes */
        slab = acquire_stage2(cls, EMPTY_OR_UNUSED, INT32_MAX, now_ms);
    }
    return slab;
}

hak_slab_t *hak_pool_acquire_resident(unsigned cls) {
    hak_lock(&hak_pool.lock);
    hak_slab_t *slab = acquire_resident(cls, hak_os.now_ms());
    hak_unlock(&hak_pool.lock);
    return slab;
}

hak_slab_t *hak_pool_acquire_sparse(unsigned cls) {
    hak_lock(&hak_pool.lock);
    uint32_t now_ms = hak_os.now_ms();
    hak_slab_t *slab = acquire_stage1(cls);
    if (slab == NULL) {
        slab = acquire_stage2(cls, ONLY_UNUSED, RUN_TRIES, now_ms);
    }
    hak_unlock(&hak_pool.lock);
    return slab;
}

/* The caller's new slab is the first in its SuperSlab: its first touch brings the huge page. Takes
 * the lock afterwards only, since that takes a while. A thread that loses its processor meanwhile
 * finds the page dear, and some do without that need not; where another thread has the next slab
 * and is quicker, a dear page goes unnoticed once. */
static HAK_COLD void touch_huge_page(const hak_slab_t *slab) {
    uint32_t begin_us = hak_os.now_us();
    HAK_COUNT(populate_calls);
    if (!hak_os.populate(hak_slab_base(slab), hak_map.page_bytes)) {
        return; /* before Linux 5.14; one call for 2 MiB */
    }
    uint32_t took_us = hak_os.now_us() - begin_us;
    hak_lock(&hak_pool.lock);
    hak_slots_note_huge_page(took_us > HAK_HUGE_DEAR_US);
    hak_unlock(&hak_pool.lock);
}

hak_slab_t *hak_pool_acquire(unsigned cls, bool grown) {
    HAK_ASSERT_EXPENSIVE(hak_pool_is_valid());
    hak_lock(&hak_pool.lock);
    uint32_t now_ms = hak_os.now_ms();
    uint8_t huge_tries = hak_pool.huge_tries;
    hak_slab_t *slab = acquire_resident(cls, now_ms);
    if (slab == NULL) {
        slab = acquire_any(cls, grown, now_ms);
    }
    bool is_huge = hak_pool.huge_tries != huge_tries;
    hak_unlock(&hak_pool.lock);
    if (HAK_UNLIKELY(is_huge)) {
        touch_huge_page(slab);
    }
    return slab;
}

void hak_pool_release(hak_slab_t *slab) {
    HAK_ASSERT(slab->free_count == hak_load_relaxed(&slab->carved));
    HAK_ASSERT(!slab->listed && hak_load_relaxed(&slab->remote) == 0);
    hak_lock(&hak_pool.lock);
    hak_superslab_t *ss = hak_slab_superslab(slab);
    uint32_t now_ms = hak_os.now_ms();
    HAK_COUNT(released_slabs);
    hak_slots_release(slab, now_ms);
    if (hak_options.ss_free_debug) {
        hak_message_trace("[SP_SLOT_RELEASE] ss=%p slab_idx=%u class=%u used=0 (marking EMPTY)",
                          (void *)ss->base, slab->index, slab->cls);
        hak_message_trace("[SP_SLOT_FREELIST] class=%u pushed slot count=%zu active_slots=%d/%d",
                          slab->cls, hak_pool.empties.counts[slab->cls],
                          __builtin_popcount(ss->active), HAK_SLOTS);
    }
    if (ss->active == 0) {
        hak_lru_enter(ss, now_ms);
    }
    hak_pool_keep_within_bounds(now_ms);
    hak_unlock(&hak_pool.lock);
    HAK_ASSERT_EXPENSIVE(hak_pool_is_valid());
}

void hak_pool_shed(size_t bytes) {
    hak_lock(&hak_pool.lock);
    uint32_t now_ms = hak_os.now_ms();
    size_t keep = hak_pool.share.retained_bytes - hak_min(bytes, hak_pool.share.retained_bytes);
    while (hak_pool.share.retained_bytes > keep && hak_pool_give_back_oldest(now_ms)) {
    }
    hak_unlock(&hak_pool.lock);
}

void hak_pool_keep_bound(void) {
    size_t excess = hak_retain_excess(&hak_retain, hak_os.now_ms());
    if (HAK_UNLIKELY(excess != 0)) {
        hak_pool_shed(excess);
    }
}

void hak_pool_prewarm(size_t count) {
    hak_lock(&hak_pool.lock);
    uint32_t now_ms = hak_os.now_ms();
    for (size_t i = 0; i < count; i++) {
        hak_superslab_t *ss = hak_slots_map(false);
        if (ss == NULL) {
            break;
        }
        hak_lru_enter(ss, now_ms);
    }
    hak_unlock(&hak_pool.lock);
}

bool hak_pool_trim(void) {
    hak_lock(&hak_pool.lock);
    uint32_t now_ms = hak_os.now_ms();
    size_t before = hak_pool.share.retained_bytes + hak_lru_count() * HAK_SUPERSLAB_BYTES;
    for (size_t left = hak_lru_count(); left > 0; left--) {
        hak_lru_evict(hak_pool.lru.oldest != NULL ? hak_pool.lru.oldest : hak_pool.clean.oldest,
                      now_ms);
    }
    while (hak_pool.empties.oldest != NULL) {
        hak_slots_purge(hak_pool.empties.oldest, now_ms);
    }
    bool gave = hak_pool.share.retained_bytes + hak_lru_count() * HAK_SUPERSLAB_BYTES < before;
    hak_unlock(&hak_pool.lock);
    return gave;
}

void hak_pool_gauges(hak_pool_gauges_t *out) {
    hak_lock(&hak_pool.lock);
    size_t active = hak_pool.share.live_bytes / HAK_SLOT_BYTES;
    *out = (hak_pool_gauges_t){
        .superslabs_now = hak_pool.superslabs_now,
        .superslabs_peak = hak_pool.superslabs_peak,
        .superslabs_in_lru = hak_lru_count(),
        .slots_active = active,
        .slots_empty = hak_pool.slots_empty,
        .slots_unused = hak_pool.superslabs_now * HAK_SLOTS - active - hak_pool.slots_empty,
        .retained_bytes = hak_pool.share.retained_bytes,
        .bound_bytes = hak_retain_bound(&hak_retain),
    };
    hak_unlock(&hak_pool.lock);
}

hak_superslab_t *hak_pool_next_superslab(const hak_superslab_t *after) {
    hak_superslab_t *ss = after != NULL ? after->all_next : hak_pool.all;
    while (ss != NULL && !ss->mapped) {
        ss = ss->all_next;
    }
    return ss;
}

void hak_pool_each_slab(void (*visit)(hak_slab_t *slab, void *context), void *context) {
    hak_superslab_t *ss = NULL;
    while ((ss = hak_pool_next_superslab(ss)) != NULL) {
        for (unsigned i = 0; i < HAK_SLOTS; i++) {
            hak_slab_t *slab = &ss->slabs[i];
            if (slab->state == HAK_SLOT_ACTIVE && slab->first == i) {
                visit(slab, context);
            }
        }
    }
}

void hak_pool_lock(void) {
    hak_lock(&hak_pool.lock);
}

bool hak_pool_try_lock(void) {
    return hak_lock_try(&hak_pool.lock);
}

void hak_pool_unlock(void) {
    hak_unlock(&hak_pool.lock);
}

hak_lock_t *hak_pool_own_lock(void) {
    return &hak_pool.lock;
}

/* ---- Validity -------------------------------------------------------------------------------- */

static bool superslab_is_valid(const hak_superslab_t *ss, size_t *retained, size_t *active) {
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        const hak_slab_t *slab = &ss->slabs[i];
        bool is_active = (ss->active >> i) & 1;
        bool is_empty = (ss->empty >> i) & 1;
        if (slab->index != i || is_active != (slab->state == HAK_SLOT_ACTIVE) ||
            is_empty != (slab->state == HAK_SLOT_EMPTY)) {
            return false;
        }
        uint8_t tag = hak_map_tag(ss->base + i * HAK_SLOT_BYTES);
        if (hak_tag_is_class(tag) != is_active || (is_empty && tag != HAK_TAG_EMPTY)) {
            return false;
        }
        *active += is_active;
        *retained += is_empty ? (size_t)slab->dirty_pages * HAK_DIRTY_PAGE_BYTES : 0;
    }
    return hak_map_record(ss->base) == ss;
}

bool hak_pool_is_valid(void) {
    hak_lock(&hak_pool.lock);
    size_t retained = 0;
    size_t active = 0;
    size_t superslabs = 0;
    bool valid = hak_empties_is_valid(&hak_pool.empties) && hak_buckets_is_valid(&hak_pool.partly);
    for (hak_superslab_t *ss = hak_pool.all; ss != NULL && valid; ss = ss->all_next) {
        if (ss->mapped) {
            superslabs++;
            valid = superslab_is_valid(ss, &retained, &active) && (ss->active == 0) == ss->in_lru;
        }
    }
    valid = valid && retained == hak_pool.share.retained_bytes &&
            active * HAK_SLOT_BYTES == hak_pool.share.live_bytes &&
            superslabs == hak_pool.superslabs_now;
    hak_unlock(&hak_pool.lock);
    return valid;
}
