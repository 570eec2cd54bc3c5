/* scheduler.c: see scheduler.h. */
#include "scheduler.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>

#include "heap.h"
#include "snapshot.h"
#include "stats.h"

#define STACK_BYTES ((size_t)128 << 10)
#define VARIABLES 8192
#define LINES_MAX (4 * SCHED_STEPS)
/* So many seconds of computing in one run say that it turns in a circle without a point. */
#define STUCK_SECONDS 3

/* How control comes back to sched_run(). */
enum { HOME_AT_FIRST, HOME_STARTED, HOME_DONE, HOME_CUT, HOME_GREW, HOME_FAILED };

typedef struct {
    jmp_buf here, fresh; /* where it goes on; where it begins */
    bool has_stack, finished;
    operation_t pending;
    const volatile void *skip;   /* a lock's word: its next operation is part of the last step */
    const volatile void *asleep; /* a futex */
    point_kind_t last_kind;
    const variable_t *last_variable;
    uint64_t hash;
    uint16_t clock[SCHED_THREADS];
    ucontext_t context;
} thread_t;

static struct {
    const scenario_t *scenario;
    unsigned thread_count;
    picker_t pick;
    jmp_buf home;
    thread_t threads[SCHED_THREADS];
    variable_t variables[VARIABLES];
    variable_t everything; /* what a fork is an operation on */
    variable_t own[SCHED_THREADS]; /* what a fence is one on: what nobody else sees but in a fork */
    unsigned variable_count;
    uint64_t run;
    bool busy;     /* in a run or the checks behind it: failures can be told */
    bool running;  /* operations are points */
    bool starting; /* threads run to their first point */
    bool open;     /* between point_before() and point_after() of a step */
    unsigned started;
    int current;
    uint64_t ticked_run; /* what the clock saw last, */
    unsigned ticks;      /* and how often in a row */
    step_t steps[SCHED_STEPS];
    unsigned step_count;
    bool tracing;
    trace_line_t lines[LINES_MAX];
    unsigned line_count;
    char failure[512];
} *x; /* kept memory */

/* Restored memory: the threads as the core knows them. */
static struct {
    hak_heap_t *heap;
    hak_heap_t *in_hand;
    uint32_t lock_self;
    void *key_value;
} actors[SCHED_ACTORS];
static unsigned actor;
static void (*key_destructor)(void *);
static void (*fork_prepare)(void), (*fork_child)(void);

/* ---- Going from one thread to another --------------------------------------------------------- */

void model_become(unsigned next) {
    actors[actor].heap = hak_tls_heap;
    actors[actor].in_hand = hak_tls_in_hand;
    actors[actor].lock_self = hak_lock_self;
    actor = next;
    hak_tls_heap = actors[next].heap;
    hak_tls_in_hand = actors[next].in_hand;
    hak_lock_self = actors[next].lock_self;
}

unsigned model_actor(void) {
    return actor;
}

hak_heap_t *model_heap(unsigned which) {
    return which == actor ? hak_tls_heap : actors[which].heap;
}

static void go_home(int why) __attribute__((noreturn));
static void go_home(int why) {
    x->running = false;
    _longjmp(x->home, why);
}

static void resume(unsigned next) __attribute__((noreturn));
static void resume(unsigned next) {
    model_become(next);
    x->current = (int)next;
    _longjmp(x->threads[next].here, 1);
}

static void finish(void) __attribute__((noreturn));

/* Each run enters behind the setjmp; no local variable is of use across it. */
static void thread_main(void) {
    (void)_setjmp(x->threads[actor].fresh);
    x->scenario->threads[actor].run();
    finish();
}

static void start(unsigned next) __attribute__((noreturn));
static void start(unsigned next) {
    thread_t *t = &x->threads[next];
    model_become(next);
    x->current = (int)next;
    if (t->has_stack) {
        _longjmp(t->fresh, 1);
    }
    t->has_stack = true;
    (void)getcontext(&t->context);
    t->context.uc_stack.ss_sp = snapshot_keep(STACK_BYTES);
    t->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&t->context, thread_main, 0);
    (void)setcontext(&t->context);
    abort();
}

