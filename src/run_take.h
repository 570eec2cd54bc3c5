/* run_take.h: pages of free runs go to a run that is about to go live.
 *
 * Owns:      which pages, how many at a time, when not to try.
 * Knows not: blocks; what is kept, and for how long (run_free.h).
 * Threads:   the caller holds the large tier's lock (large.h).
 *
 * To move pages that are kept anyway (mremap) costs a hundredth of what faults do.
 */
#ifndef HAK_RUN_TAKE_H
#define HAK_RUN_TAKE_H

#include "run_tree.h"

/* For what of the run, which is on no list, is not resident: the oldest pages that are kept. */
void hak_runs_take_over(hak_run_t *run);

#endif
