/* explore.h: which runs to try, so that none is left out.
 *
 * Owns:      two searches. Both go depth first and begin each run anew from the scenario's start.
 * Knows not: what threads do, what is checked.
 *
 * Bounded: all runs in which a thread that could go on was left (preempted) at most so many
 * times; a switch where a thread has to wait or ends is free. Most bugs need few preemptions, and
 * bounds 0, 1, 2 ... in turn find the shortest failing schedule. A run is cut where it comes to a
 * state, in the same thread, from which a search with as many preemptions left was made already.
 * States are told apart by the order of dependent steps (same variable, at least one
 * write) that led to them: steps in another order that are all independent lead to the same one.
 *
 * Full: all runs, but for those that differ from one that was tried only in the order of
 * independent steps. By dynamic partial-order reduction with source sets and sleep sets (Abdulla,
 * Aronis, Jonsson and Sagonas, 2014): where a step turns out to race with an earlier one, the other
 * order is tried from there.
 *
 * That both leave nothing out is not taken on trust. toys.c compares them with a search that tries
 * everything, and where the bounded search without a bound is affordable, model.c compares the two:
 * they must end in the same set of orders.
 */
#ifndef MODEL_EXPLORE_H
#define MODEL_EXPLORE_H

#include "scheduler.h"

#define EXPLORE_NO_BOUND 1000000u

typedef enum { EXPLORE_COMPLETE, EXPLORE_OUT_OF_TIME, EXPLORE_FAILED } explore_end_t;

typedef struct {
    explore_end_t end;
    uint64_t schedules; /* runs, those included that were cut */
    uint64_t finished;  /* runs to the end, with all checks */
    uint64_t orders;    /* that differ in more than independent steps, among the finished ones, */
    uint64_t orders_sum; /* and one number for all of them */
    unsigned steps;     /* of the longest */
    unsigned preemptions; /* of the one that failed */
} explore_result_t;

/* Before sched_init(). */
void explore_init(void);
/* cut: leave out what was seen before. */
explore_result_t explore_bounded(unsigned bound, bool cut, double seconds);
explore_result_t explore_full(double seconds);
/* Runs the one that failed once more, for its lines (sched_line()). */
void explore_repeat_failure(void);

double explore_now(void);

#endif