/* ---- Failures --------------------------------------------------------------------------------- */

void model_fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (!x->busy) {
        (void)fputs("model: in a set-up: ", stderr);
        (void)vfprintf(stderr, format, args);
        (void)fputs("\n", stderr);
        exit(2);
    }
    (void)vsnprintf(x->failure, sizeof x->failure, format, args);
    va_end(args);
    go_home(HOME_FAILED);
}

/* -Wl,--wrap: the core's fatal report ends here. */
void __wrap_abort(void) __attribute__((noreturn));
void __wrap_abort(void) {
    const char *text = snapshot_text();
    model_fail("%.*s", (int)strcspn(text, "\n"), text);
}

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    if (!snapshot_fault(info->si_addr)) {
        if (!x->busy) {
            (void)fprintf(stderr, "model: crash at %p\n", info->si_addr);
            _exit(2);
        }
        model_fail("crash: access to %p", info->si_addr);
    }
}

static void on_tick(int signal) {
    (void)signal;
    x->ticks = x->busy && x->ticked_run == x->run ? x->ticks + 1 : 0;
    x->ticked_run = x->run;
    if (x->ticks > STUCK_SECONDS) {
        model_fail("a thread turns in a circle");
    }
}

static void catch_signals(void) {
    stack_t stack = {.ss_sp = snapshot_keep(STACK_BYTES), .ss_size = STACK_BYTES};
    (void)sigaltstack(&stack, NULL);
    struct sigaction fault = {.sa_sigaction = on_fault};
    fault.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    (void)sigaction(SIGSEGV, &fault, NULL);
    (void)sigaction(SIGBUS, &fault, NULL);
    struct sigaction tick = {.sa_handler = on_tick, .sa_flags = SA_ONSTACK | SA_NODEFER | SA_RESTART};
    (void)sigaction(SIGVTALRM, &tick, NULL);
    struct itimerval second = {{1, 0}, {1, 0}};
    (void)setitimer(ITIMER_VIRTUAL, &second, NULL);
}

/* ---- Variables -------------------------------------------------------------------------------- */

static bool is_counter(uintptr_t address) {
    return address - (uintptr_t)&hak_counters < sizeof hak_counters;
}

static variable_t *find_variable(uintptr_t address, unsigned bytes) {
    size_t at = (address / 4 * 0x9E3779B97F4A7C15U) >> 51;
    while (x->variables[at].address != address) {
        variable_t *v = &x->variables[at];
        if (v->address == 0) {
            if (++x->variable_count > VARIABLES / 2) {
                model_fail("too many variables");
            }
            v->address = address;
            v->bytes = bytes;
            break;
        }
        at = (at + 1) % VARIABLES;
    }
    return &x->variables[at];
}

static bool kind_writes(point_kind_t kind) {
    return kind != POINT_LOAD;
}

/* The variable, if operations on it are points. */
static variable_t *meet(const volatile void *var, unsigned bytes, point_kind_t kind) {
    if (is_counter((uintptr_t)var)) {
        return NULL;
    }
    variable_t *v = find_variable((uintptr_t)var, bytes);
    v->users |= (uint8_t)(1 << x->current);
    v->writers |= (uint8_t)((kind_writes(kind) ? 1 : 0) << x->current);
    if (!v->shared && v->writers != 0 && (v->users & (v->users - 1)) != 0) {
        v->shared = true;
        go_home(HOME_GREW);
    }
    if (v->run != x->run) {
        v->run = x->run;
        v->wrote = v->read = 0;
        memset(v->write_clock, 0, sizeof v->write_clock);
        memset(v->clock, 0, sizeof v->clock);
    }
    return v->shared ? v : NULL;
}

static uint64_t value_of(const variable_t *v) {
    const volatile void *p = (const volatile void *)v->address;
    switch (v->bytes) {
    case 1:
        return *(const volatile uint8_t *)p;
    case 2:
        return *(const volatile uint16_t *)p;
    case 4:
        return *(const volatile uint32_t *)p;
    default:
        return *(const volatile uint64_t *)p;
    }
}

/* ---- Steps ------------------------------------------------------------------------------------ */

