/* run_age.h: the free page runs that may be dirty, by age.
 *
 * Owns:      the links older and newer.
 * Knows not: what a run covers or when one is given back.
 * Threads:   guarded by the large tier's lock.
 */
#ifndef HAK_RUN_AGE_H
#define HAK_RUN_AGE_H

#include "run_tree.h"

typedef struct {
    hak_run_t *newest, *oldest;
} hak_run_age_t;

/* By since_ms: nearly always that is the newest. A part of an older run is looked for from the old
 * end, not for ever: where it stands too far there it is given back a little early. */
void hak_run_age_insert(hak_run_age_t *age, hak_run_t *run);
void hak_run_age_remove(hak_run_age_t *age, hak_run_t *run);

#endif
