/* model.c: every order in which threads can meet at remote queues, ready lists, adoption and exit.
 *
 * usage: model [--bound N] [--seconds S] [--deep] [--only TEXT] [--programs N]
 *        model --mutant [--bound N] [--only TEXT]
 *
 *   --bound N     all schedules with 0, 1, ... N preemptions (3)
 *   --seconds S   for each search, at most (30)
 *   --deep        the large scenarios like all others; without it, 1 preemption and a second of the
 *                 full search
 *   --only TEXT   scenarios whose name contains it
 *   --programs N  random programs that check the searches themselves (500)
 *   --mutant      this core has a bug planted: find it, print the schedule
 *
 * What runs is the core itself, compiled from src/ with points.h; the threads are coroutines. A
 * scenario's search tries every order of the operations by which its threads meet (explore.h) and
 * checks the whole heap after each (world.h).
 *
 * What this cannot show: the order of operations is sequentially consistent here. On hardware a
 * thread may see another's stores in an order that no schedule has. That acquire, release and
 * relaxed are enough where they stand is argued at each use and in docs/ARCHITECTURE.md; the
 * thread sanitizer (make sanitize) looks for data that is not ordered by them. Data that is not
 * atomic is taken to be guarded as its comment says. Scenarios are small: two or three threads,
 * a few blocks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "explore.h"
#include "options.h"
#include "os.h"
#include "scenarios.h"
#include "snapshot.h"
#include "toys.h"
#include "trace.h"

#define BOUND_MAX 9
/* With so many threads the bounded search gets through without a bound, too. */
#define COMPARED_THREADS 2
/* Of large scenarios, unless --deep is given. */
#define LARGE_BOUND 1
#define LARGE_SECONDS 1.0

typedef struct {
    unsigned bound;
    double seconds;
    bool deep;
    const char *only;
    unsigned programs;
    bool mutant;
} arguments_t;

static arguments_t arguments = {.bound = 3, .seconds = 30, .only = "", .programs = 500};

/* What a scenario's process found out; shared with it. */
typedef struct {
    bool through;
    explore_result_t bounded[BOUND_MAX + 1], full;
    unsigned threads;
    double seconds;
} found_t;

static void print_failure(const scenario_t *scenario, explore_result_t result) {
    explore_repeat_failure();
    (void)printf("  %s: fails with %u preemptions, in schedule %llu:\n", scenario->name,
                 result.preemptions, (unsigned long long)result.schedules);
    trace_print(scenario);
}

/* ---- One scenario, in a process of its own ------------------------------------------------------ */

/* Only so much of a large scenario by default. */
static bool is_cut_short(const scenario_t *scenario) {
    return scenario->large && !arguments.deep;
}

static bool search_bounded(const scenario_t *scenario, unsigned bound, found_t *found) {
    if (is_cut_short(scenario) && bound > LARGE_BOUND) {
        return true;
    }
    found->bounded[bound] = explore_bounded(bound, true, arguments.seconds);
    if (found->bounded[bound].end == EXPLORE_FAILED) {
        print_failure(scenario, found->bounded[bound]);
        return false;
    }
    return true;
}

static bool search_full(const scenario_t *scenario, found_t *found) {
    found->full = explore_full(is_cut_short(scenario) ? LARGE_SECONDS : arguments.seconds);
    if (found->full.end == EXPLORE_FAILED) {
        print_failure(scenario, found->full);
        return false;
    }
    if (found->threads > COMPARED_THREADS || found->full.end != EXPLORE_COMPLETE) {
        return true;
    }
    explore_result_t other = explore_bounded(EXPLORE_NO_BOUND, true, arguments.seconds);
    if (other.end == EXPLORE_COMPLETE && (other.orders != found->full.orders ||
                                          other.orders_sum != found->full.orders_sum)) {
        (void)printf("  %s: the searches reach %llu and %llu orders\n", scenario->name,
                     (unsigned long long)other.orders, (unsigned long long)found->full.orders);
        return false;
    }
    return true;
}

static void search(const scenario_t *scenario, unsigned from, unsigned to, bool full,
                   found_t *found) {
    double start = explore_now();
    explore_init();
    sched_init(scenario);
    found->threads = sched_thread_count();
    bool ok = true;
    for (unsigned bound = from; bound <= to && ok; bound++) {
        ok = search_bounded(scenario, bound, found);
    }
    ok = ok && (!full || search_full(scenario, found));
    found->seconds = explore_now() - start;
    found->through = ok;
}

static bool search_in_child(const scenario_t *scenario, unsigned from, unsigned to, bool full,
                            found_t *found) {
    memset(found, 0, sizeof *found);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        search(scenario, from, to, full, found);
        (void)fflush(NULL);
        _exit(0);
    }
    int status = -1;
    if (waitpid(child, &status, 0) != child || status != 0) {
        (void)printf("  %s: the search itself ended with status %#x\n", scenario->name,
                     (unsigned)status);
        found->through = false;
    }
    return found->through;
}

