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
#undef COUNTER

extern hak_counters_t hak_counters;

#define HAK_COUNT(name) HAK_COUNT_N(name, 1)
#define HAK_COUNT_N(name, n) ((void)hak_add_relaxed(&hak_counters.name, (uint64_t)(n)))

#endif
