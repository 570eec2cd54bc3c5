/* lock_scenario.c: lock.c as it is, spinning and sleeping, under three threads. Built with points.h
 * like the core: to it, being inside is a step.
 */
#include "scenarios.h"

static hak_lock_t lock;
static _Atomic uint32_t inside;
static _Atomic uint32_t turns;

static void locks(void) {
    hak_lock(&lock);
    if (hak_add_relaxed(&inside, 1) != 0) {
        model_fail("two threads hold the lock");
    }
    (void)hak_add_relaxed(&turns, 1);
    (void)hak_sub_relaxed(&inside, 1);
    hak_unlock(&lock);
}

static void all_had_their_turn(void) {
    if (turns != 3 || lock.word != 0) {
        model_fail("the lock was taken %u times, its word is %u", turns, lock.word);
    }
}

const scenario_t lock_scenario = {
    .name = "three threads, one lock",
    .threads = {{"A", locks}, {"B", locks}, {"C", locks}},
    .check = all_had_their_turn,
    .own_locks = true,
};