static bool is_enabled(const thread_t *t) {
    return !t->finished && t->asleep == NULL &&
           (t->pending.kind != POINT_LOCK || value_of(t->pending.variable) == 0);
}

static void fail_deadlock(void) {
    char text[256] = "";
    for (unsigned i = 0; i < x->thread_count; i++) {
        if (!x->threads[i].finished) {
            size_t used = strlen(text);
            (void)snprintf(text + used, sizeof text - used, " %s,", x->scenario->threads[i].name);
        }
    }
    text[strlen(text) - 1] = '\0';
    model_fail("deadlock: nobody can go on; waiting:%s", text);
}

static unsigned choose(void) {
    unsigned enabled = 0;
    bool all_finished = true;
    for (unsigned i = 0; i < x->thread_count; i++) {
        enabled |= (unsigned)is_enabled(&x->threads[i]) << i;
        all_finished = all_finished && x->threads[i].finished;
    }
    if (all_finished) {
        go_home(HOME_DONE);
    }
    if (enabled == 0) {
        fail_deadlock();
    }
    if (x->step_count == SCHED_STEPS) {
        model_fail("the run does not come to an end");
    }
    int next = x->pick(enabled);
    if (next < 0) {
        go_home(HOME_CUT);
    }
    return (unsigned)next;
}

static void finish(void) {
    x->threads[x->current].finished = true;
    if (x->starting) {
        go_home(HOME_STARTED);
    }
    resume(choose());
}

/* The thread is about to do this; returns when it is chosen to. */
static void reach(point_kind_t kind, const char *func, variable_t *v) {
    thread_t *t = &x->threads[x->current];
    t->pending = (operation_t){kind, func, v};
    if (x->starting) {
        if (_setjmp(t->here) == 0) {
            go_home(HOME_STARTED);
        }
        return;
    }
    unsigned next = choose();
    if (next != (unsigned)x->current && _setjmp(t->here) == 0) {
        resume(next);
    }
}

static uint64_t mix(uint64_t h) {
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93U;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93U;
    return h ^ (h >> 32);
}

static void join(uint16_t *clock, const uint16_t *other) {
    for (unsigned i = 0; i < SCHED_THREADS; i++) {
        clock[i] = clock[i] > other[i] ? clock[i] : other[i];
    }
}

static void open_step(uint64_t before) {
    if (x->tracing && x->line_count < LINES_MAX) {
        trace_line_t *line = &x->lines[x->line_count++];
        *line = (trace_line_t){.operation = x->threads[x->current].pending,
                               .thread = (uint8_t)x->current,
                               .before = before};
    }
    x->open = true;
}

/* All that happened comes before it. */
static void meet_everything(void) {
    variable_t *v = &x->everything;
    *v = (variable_t){.name = "all threads", .bytes = sizeof(uint32_t), .run = x->run};
    v->address = (uintptr_t)&x->thread_count;
    v->wrote = sched_state_hash();
    for (unsigned i = 0; i < x->thread_count; i++) {
        join(v->clock, x->threads[i].clock);
    }
}

static void close_step(bool wrote) {
    thread_t *t = &x->threads[x->current];
    variable_t *v = t->pending.variable;
    x->open = false;
    t->clock[x->current]++;
    join(t->clock, wrote ? v->clock : v->write_clock);
    join(v->clock, t->clock);
    t->hash = mix(t->hash + mix(v->wrote + (wrote ? 2 * v->read + 1 : 0)));
    if (wrote) {
        memcpy(v->write_clock, t->clock, sizeof v->write_clock);
        v->wrote = t->hash;
        v->read = 0;
    } else {
        v->read += t->hash;
    }
    t->last_kind = t->pending.kind;
    t->last_variable = v;
    step_t *step = &x->steps[x->step_count++];
    *step = (step_t){.operation = t->pending, .thread = (uint8_t)x->current, .wrote = wrote};
    memcpy(step->clock, t->clock, sizeof step->clock);
    if (x->tracing) {
        x->lines[x->line_count - 1].wrote = wrote;
        x->lines[x->line_count - 1].after = value_of(v);
    }
}

