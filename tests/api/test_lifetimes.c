// malloc and free before main, in key destructors, after exit began, and in signal-ridden threads.
#include "check.h"

#include <sched.h>
#include <signal.h>
#include <sys/time.h>

static void *early_blocks[100];
static pthread_key_t keys[4];
static int destructor_runs;

// Priority 101: before the constructors of other code in this program.
__attribute__((constructor(101))) static void allocate_early(void) {
    for (size_t i = 0; i < COUNT_OF(early_blocks); i++) {
        early_blocks[i] = malloc(1 + i * 1000);
        if (early_blocks[i] != NULL) {
            pattern_fill(early_blocks[i], 1 + i * 1000, (unsigned)i);
        }
    }
}

// Runs after atexit handlers; a crash here shows as a bad exit status after `done`.
__attribute__((destructor)) static void allocate_late(void) {
    free(malloc(100));
    free(malloc(100000));
}

static void constructor_blocks_live_in_main(void) {
    for (size_t i = 0; i < COUNT_OF(early_blocks); i++) {
        CHECK(early_blocks[i] != NULL);
        CHECK(pattern_holds(early_blocks[i], 1 + i * 1000, (unsigned)i));
        free(early_blocks[i]);
    }
}

// Sets its key again in the first rounds, so that destructors run as late as pthreads lets them.
static void free_and_rearm(void *value) {
    void **block = value;
    CHECK(pattern_holds(block[1], 50, 3));
    free(block[1]);
    size_t index = (size_t)(uintptr_t)block[0];
    free(block);
    destructor_runs++;
    void **next = malloc(4 * sizeof(void *));
    CHECK(next != NULL);
    next[0] = (void *)index;
    next[1] = malloc(50);
    CHECK(next[1] != NULL);
    pattern_fill(next[1], 50, 3);
    if (destructor_runs % (int)COUNT_OF(keys) < 3) {
        CHECK(pthread_setspecific(keys[index], next) == 0);
    } else {
        free(next[1]);
        free(next);
    }
}

static void *set_keys(void *unused) {
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        void **block = malloc(4 * sizeof(void *));
        CHECK(block != NULL);
        block[0] = (void *)i;
        block[1] = malloc(50);
        CHECK(block[1] != NULL);
        pattern_fill(block[1], 50, 3);
        CHECK(pthread_setspecific(keys[i], block) == 0);
    }
    return unused;
}

static void key_destructors_allocate_and_free(void) {
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        CHECK(pthread_key_create(&keys[i], free_and_rearm) == 0);
    }
    for (int i = 0; i < 200; i++) {
        in_thread(set_keys, NULL);
    }
    CHECK(destructor_runs >= 200 * (int)COUNT_OF(keys));
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        CHECK(pthread_key_delete(keys[i]) == 0);
    }
}

static void allocate_at_exit(void) {
    void *p = malloc(100000);
    void *q = calloc(100, 10);
    if (p == NULL || q == NULL || !all_zero(q, 1000)) {
        _exit(9);
    }
    free(p);
    free(q);
    check_print(STDERR_FILENO, "");
}

static void exit_with_handlers(void) {
    CHECK(atexit(allocate_at_exit) == 0);
    exit(0);
}

static void atexit_handlers_allocate(void) {
    in_child(exit_with_handlers);
}

static void *allocate_forever(void *unused) {
    for (;;) {
        free(malloc(100));
        free(malloc(5000));
        free(malloc(100000));
    }
    return unused;
}

static void exit_under_running_threads(void) {
    pthread_t thread;
    CHECK(atexit(allocate_at_exit) == 0);
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&thread, NULL, allocate_forever, NULL) == 0);
    }
    usleep(3000);
    exit(0);
}

static void exit_while_threads_allocate_ends_cleanly(void) {
    for (int i = 0; i < 20; i++) {
        in_child(exit_under_running_threads);
    }
}

static void *exit_from_here(void *unused) {
    free(malloc(100));
    exit(0);
    return unused;
}

static void exit_in_a_thread(void) {
    in_thread(exit_from_here, NULL);
}

static void exit_from_another_thread_ends_cleanly(void) {
    in_child(exit_in_a_thread);
}

static void *use_every_tier(void *unused) {
    static const size_t sizes[] = {1, 100, 1024, 1025, 8000, 32768, 40000, 300000, 3 << 20};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *p = calloc(1, sizes[i]);
        CHECK(p != NULL);
        p = realloc(p, sizes[i] * 2);
        CHECK(p != NULL);
        free(p);
        free(aligned_alloc(4096, sizes[i]));
    }
    return unused;
}

static void threads_with_the_smallest_stack_allocate(void) {
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0);
    for (int i = 0; i < 50; i++) {
        CHECK(pthread_create(&thread, &attributes, use_every_tier, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    pthread_attr_destroy(&attributes);
}

static volatile sig_atomic_t signals_seen;

static void count_signal(int number) {
    (void)number;
    signals_seen = signals_seen + 1;
}

static void signals_interrupt_any_call(void) {
    struct sigaction action;
    struct itimerval timer = {{0, 200}, {0, 200}};
    struct itimerval off = {{0, 0}, {0, 0}};
    memset(&action, 0, sizeof action);
    // No SA_RESTART: system calls of the allocator get EINTR.
    action.sa_handler = count_signal;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    for (int i = 0; i < 1000000 && (i < 2000 || signals_seen < 100); i++) {
        use_every_tier(NULL);
    }
    CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
    CHECK(signals_seen >= 100);
}

CHECK_MAIN(CASE(constructor_blocks_live_in_main), CASE(key_destructors_allocate_and_free),
           CASE(atexit_handlers_allocate), CASE(exit_while_threads_allocate_ends_cleanly),
           CASE(exit_from_another_thread_ends_cleanly),
           CASE(threads_with_the_smallest_stack_allocate), CASE(signals_interrupt_any_call))
