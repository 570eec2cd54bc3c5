/* toys.c: see toys.h. Built with points.h like the core. */
#include "toys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "explore.h"
#include "snapshot.h"

#define OPS 4
#define VARIABLES 3
#define STATES 4096
#define SECONDS 20.0

typedef enum { TOY_LOAD, TOY_STORE, TOY_ADD, TOY_CAS, TOY_LOCKED, TOY_TRY, TOY_KINDS } toy_kind_t;

typedef struct {
    uint8_t kind, variable, value;
} toy_op_t;

/* Const once a search begins. */
static toy_op_t ops[3][OPS];
static unsigned op_counts[3];

static _Atomic uint32_t variables[VARIABLES];
static hak_lock_t locks[2];
static uint32_t results[3]; /* what each thread saw */

/* ---- Random programs -------------------------------------------------------------------------- */

static void run_op(toy_op_t op, uint32_t *result) {
    _Atomic uint32_t *variable = &variables[op.variable];
    hak_lock_t *lock = &locks[op.variable % 2];
    uint32_t expected = op.value;
    uint32_t seen = 0;
    switch ((toy_kind_t)op.kind) {
    case TOY_LOAD:
        seen = hak_load_relaxed(variable);
        break;
    case TOY_STORE:
        hak_store_relaxed(variable, *result % 3 + op.value);
        break;
    case TOY_ADD:
        seen = hak_add_relaxed(variable, op.value);
        break;
    case TOY_CAS:
        seen = hak_cas_acquire(variable, &expected, expected + 1);
        break;
    case TOY_LOCKED: /* two steps that must not be torn apart */
        hak_lock(lock);
        seen = hak_load_relaxed(variable);
        hak_store_relaxed(variable, seen + 1);
        hak_unlock(lock);
        break;
    default:
        if ((seen = hak_lock_try(lock)) != 0) {
            hak_store_relaxed(variable, op.value);
            hak_unlock(lock);
        }
    }
    *result = *result * 31 + seen + 1;
}

static void run_program(void) {
    unsigned thread = model_actor();
    for (unsigned i = 0; i < op_counts[thread]; i++) {
        run_op(ops[thread][i], &results[thread]);
    }
}

static struct {
    uint64_t states[STATES];
    unsigned count;
} *seen; /* kept memory */

/* What the threads saw and left behind, and in which order they met. */
static void note_state(void) {
    uint64_t state = sched_state_hash();
    for (unsigned i = 0; i < 3; i++) {
        state = (state + results[i] * 0x9E3779B97F4A7C15U) * 0xD6E8FEB86659FD93U;
        state += variables[i];
    }
    for (unsigned i = 0; i < seen->count; i++) {
        if (seen->states[i] == state) {
            return;
        }
    }
    if (seen->count < STATES) {
        seen->states[seen->count++] = state;
    }
}