/* A lock that spins: what it reads again without having let others run is the same. */
static bool spins(point_kind_t kind, const variable_t *v) {
    const thread_t *t = &x->threads[x->current];
    return x->scenario->own_locks && kind == POINT_LOAD && t->last_kind == POINT_LOAD &&
           t->last_variable == v;
}

/* ---- Points (points.h) ------------------------------------------------------------------------ */

void point_before(point_kind_t kind, const volatile void *var, unsigned bytes, const char *name,
                  const char *func) {
    if (!x->running) {
        return;
    }
    thread_t *t = &x->threads[x->current];
    if (t->skip == var) {
        t->skip = NULL;
        return;
    }
    variable_t *v = meet(var, bytes, kind);
    if (v == NULL || spins(kind, v)) {
        return;
    }
    v->name = v->name == NULL ? name : v->name;
    reach(kind, func, v);
    open_step(value_of(v));
}

void point_after(bool wrote) {
    if (x->running && x->open) {
        close_step(wrote);
    }
}

void point_fence(const char *func) {
    if (!x->running || !x->scenario->forks) {
        return;
    }
    variable_t *v = &x->own[x->current];
    if (v->run != x->run) {
        *v = (variable_t){.bytes = sizeof(uint32_t), .name = "own stores", .run = x->run};
        v->address = (uintptr_t)&x->thread_count;
    }
    reach(POINT_FENCE, func, v);
    open_step(0);
    close_step(true);
}

void point_name(const volatile void *word, const char *name) {
    if (x->running) {
        find_variable((uintptr_t)word, sizeof(uint32_t))->name = name;
    }
}

static void lock_step(point_kind_t kind, const volatile void *word, const char *func) {
    variable_t *v = x->running ? meet(word, sizeof(uint32_t), kind) : NULL;
    if (v == NULL || x->scenario->own_locks) {
        return;
    }
    reach(kind, func, v);
    x->threads[x->current].skip = word;
    open_step(value_of(v));
    close_step(true);
}

void point_lock(const volatile void *word, const char *name, const char *func) {
    point_name(word, name);
    lock_step(POINT_LOCK, word, func);
}

void point_unlock(const volatile void *word, const char *func) {
    lock_step(POINT_UNLOCK, word, func);
}

/* Nobody wakes without a cause, and of several sleepers the first in the scenario's order wakes. */
void sched_sleep(void *word, uint32_t while_value) {
    if (!x->running) {
        model_fail("a lock is held that nobody will release");
    }
    point_before(POINT_SLEEP, word, sizeof(uint32_t), "a lock", __func__);
    bool sleeps = *(volatile uint32_t *)word == while_value;
    x->threads[x->current].asleep = sleeps ? word : NULL;
    point_after(true);
    if (sleeps) {
        point_before(POINT_AWAKE, word, sizeof(uint32_t), "a lock", __func__);
        point_after(true);
    }
}

void sched_wake(void *word) {
    point_before(POINT_WAKE, word, sizeof(uint32_t), "a lock", __func__);
    for (unsigned i = 0; i < x->thread_count; i++) {
        if (x->threads[i].asleep == word) {
            x->threads[i].asleep = NULL;
            break;
        }
    }
    point_after(true);
}

/* ---- One run ---------------------------------------------------------------------------------- */

static void reset(picker_t pick) {
    snapshot_restore();
    hak_tls_heap = actors[actor].heap;
    hak_tls_in_hand = actors[actor].in_hand;
    hak_lock_self = actors[actor].lock_self;
    x->run++;
    x->pick = pick;
    x->busy = true;
    x->open = false;
    x->step_count = x->line_count = 0;
    x->failure[0] = '\0';
    for (unsigned i = 0; i < x->thread_count; i++) {
        thread_t *t = &x->threads[i];
        t->finished = false;
        t->pending = (operation_t){POINT_START, NULL, NULL};
        t->skip = t->asleep = NULL;
        t->last_variable = NULL;
        t->hash = i + 1;
        memset(t->clock, 0, sizeof t->clock);
    }
    x->started = 0;
}

