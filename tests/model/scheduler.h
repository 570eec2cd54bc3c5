/* scheduler.h: the model's threads, and one run of a scenario under a given choice of who goes next.
 *
 * Owns:      coroutines, each with its own hak_tls_heap and its own value of the core's pthread key;
 *            which variables threads meet at; the steps of the run; what a failure is.
 * Knows not: which choices to try (explore.c), what must hold at the end (audit.c).
 * Threads:   one real thread.
 *
 * A run is a row of steps. A step is one operation on a variable that several threads use and at
 * least one writes, and whatever its thread does up to its next such operation. Other variables
 * are no points: no order of operations on them can be told apart from another. Which variables
 * they are is found by running: one that turns out to be shared ends the run as RUN_GREW, and the
 * search starts anew. Counters are left out: nothing reads them but people.
 */
#ifndef MODEL_SCHEDULER_H
#define MODEL_SCHEDULER_H

#include <stdint.h>

#include "points.h"

#define SCHED_THREADS 4
/* Two more have no part in a run: one of the set-up, and one who comes when all is over. */
#define SCHED_ABSENT SCHED_THREADS
#define SCHED_GUEST (SCHED_THREADS + 1)
#define SCHED_ACTORS (SCHED_THREADS + 2)
#define SCHED_STEPS 2000

typedef struct {
    const char *name;
    void (*set_up)(void);  /* one thread, no points; ends in the state in which each run begins */
    struct {
        const char *name;
        void (*run)(void);
    } threads[SCHED_THREADS];
    void (*check)(void);   /* after all threads came to their end; may be NULL */
    void (*finish)(void);  /* what follows check(), for every scenario the same */
    bool own_locks;        /* lock.c runs as it is */
    bool forks;            /* so the order of a thread's own stores matters */
    bool large;            /* its searches get to their ends only in hours, if at all */
} scenario_t;

/* A variable that threads share. */
typedef struct {
    uintptr_t address;
    unsigned bytes;
    const char *name;       /* of a lock */
    uint8_t users, writers; /* bits of threads, over all runs */
    bool shared;
    /* Of this run: what orders an operation behind earlier ones. Bits and clocks of reads count
     * from the last write on. */
    uint64_t run, wrote, read;
    uint16_t write_clock[SCHED_THREADS], clock[SCHED_THREADS];
} variable_t;

typedef struct {
    point_kind_t kind;
    const char *func;
    variable_t *variable;
} operation_t;

typedef struct {
    operation_t operation;
    uint8_t thread;
    bool wrote;
    /* Of each thread, how many of its steps come before the end of this one, whatever the order
     * of independent steps. Its own entry counts this step. */
    uint16_t clock[SCHED_THREADS];
} step_t;

/* What a reader of the schedule sees: a step, or a line of text. */
typedef struct {
    operation_t operation;
    uint8_t thread;
    bool wrote;
    uint64_t before, after;
    char note[80];
} trace_line_t;

typedef enum { RUN_DONE, RUN_CUT, RUN_FAILED, RUN_GREW } outcome_t;

/* Which of the enabled threads (bits) goes next; none (-1) cuts the run. */
typedef int (*picker_t)(unsigned enabled);

void sched_init(const scenario_t *scenario);
outcome_t sched_run(picker_t pick);
unsigned sched_thread_count(void);
/* Of the run so far. */
unsigned sched_step_count(void);
const step_t *sched_step(unsigned index);
/* The thread that made the last step, or -1. */
int sched_current(void);
/* What the thread is about to do. */
const operation_t *sched_pending(unsigned thread);
/* step_t.clock of the thread's last step. */
const uint16_t *sched_clock(unsigned thread);
bool sched_is_finished(unsigned thread);
/* The same for two rows of steps that differ only in the order of independent ones. */
uint64_t sched_state_hash(void);
/* Why the last run failed. */
const char *sched_failure(void);
/* The next runs keep lines for a reader. */
void sched_trace(bool on);
unsigned sched_line_count(void);
const trace_line_t *sched_line(unsigned index);

/* Ends the run as failed. */
void model_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* A line in the schedule. */
void model_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* In set-ups and checks: go on as this thread. */
void model_become(unsigned actor);
unsigned model_actor(void);
/* Its hak_tls_heap. */
struct hak_heap *model_heap(unsigned actor);
/* The thread's end: what the C library does for it. */
void model_exit_thread(void);
/* A fork, seen by the child: all other threads are gone. */
void model_fork(void);

/* hak_os.wait and hak_os.wake_one. */
void sched_sleep(void *word, uint32_t while_value);
void sched_wake(void *word);

#endif
