/* pool_case.h: what the pool's test programs share: a pool at rest, slabs as a heap would use them.
 *
 * Owns:      the start of each case: options by default, counters at 0, nothing ACTIVE, nothing
 *            kept, a clock that stands still, far from all earlier cases.
 */
#ifndef POOL_CASE_H
#define POOL_CASE_H

#include "fake_os.h"
#include "options.h"
#include "pool.h"
#include "pool_slots.h"
#include "stats.h"

#define CLASS_64 3        /* 64 bytes, one slot */
#define CLASS_80 4        /* 80 bytes, one slot */
#define CLASS_16K 68      /* 16 KiB, two slots */
#define CLASS_32K 76      /* 32 KiB, four slots */
#define MIB ((size_t)1 << 20)

static hak_options_t pool_case_options;

static inline int pool_case_set_up_group(void **state) {
    (void)state;
    pool_case_options = hak_options;
    fake_os_install();
    fake_os_set_clock(1000);
    return hak_map_init() ? 0 : -1;
}

/* What a case that failed has left behind. */
static inline void pool_case_release(hak_slab_t *slab, void *context) {
    (void)context;
    slab->free_count = hak_load_relaxed(&slab->carved);
    hak_pool_release(slab);
}

static inline int pool_case_set_up(void **state) {
    (void)state;
    hak_pool_gauges_t gauges;
    fake_os_reset();
    fake_os_capture(false);
    hak_options = pool_case_options;
    hak_pool_each_slab(pool_case_release, NULL);
    hak_pool_trim();
    fake_os.now_ms += 10000000; /* what was returned before is not wanted back soon */
    memset((void *)&hak_counters, 0, sizeof hak_counters);
    fake_os_reset();
    fake_os.populate_us = 1; /* the machine's own huge pages may be dear */
    hak_pool.huge_skips = hak_pool.huge_patience = 0;
    hak_pool_gauges(&gauges);
    return gauges.slots_active == 0 && gauges.superslabs_now == 0 ? 0 : -1;
}

static inline hak_pool_gauges_t pool_gauges(void) {
    hak_pool_gauges_t gauges;
    hak_pool_gauges(&gauges);
    return gauges;
}

static inline hak_slab_t *pool_acquire(unsigned cls) {
    hak_slab_t *slab = hak_pool_acquire(cls, false);
    assert_true(hak_pool_is_valid());
    return slab;
}

/* As if blocks of so many bytes had been carved, used and come home. */
static inline void pool_release_used(hak_slab_t *slab, size_t bytes) {
    uint16_t count = (uint16_t)(bytes / hak_class_stride(slab->cls));
    hak_store_relaxed(&slab->carved, count);
    slab->free_count = count;
    hak_pool_release(slab);
    assert_true(hak_pool_is_valid());
}

/* All of the slab was used. */
static inline void pool_release(hak_slab_t *slab) {
    pool_release_used(slab, hak_class_info[slab->cls].capacity * hak_class_stride(slab->cls));
}

/* All slots of one more SuperSlab. */
static inline void pool_fill_superslab(hak_slab_t *slabs[HAK_SLOTS], unsigned cls) {
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        slabs[i] = pool_acquire(cls);
        assert_non_null(slabs[i]);
    }
}

#endif
