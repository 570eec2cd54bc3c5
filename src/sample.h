/* sample.h: one allocation in so many gets a guarded block, in the default mode.
 *
 * Owns:      whose turn it is: HAKMEM_GUARD_SAMPLE=N, one in N on average.
 * Knows not: what becomes of the block (guard.h).
 * Threads:   any; each thread counts for itself, in its heap.
 *
 * The hit paths count nothing. So an allocation can be a sample only where its bin is empty (or its
 * size has none); how many came before it is what went into the bin since
 * (hak_bins_count_passed()). With samples on, bins become empty once an interval at least, and
 * intervals are short against N.
 *
 *   gap: allocations between a sample and the next, a random number from 0 to 2 (N - 1)
 *   left == gaps drawn so far - allocations counted that were no samples;  due at left <= 0
 */
#ifndef HAK_SAMPLE_H
#define HAK_SAMPLE_H

#include "base.h"
#include "origin.h"

extern HAK_HIDDEN bool hak_sampling; /* const after start */

/* When hakmem has started, if the option asks for it; no lock is held. */
void hak_sample_start(void);
/* When libraries may be loaded: from now on samples remember stacks. */
void hak_sample_start_stacks(void);
/* A guarded block in place of one of the class (HAK_CLASSES: a large one); NULL if it is not its
 * turn. */
HAK_COLD void *hak_sample(size_t size, size_t align, hak_origin_t origin, unsigned cls);

#endif