static int compare_states(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* What a search reached: one number for the whole set. */
static uint64_t states_reached(explore_result_t result) {
    uint64_t sum = result.end == EXPLORE_COMPLETE ? seen->count : 0;
    qsort(seen->states, seen->count, sizeof seen->states[0], compare_states);
    for (unsigned i = 0; i < seen->count; i++) {
        sum = (sum ^ seen->states[i]) * 0x9E3779B97F4A7C15U;
    }
    seen->count = 0;
    return sum;
}

static const scenario_t random_program[2] = {
    {.name = "two", .threads = {{"A", run_program}, {"B", run_program}}, .finish = note_state},
    {.name = "three",
     .threads = {{"A", run_program}, {"B", run_program}, {"C", run_program}},
     .finish = note_state},
};

static void make_program(unsigned seed, unsigned threads) {
    srand(seed);
    for (unsigned t = 0; t < threads; t++) {
        op_counts[t] = 1 + (unsigned)rand() % (threads == 2 ? OPS : 2);
        for (unsigned i = 0; i < op_counts[t]; i++) {
            ops[t][i] = (toy_op_t){(uint8_t)(rand() % TOY_KINDS), (uint8_t)(rand() % VARIABLES),
                                   (uint8_t)(rand() % 2)};
        }
    }
}

/* In a child: 0 when all searches reach the same states. */
static int compare_searches(unsigned seed) {
    unsigned threads = 2 + seed % 2;
    make_program(seed, threads);
    explore_init();
    seen = snapshot_keep(sizeof *seen);
    sched_init(&random_program[threads - 2]);
    for (unsigned bound = 0; bound < 3; bound++) {
        uint64_t all = states_reached(explore_bounded(bound, false, SECONDS));
        if (states_reached(explore_bounded(bound, true, SECONDS)) != all) {
            return 1;
        }
    }
    uint64_t all = states_reached(explore_bounded(EXPLORE_NO_BOUND, false, SECONDS));
    uint64_t cut = states_reached(explore_bounded(EXPLORE_NO_BOUND, true, SECONDS));
    return all == 0 || cut != all || states_reached(explore_full(SECONDS)) != all;
}

/* ---- Textbook bugs ---------------------------------------------------------------------------- */

static void adds_in_two_steps(void) {
    uint32_t seen_before = hak_load_relaxed(&variables[0]);
    hak_store_relaxed(&variables[0], seen_before + 1);
}

static void expects_two(void) {
    if (variables[0] != 2) {
        model_fail("an addition was lost");
    }
}

static void locks_01(void) {
    hak_lock(&locks[0]);
    hak_lock(&locks[1]);
    hak_unlock(&locks[1]);
    hak_unlock(&locks[0]);
}

static void locks_10(void) {
    hak_lock(&locks[1]);
    hak_lock(&locks[0]);
    hak_unlock(&locks[0]);
    hak_unlock(&locks[1]);
}

static void stores_and_looks(void) {
    unsigned self = model_actor();
    hak_store_seq(&variables[self], 1);
    results[self] = hak_load_seq(&variables[1 - self]);
}

static void looks_and_stores(void) {
    unsigned self = model_actor();
    results[self] = hak_load_seq(&variables[1 - self]);
    hak_store_seq(&variables[self], 1);
}

static void expects_one_saw_the_other(void) {
    if (results[0] == 0 && results[1] == 0) {
        model_fail("neither saw the other");
    }
}

static const struct {
    scenario_t scenario;
    bool has_bug;
} textbook[] = {
    {{.name = "lost addition",
      .threads = {{"A", adds_in_two_steps}, {"B", adds_in_two_steps}},
      .check = expects_two},
     true},
    {{.name = "locks in two orders", .threads = {{"A", locks_01}, {"B", locks_10}}}, true},
    {{.name = "locks in one order", .threads = {{"A", locks_01}, {"B", locks_01}}}, false},
    {{.name = "store, then look",
      .threads = {{"A", stores_and_looks}, {"B", stores_and_looks}},
      .check = expects_one_saw_the_other},
     false},
    {{.name = "look, then store",
      .threads = {{"A", stores_and_looks}, {"B", looks_and_stores}},
      .check = expects_one_saw_the_other},
     true},
    {{.name = "look, then store, both",
      .threads = {{"A", looks_and_stores}, {"B", looks_and_stores}},
      .check = expects_one_saw_the_other},
     true},
};
#define TEXTBOOK (sizeof textbook / sizeof textbook[0])

static int find_textbook_bug(unsigned index) {
    explore_init();
    sched_init(&textbook[index].scenario);
    bool bounded = explore_bounded(1, true, SECONDS).end == EXPLORE_FAILED;
    bool full = explore_full(SECONDS).end == EXPLORE_FAILED;
    return bounded != textbook[index].has_bug || full != textbook[index].has_bug;
}

/* ---- All -------------------------------------------------------------------------------------- */

static bool in_child(int (*f)(unsigned), unsigned argument) {
    int status = -1;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        _exit(f(argument));
    }
    return waitpid(child, &status, 0) == child && status == 0;
}

bool toys_check(unsigned programs) {
    unsigned failed = 0;
    for (unsigned i = 0; i < programs; i++) {
        if (!in_child(compare_searches, i)) {
            (void)printf("FAIL random program %u: the searches reach different states\n", i);
            failed++;
        }
    }
    for (unsigned i = 0; i < TEXTBOOK; i++) {
        if (!in_child(find_textbook_bug, i)) {
            (void)printf("FAIL %s: expected %s\n", textbook[i].scenario.name,
                         textbook[i].has_bug ? "a failure" : "none");
            failed++;
        }
    }
    if (failed == 0) {
        (void)printf("ok searches: the same final states on %u random programs; %zu textbook cases\n",
                     programs, TEXTBOOK);
    }
    return failed == 0;
}