/* ---- The core as it is --------------------------------------------------------------------------- */

static const char *count_text(char *text, explore_result_t result) {
    (void)snprintf(text, 24, "%s%llu", result.end == EXPLORE_OUT_OF_TIME ? ">" : "",
                   (unsigned long long)result.schedules);
    return result.schedules != 0 ? text : "-";
}

static void print_row(const scenario_t *scenario, const found_t *found) {
    char text[24];
    (void)printf("%-34s %7u %5u", scenario->name, found->threads, found->full.steps);
    for (unsigned bound = 0; bound <= arguments.bound; bound++) {
        (void)printf(" %9s", count_text(text, found->bounded[bound]));
    }
    (void)printf(" %9s %6.1f  %s\n", count_text(text, found->full), found->seconds,
                 found->through ? "ok" : "FAIL");
}

static void print_head(void) {
    (void)printf("Schedules tried with at most so many preemptions, and all that differ (full):\n");
    (void)printf("%-34s %7s %5s", "scenario", "threads", "steps");
    for (unsigned bound = 0; bound <= arguments.bound; bound++) {
        (void)printf(" %9u", bound);
    }
    (void)printf(" %9s %6s\n", "full", "s");
}

static const scenario_t *scenario_at(unsigned index) {
    return index < scenario_count ? &scenarios[index] : &lock_scenario;
}

static bool is_chosen(const scenario_t *scenario) {
    return strstr(scenario->name, arguments.only) != NULL;
}

static int check_core(found_t *found) {
    unsigned passed = 0;
    unsigned failed = 0;
    *(toys_check(arguments.programs) ? &passed : &failed) += 1;
    print_head();
    for (unsigned i = 0; i <= scenario_count; i++) {
        const scenario_t *scenario = scenario_at(i);
        if (is_chosen(scenario)) {
            *(search_in_child(scenario, 0, arguments.bound, true, found) ? &passed : &failed) += 1;
            print_row(scenario, found);
        }
    }
    (void)printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 && passed > 1 ? 0 : 1;
}

/* ---- A core with a bug planted ------------------------------------------------------------------- */

/* Few preemptions first, over all scenarios, so that the schedule is short. */
static int find_bug(found_t *found) {
    uint64_t schedules = 0;
    for (unsigned bound = 0; bound <= arguments.bound; bound++) {
        for (unsigned i = 0; i <= scenario_count; i++) {
            const scenario_t *scenario = scenario_at(i);
            bool ok = !is_chosen(scenario) || search_in_child(scenario, bound, bound, false, found);
            schedules += found->bounded[bound].schedules;
            if (!ok) {
                (void)printf("found: %s; preemptions: %u; schedules: %llu\n", scenario->name, bound,
                             (unsigned long long)schedules);
                return 0;
            }
        }
    }
    (void)printf("not found in %llu schedules\n", (unsigned long long)schedules);
    return 1;
}

/* ---- Arguments ----------------------------------------------------------------------------------- */

static int usage(void) {
    (void)fprintf(stderr, "usage: model [--mutant] [--bound 0-%d] [--seconds S] [--deep] "
                          "[--only TEXT] [--programs N]\n", BOUND_MAX);
    return 2;
}

static bool read_arguments(int count, char **words) {
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : NULL;
        bool *flag = strcmp(words[i], "--mutant") == 0 ? &arguments.mutant
                     : strcmp(words[i], "--deep") == 0 ? &arguments.deep
                                                       : NULL;
        if (flag != NULL) {
            *flag = true;
            continue;
        }
        if (value == NULL) {
            return false;
        }
        if (strcmp(words[i], "--bound") == 0) {
            arguments.bound = (unsigned)strtoul(value, NULL, 10);
        } else if (strcmp(words[i], "--seconds") == 0) {
            arguments.seconds = strtod(value, NULL);
        } else if (strcmp(words[i], "--only") == 0) {
            arguments.only = value;
        } else if (strcmp(words[i], "--programs") == 0) {
            arguments.programs = (unsigned)strtoul(value, NULL, 10);
        } else {
            return false;
        }
        i++;
    }
    return arguments.bound <= BOUND_MAX && arguments.seconds > 0;
}

/* Every run of a schedule must see the same: all happens within a millisecond. */
static uint32_t standing_clock_ms(void) {
    return 1000000;
}

int main(int count, char **words) {
    (void)clearenv(); /* no HAKMEM_ options */
    if (!read_arguments(count, words)) {
        return usage();
    }
    /* The common heap is an orphan to whoever frees, and an owner to whoever takes: no step of it
     * is its own, and the scenarios count heaps. */
    hak_options.common = 0;
    hak_os.now_ms = standing_clock_ms;
    __libc_single_threaded = 0; /* coroutines count as threads */
    snapshot_install();
    found_t *found = mmap(NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                          -1, 0);
    if (found == MAP_FAILED) {
        return 2;
    }
    return arguments.mutant ? find_bug(found) : check_core(found);
}
