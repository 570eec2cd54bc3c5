/* explore.c: see explore.h. */
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "snapshot.h"

#define STATES_START ((size_t)1 << 16)

/* A state on the way of the run at hand, and what was and is to be tried from it. */
typedef struct {
    uint8_t enabled, done, chosen;
    int8_t before; /* the thread that came here, or -1 */
    uint8_t backtrack, sleep; /* full search */
    unsigned preemptions;     /* bounded search: so far */
} frame_t;

typedef struct {
    uint64_t state; /* 0: none */
    unsigned preemptions;
} state_t;

typedef struct {
    state_t *all;
    size_t room, count;
} states_t;

static struct {
    frame_t frames[SCHED_STEPS + 1];
    unsigned depth;  /* of the run at hand */
    unsigned replay; /* frames whose choice is made */
    unsigned bound;
    bool cut;
    states_t seen;
    states_t ends; /* of finished runs */
} *x; /* kept memory */

double explore_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static unsigned lowest(unsigned bits) {
    return (unsigned)__builtin_ctz(bits);
}

static frame_t *next_frame(unsigned enabled, bool *replayed) {
    frame_t *frame = &x->frames[x->depth++];
    *replayed = x->depth <= x->replay;
    if (*replayed) {
        if (frame->enabled != enabled || frame->before != sched_current()) {
            (void)fprintf(stderr, "model: the same choices led to another state\n");
            exit(2);
        }
        return frame;
    }
    *frame = (frame_t){.enabled = (uint8_t)enabled, .before = (int8_t)sched_current()};
    return frame;
}

/* ---- States seen ------------------------------------------------------------------------------ */

static void put_state(states_t *set, uint64_t state, unsigned preemptions);

static void grow_states(states_t *set) {
    states_t old = *set;
    set->room = old.room == 0 ? STATES_START : 4 * old.room;
    set->all = calloc(set->room, sizeof *set->all);
    set->count = 0;
    for (size_t i = 0; i < old.room; i++) {
        if (old.all[i].state != 0) {
            put_state(set, old.all[i].state, old.all[i].preemptions);
        }
    }
    free(old.all);
}

static state_t *find_state(states_t *set, uint64_t state) {
    if (2 * set->count >= set->room) {
        grow_states(set);
    }
    size_t at = state % set->room;
    while (set->all[at].state != 0 && set->all[at].state != state) {
        at = (at + 1) % set->room;
    }
    return &set->all[at];
}

static void put_state(states_t *set, uint64_t state, unsigned preemptions) {
    state_t *found = find_state(set, state);
    set->count += found->state == 0;
    *found = (state_t){state, preemptions};
}

static void forget_states(states_t *set) {
    if (set->room != 0) {
        memset(set->all, 0, set->room * sizeof *set->all);
    }
    set->count = 0;
}

/* True when the state was left for a search with no more preemptions than now. */
static bool was_seen(states_t *set, uint64_t state, unsigned preemptions) {
    state += state == 0;
    const state_t *found = find_state(set, state);
    if (found->state == state && found->preemptions <= preemptions) {
        return true;
    }
    put_state(set, state, preemptions);
    return false;
}

/* ---- Bounded ---------------------------------------------------------------------------------- */

static bool preempts(const frame_t *frame, unsigned thread) {
    return frame->before >= 0 && (int)thread != frame->before &&
           ((frame->enabled >> frame->before) & 1) != 0;
}

static int pick_bounded(unsigned enabled) {
    bool replayed;
    frame_t *frame = next_frame(enabled, &replayed);
    if (replayed) {
        return frame->chosen;
    }
    if (x->depth > 1) {
        const frame_t *last = frame - 1;
        frame->preemptions = last->preemptions + preempts(last, last->chosen);
    }
    uint64_t state = sched_state_hash() + (uint64_t)(frame->before + 1) * 0x9E3779B97F4A7C15U;
    if (x->cut && was_seen(&x->seen, state, frame->preemptions)) {
        return -1;
    }
    bool goes_on = frame->before >= 0 && ((enabled >> frame->before) & 1) != 0;
    frame->chosen = (uint8_t)(goes_on ? (unsigned)frame->before : lowest(enabled));
    return frame->chosen;
}

