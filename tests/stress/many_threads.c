// Many threads alive at once, each with little memory: what the allocator adds for each stays
// small, and goes away when other threads freed the blocks and all have ended.
//
// usage: many_threads [THREADS] [ROUNDS]     (1,000 threads, 3 rounds)
//
// A first phase, in which the same threads do not allocate, tells what their stacks cost. Fails
// above 64 KiB a thread besides, or when RSS does not go back. Where the system allows fewer
// threads it says so; fewer than 200 are a failure.
#include <malloc.h>
#include <pthread.h>

#include "payload.h"

enum {
    BLOCKS = 60,
    FEWEST = 200,
    SECONDS = 120,
    STACK_BYTES = 64 * 1024,
    MOST_KIB_EACH = 64,
    // A heap's record stays for the next thread: 13 KiB, see docs/ARCHITECTURE.md.
    HEAP_KIB_EACH = 14,
    MOST_GROWTH_KIB = 4 * 1024
};

typedef struct {
    payload_t blocks[BLOCKS];
    uint64_t random;
} life_t;

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t all_here, next;
    long here;   // guarded by lock
    long wanted; // guarded by lock
    long phase;  // guarded by lock
} gate_t;

static gate_t gate = {.lock = PTHREAD_MUTEX_INITIALIZER,
                      .all_here = PTHREAD_COND_INITIALIZER,
                      .next = PTHREAD_COND_INITIALIZER};
static life_t *lives;      // one a thread, and its neighbour's between two gates
static pthread_t *threads; // main only
static long count;         // const while threads run
static bool allocates;     // const while threads run

// The threads of a phase wait here until main has looked.
static void wait_at_gate(void) {
    pthread_mutex_lock(&gate.lock);
    long phase = gate.phase;
    if (++gate.here == gate.wanted) {
        pthread_cond_signal(&gate.all_here);
    }
    while (gate.phase == phase) {
        pthread_cond_wait(&gate.next, &gate.lock);
    }
    pthread_mutex_unlock(&gate.lock);
}

// RSS while all threads wait.
static long measure_at_gate(long wanted) {
    stress_watchdog(SECONDS);
    pthread_mutex_lock(&gate.lock);
    gate.wanted = wanted;
    while (gate.here != wanted) {
        pthread_cond_wait(&gate.all_here, &gate.lock);
    }
    long rss_kib = stress_rss_kib();
    gate.here = 0;
    gate.phase++;
    pthread_cond_broadcast(&gate.next);
    pthread_mutex_unlock(&gate.lock);
    return rss_kib;
}

// 12 KiB in four sizes.
static void allocate_all(life_t *life) {
    static const size_t sizes[] = {24, 100, 250, 440};
    for (size_t i = 0; i < BLOCKS; i++) {
        payload_allocate(&life->blocks[i], sizes[i % 4], &life->random);
    }
}

static void release_all(life_t *life) {
    for (size_t i = 0; i < BLOCKS; i++) {
        payload_release(&life->blocks[i], "another thread's block");
    }
}

static void *thread_main(void *arg) {
    life_t *life = arg;
    long index = life - lives;
    if (allocates) {
        allocate_all(life);
    }
    wait_at_gate();
    if (allocates) {
        release_all(&lives[(index + 1) % count]);
    }
    wait_at_gate();
    return NULL;
}

static long start_threads(long wanted) {
    pthread_attr_t attributes;
    long started = 0;
    if (pthread_attr_init(&attributes) != 0 ||
        pthread_attr_setstacksize(&attributes, STACK_BYTES) != 0) {
        STRESS_FAIL("many_threads: cannot set a stack size\n");
    }
    while (started < wanted &&
           pthread_create(&threads[started], &attributes, thread_main, &lives[started]) == 0) {
        started++;
    }
    pthread_attr_destroy(&attributes);
    return started;
}

static void join_threads(long started) {
    for (long i = 0; i < started; i++) {
        if (pthread_join(threads[i], NULL) != 0) {
            STRESS_FAIL("many_threads: cannot join\n");
        }
    }
}

// Returns RSS with all threads alive.
static long run_threads(long started) {
    long rss_kib = measure_at_gate(started);
    measure_at_gate(started);
    join_threads(started);
    return rss_kib;
}

// With threads that do not allocate. Where not all can be started it goes on with half as many as
// could, which leaves room for what they are to allocate.
static long measure_stacks(void) {
    allocates = false;
    for (;;) {
        long started = start_threads(count);
        long rss_kib = run_threads(started);
        if (started == count) {
            return rss_kib;
        }
        long fewer = started / 2;
        printf("many_threads: the system allows %ld threads, not %ld: %ld\n", started, count,
               fewer);
        fflush(stdout);
        if (fewer < FEWEST) {
            STRESS_FAIL("many_threads: %ld threads are too few\n", fewer);
        }
        count = fewer;
    }
}

static long measure_heaps(void) {
    allocates = true;
    if (start_threads(count) != count) {
        STRESS_FAIL("many_threads: cannot start %ld threads for a second time\n", count);
    }
    return run_threads(count);
}

static long rss_after_trim(void) {
    malloc_trim(0);
    return stress_rss_kib();
}

static void make_lives(void) {
    lives = calloc((size_t)count, sizeof *lives);
    threads = calloc((size_t)count, sizeof *threads);
    if (lives == NULL || threads == NULL) {
        STRESS_FAIL("many_threads: no memory\n");
    }
    for (long i = 0; i < count; i++) {
        lives[i].random = stress_mix((uint64_t)i + 1) | 1;
    }
    memset(threads, 0xff, (size_t)count * sizeof *threads); // resident from the start, as are lives
}

int main(int argc, char **argv) {
    count = stress_argument(argc, argv, 1, 1000);
    long rounds = stress_argument(argc, argv, 2, 3);
    make_lives();
    long stacks_kib = measure_stacks();
    long start_kib = rss_after_trim();
    long most_each = 0, first_kib = 0, most_kib = 0;
    for (long i = 0; i < rounds; i++) {
        long each = (measure_heaps() - stacks_kib) / count;
        long end_kib = rss_after_trim();
        most_each = each > most_each ? each : most_each;
        most_kib = end_kib > most_kib ? end_kib : most_kib;
        first_kib = i == 0 ? end_kib : first_kib;
    }
    bool small = most_each <= MOST_KIB_EACH;
    bool back = first_kib <= start_kib + count * HEAP_KIB_EACH + MOST_GROWTH_KIB &&
                most_kib <= first_kib + MOST_GROWTH_KIB;
    const char *verdict = !small ? "TOO MUCH" : !back ? "LEAK" : "ok";
    printf("many_threads: %ld threads, %ld KiB each, RSS %ld KiB, after the first of %ld rounds "
           "%ld, most %ld: %s\n",
           count, most_each, start_kib, rounds, first_kib, most_kib, verdict);
    return small && back ? 0 : 1;
}
