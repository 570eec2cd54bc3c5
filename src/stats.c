/* stats.c: the counters.
 *
 * Threads:   see stats.h.
 */
#include "stats.h"

hak_counters_t hak_counters;