/* The deepest state from which another thread may go: with that choice made. False at the end. */
static bool next_bounded(void) {
    while (x->depth > 0) {
        frame_t *frame = &x->frames[x->depth - 1];
        frame->done |= (uint8_t)(1u << frame->chosen);
        for (unsigned left = frame->enabled & ~(unsigned)frame->done; left != 0;
             left &= left - 1) {
            unsigned thread = lowest(left);
            if (frame->preemptions + preempts(frame, thread) <= x->bound) {
                frame->chosen = (uint8_t)thread;
                x->replay = x->depth;
                return true;
            }
        }
        x->depth--;
    }
    return false;
}

/* ---- Full ------------------------------------------------------------------------------------- */

/* Locks cannot be taken while they are held: neither of these two can come in the other's place. */
static bool may_race(const operation_t *a, const operation_t *b) {
    return !(a->kind == POINT_LOCK && b->kind == POINT_UNLOCK) &&
           !(a->kind == POINT_UNLOCK && b->kind == POINT_LOCK);
}

static bool conflicts(const operation_t *pending, const step_t *step) {
    if (pending->kind == POINT_FORK || step->operation.kind == POINT_FORK) {
        return true;
    }
    return pending->variable == step->operation.variable &&
           (step->wrote || pending->kind != POINT_LOAD);
}

/* The step comes before what has this clock, whatever the order of independent steps. */
static bool is_before(const step_t *step, const uint16_t *clock) {
    return step->clock[step->thread] <= clock[step->thread];
}

/* The row of steps behind step index that does not depend on it, and then the thread's next
 * operation: the threads with which such a row can begin. */
static unsigned beginners(unsigned index, unsigned thread) {
    const step_t *row[SCHED_STEPS];
    unsigned length = 0;
    unsigned known = 0; /* threads that have a step in the row */
    unsigned result = 0;
    for (unsigned i = index + 1; i < sched_step_count(); i++) {
        const step_t *step = sched_step(i);
        if (is_before(sched_step(index), step->clock)) {
            continue;
        }
        bool begins = ((known >> step->thread) & 1) == 0;
        for (unsigned k = 0; k < length && begins; k++) {
            begins = !is_before(row[k], step->clock);
        }
        result |= (unsigned)begins << step->thread;
        known |= 1u << step->thread;
        row[length++] = step;
    }
    bool begins = ((known >> thread) & 1) == 0;
    for (unsigned k = 0; k < length && begins; k++) {
        begins = !is_before(row[k], sched_clock(thread)) && !conflicts(sched_pending(thread), row[k]);
    }
    return result | (unsigned)begins << thread;
}

/* The other order of step index and the thread's next operation is to be tried. */
static void note_race(unsigned index, unsigned thread) {
    frame_t *frame = &x->frames[index];
    unsigned threads = beginners(index, thread);
    if ((threads & (frame->backtrack | frame->sleep)) != 0) {
        return;
    }
    threads &= frame->enabled;
    frame->backtrack |= (uint8_t)(threads != 0 ? 1u << lowest(threads) : frame->enabled);
}

/* Before the thread goes on: with which earlier steps does what it is about to do race? Not with
 * its own past, nor where another such step stands in between. */
static void note_races(unsigned thread) {
    const operation_t *pending = sched_pending(thread);
    const step_t *between[SCHED_STEPS];
    unsigned count = 0;
    if (sched_is_finished(thread)) {
        return;
    }
    for (unsigned i = sched_step_count(); i-- > 0;) {
        const step_t *step = sched_step(i);
        if (!conflicts(pending, step) || !may_race(pending, &step->operation)) {
            continue;
        }
        bool races = step->thread != thread && !is_before(step, sched_clock(thread));
        for (unsigned k = 0; k < count && races; k++) {
            races = !is_before(step, between[k]->clock);
        }
        if (races) {
            note_race(i, thread);
        }
        between[count++] = step;
    }
}

/* A fork ends all other threads, so what they are about to do races here or never. */
static void note_choice(frame_t *frame) {
    bool forks = sched_pending(frame->chosen)->kind == POINT_FORK;
    for (unsigned t = 0; t < sched_thread_count(); t++) {
        if (t == frame->chosen || forks) {
            note_races(t);
        }
    }
    frame->backtrack |= forks ? frame->enabled : 0;
}