static void check(void) {
    x->current = -1;
    model_become(SCHED_GUEST);
    if (x->scenario->check != NULL) {
        x->scenario->check();
    }
    if (x->scenario->finish != NULL) {
        x->scenario->finish();
    }
}

outcome_t sched_run(picker_t pick) {
    reset(pick);
    int why = _setjmp(x->home);
    if (why == HOME_AT_FIRST || why == HOME_STARTED) {
        x->running = true;
        x->starting = x->started < x->thread_count;
        if (x->starting) {
            start(x->started++);
        }
        x->current = -1;
        resume(choose());
    }
    if (why == HOME_DONE) {
        check();
    }
    x->busy = false;
    return why == HOME_DONE   ? RUN_DONE
           : why == HOME_CUT  ? RUN_CUT
           : why == HOME_GREW ? RUN_GREW
                              : RUN_FAILED;
}

void sched_init(const scenario_t *scenario) {
    x = snapshot_keep(sizeof *x);
    x->scenario = scenario;
    x->current = -1;
    while (x->thread_count < SCHED_THREADS && scenario->threads[x->thread_count].run != NULL) {
        x->thread_count++;
    }
    for (unsigned i = 0; i < SCHED_ACTORS; i++) {
        actors[i].heap = hak_tls_heap;
    }
    if (scenario->set_up != NULL) {
        scenario->set_up();
    }
    model_become(SCHED_GUEST);
    catch_signals();
    snapshot_take();
}

unsigned sched_thread_count(void) {
    return x->thread_count;
}

unsigned sched_step_count(void) {
    return x->step_count;
}

const step_t *sched_step(unsigned index) {
    return &x->steps[index];
}

int sched_current(void) {
    return x->current;
}

const operation_t *sched_pending(unsigned thread) {
    return &x->threads[thread].pending;
}

const uint16_t *sched_clock(unsigned thread) {
    return x->threads[thread].clock;
}

bool sched_is_finished(unsigned thread) {
    return x->threads[thread].finished;
}

uint64_t sched_state_hash(void) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < x->thread_count; i++) {
        sum += mix(x->threads[i].hash + i);
    }
    return sum;
}

const char *sched_failure(void) {
    return x->failure;
}

void sched_trace(bool on) {
    x->tracing = on;
}

unsigned sched_line_count(void) {
    return x->line_count;
}

const trace_line_t *sched_line(unsigned index) {
    return &x->lines[index];
}

void model_note(const char *format, ...) {
    if (!x->tracing || x->line_count == LINES_MAX) {
        return;
    }
    trace_line_t *line = &x->lines[x->line_count++];
    va_list args;
    line->operation = (operation_t){POINT_NOTE, NULL, NULL};
    line->thread = (uint8_t)actor;
    va_start(args, format);
    (void)vsnprintf(line->note, sizeof line->note, format, args);
    va_end(args);
}

/* ---- What the C library does at a thread's end and at a fork (-Wl,--wrap) --------------------- */

uint32_t __wrap_hak_os_thread_id(void);
uint32_t __wrap_hak_os_thread_id(void) {
    return actor + 1;
}

int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *)) {
    *key = 0;
    key_destructor = destructor;
    return 0;
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value) {
    (void)key;
    actors[actor].key_value = (void *)(uintptr_t)value;
    return 0;
}

int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
    (void)parent;
    fork_prepare = prepare;
    fork_child = child;
    return 0;
}

void model_exit_thread(void) {
    void *value = actors[actor].key_value;
    model_note("exits");
    if (value != NULL) {
        actors[actor].key_value = NULL;
        key_destructor(value);
    }
}

void model_fork(void) {
    model_note("forks");
    fork_prepare();
    reach(POINT_FORK, __func__, &x->everything);
    meet_everything();
    open_step(0);
    close_step(true);
    model_note("is the child: all other threads are gone");
    for (unsigned i = 0; i < SCHED_ACTORS; i++) {
        if (i != actor) {
            actors[i].heap = HAK_HEAP_NONE;
            actors[i].key_value = NULL;
        }
        if (i != actor && i < x->thread_count) {
            x->threads[i].finished = true;
        }
    }
    fork_child();
}
