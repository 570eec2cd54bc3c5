/* stats.h: counters of what happens on slow paths.
 *
 * Owns:      the counters. The one table is stats.def.
 * Knows not: gauges (how much is live now): their owners are asked (report.h).
 * Threads:   any; relaxed, since a counter orders nothing and is read for people.
 */
#ifndef HAK_STATS_H
#define HAK_STATS_H

#include "atomic.h"

#define COUNTER(name, help) _Atomic uint64_t name;
typedef struct {
#include "stats.def"
} hak_counters_t;

/* Of these each heap has its own, or all threads would wait for one line. The sum counts, with what
 * no heap did. */
#define COUNTER(name, help)
#define TALLY(name, help) uint64_t name;
typedef struct {
#include "stats.def"
} hak_tally_t;

extern hak_counters_t hak_counters;

#define HAK_COUNT(name) HAK_COUNT_N(name, 1)
#define HAK_COUNT_N(name, n) ((void)hak_add_relaxed(&hak_counters.name, (uint64_t)(n)))

/* Of one heap: nobody else writes it at the same time, but others may read it. By builtins, so that
 * it is no point at which the model switches threads. */
#define HAK_TALLY(heap, name) HAK_TALLY_N(heap, name, 1)
#define HAK_TALLY_N(heap, name, n) hak_tally_add(&(heap)->tally.name, (uint64_t)(n))
HAK_INLINE uint64_t hak_tally_read(const uint64_t *counter) {
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}
HAK_INLINE void hak_tally_add(uint64_t *counter, uint64_t n) {
    __atomic_store_n(counter, hak_tally_read(counter) + n, __ATOMIC_RELAXED);
}

#endif