/* What was tried from the state before needs no second try as long as only independent steps were
 * made since. */
static uint8_t inherited_sleep(void) {
    if (x->depth == 1) {
        return 0;
    }
    const frame_t *last = &x->frames[x->depth - 2];
    const step_t *step = sched_step(sched_step_count() - 1);
    unsigned sleep = 0;
    for (unsigned t = 0; t < sched_thread_count(); t++) {
        if ((((last->sleep | last->done) >> t) & 1) != 0 && t != last->chosen &&
            !conflicts(sched_pending(t), step)) {
            sleep |= 1u << t;
        }
    }
    return (uint8_t)sleep;
}

static int pick_full(unsigned enabled) {
    bool replayed;
    frame_t *frame = next_frame(enabled, &replayed);
    if (replayed) {
        if (x->depth == x->replay) {
            note_choice(frame); /* chosen just now */
        }
        return frame->chosen;
    }
    frame->sleep = inherited_sleep();
    unsigned awake = enabled & ~(unsigned)frame->sleep;
    if (awake == 0) {
        return -1;
    }
    bool goes_on = frame->before >= 0 && ((awake >> frame->before) & 1) != 0;
    frame->chosen = (uint8_t)(goes_on ? (unsigned)frame->before : lowest(awake));
    frame->backtrack = (uint8_t)(1u << frame->chosen);
    note_choice(frame);
    return frame->chosen;
}

static bool next_full(void) {
    while (x->depth > 0) {
        frame_t *frame = &x->frames[x->depth - 1];
        frame->done |= (uint8_t)(1u << frame->chosen);
        unsigned left = frame->backtrack & frame->enabled & ~(unsigned)(frame->done | frame->sleep);
        if (left != 0) {
            frame->chosen = (uint8_t)lowest(left);
            x->replay = x->depth;
            return true;
        }
        x->depth--;
    }
    return false;
}

/* ---- Both ------------------------------------------------------------------------------------- */

void explore_init(void) {
    x = snapshot_keep(sizeof *x);
}

static void forget(void) {
    x->replay = 0;
    forget_states(&x->seen);
    forget_states(&x->ends);
}

static void note_end(explore_result_t *result) {
    uint64_t state = sched_state_hash();
    result->finished++;
    if (!was_seen(&x->ends, state, 0)) {
        result->orders++;
        result->orders_sum += state;
    }
}

static explore_result_t search(picker_t pick, bool (*next)(void), double seconds) {
    explore_result_t result = {.end = EXPLORE_COMPLETE};
    double end = explore_now() + seconds;
    bool more = true;
    while (more) {
        x->depth = 0;
        outcome_t outcome = sched_run(pick);
        if (outcome == RUN_GREW) { /* there are more points than were known */
            result = (explore_result_t){.end = EXPLORE_COMPLETE};
            forget();
            continue;
        }
        result.schedules++;
        if (outcome == RUN_DONE) {
            note_end(&result);
        }
        result.steps = result.steps > sched_step_count() ? result.steps : sched_step_count();
        if (outcome == RUN_FAILED) {
            result.end = EXPLORE_FAILED;
            for (unsigned i = 0; i < x->depth; i++) {
                result.preemptions += preempts(&x->frames[i], x->frames[i].chosen);
            }
            return result;
        }
        more = next();
        if (more && (result.schedules & 63) == 0 && explore_now() > end) {
            result.end = EXPLORE_OUT_OF_TIME;
            return result;
        }
    }
    return result;
}

explore_result_t explore_bounded(unsigned bound, bool cut, double seconds) {
    forget();
    x->bound = bound;
    x->cut = cut;
    return search(pick_bounded, next_bounded, seconds);
}

explore_result_t explore_full(double seconds) {
    forget();
    return search(pick_full, next_full, seconds);
}

static int pick_again(unsigned enabled) {
    (void)enabled;
    return x->frames[x->depth++].chosen;
}

void explore_repeat_failure(void) {
    x->depth = 0;
    sched_trace(true);
    (void)sched_run(pick_again);
    sched_trace(false);
}
