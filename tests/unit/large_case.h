/* large_case.h: what the large tier's test programs share: a tier at rest, checked helpers.
 *
 * Owns:      the start of each case: options by default, counters at 0, no block, what is free is
 *            one run or gone, a clock that stands still, far from all earlier cases.
 */
#ifndef LARGE_CASE_H
#define LARGE_CASE_H

#include "address_map.h"
#include "fake_os.h"
#include "large.h"
#include "options.h"
#include "stats.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)

static hak_options_t large_case_options;

static inline hak_large_gauges_t large_gauges(void) {
    hak_large_gauges_t gauges;
    hak_large_gauges(&gauges);
    return gauges;
}

static inline int large_case_set_up_group(void **state) {
    (void)state;
    large_case_options = hak_options;
    fake_os_install();
    fake_os_set_clock(1000);
    return hak_map_init() && hak_map.page_bytes == PAGE ? 0 : -1;
}

/* Free runs of less than a unit stay mapped. Dirtying and trimming them leaves no run behind, so
 * that each case starts with fresh units. */
static inline void large_case_drop_free_runs(void) {
    bool zero;
    while (large_gauges().free_bytes != 0) {
        size_t before = large_gauges().free_bytes;
        char *blocks[64];
        unsigned count = 0;
        size_t size = before;
        while (size >= PAGE && count < 64 && large_gauges().free_bytes != 0) {
            fake_os_fail(FAKE_MAP_AT, 1, true);
            void *p = hak_large_alloc(size, 1, &zero);
            if (p != NULL) {
                blocks[count++] = p;
            } else {
                size = size / 2;
            }
        }
        fake_os_reset();
        while (count > 0) {
            (void)hak_large_free(blocks[--count]);
        }
        hak_large_trim();
        if (large_gauges().free_bytes >= before) {
            return; /* live blocks of a case that failed hold it */
        }
    }
}

static inline int large_case_set_up(void **state) {
    (void)state;
    fake_os_reset();
    hak_options = large_case_options;
    hak_large_trim();
    large_case_drop_free_runs();
    fake_os.now_ms += 10000000;
    memset((void *)&hak_counters, 0, sizeof hak_counters);
    fake_os_reset();
    return large_gauges().live_blocks == 0 && large_gauges().free_bytes == 0 ? 0 : -1;
}

static inline char *large_alloc(size_t size) {
    bool zero;
    char *p = hak_large_alloc(size, 1, &zero);
    assert_non_null(p);
    assert_true(hak_large_is_valid());
    return p;
}

static inline void large_free(void *p) {
    assert_true(hak_large_free(p));
    assert_true(hak_large_is_valid());
}

#endif
