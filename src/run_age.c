/* run_age.c: see run_age.h.
 *
 * Threads:   guarded by the large tier's lock.
 */
#include "run_age.h"

#define STEPS 32

/* Times are of a clock that wraps. */
static bool is_before(uint32_t a_ms, uint32_t b_ms) {
    return (int32_t)(a_ms - b_ms) < 0;
}

/* Where run belongs: older than this one; NULL when it is the newest. */
static hak_run_t *place_of(const hak_run_age_t *age, const hak_run_t *run) {
    if (age->newest == NULL || !is_before(run->since_ms, age->newest->since_ms)) {
        return NULL;
    }
    hak_run_t *at = age->oldest;
    for (int steps = 0; steps < STEPS && !is_before(run->since_ms, at->since_ms); steps++) {
        at = at->newer; /* comes to an end at the newest at the latest */
    }
    return at;
}

void hak_run_age_insert(hak_run_age_t *age, hak_run_t *run) {
    hak_run_t *at = place_of(age, run);
    run->newer = at;
    run->older = at != NULL ? at->older : age->newest;
    *(run->older != NULL ? &run->older->newer : &age->oldest) = run;
    *(at != NULL ? &at->older : &age->newest) = run;
}

void hak_run_age_remove(hak_run_age_t *age, hak_run_t *run) {
    *(run->newer != NULL ? &run->newer->older : &age->newest) = run->older;
    *(run->older != NULL ? &run->older->newer : &age->oldest) = run->newer;
    run->older = run->newer = NULL;
}
