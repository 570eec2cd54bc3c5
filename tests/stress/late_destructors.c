// Threads whose key destructors allocate and free in every round that pthreads grants them: nothing
// may leak, even when the allocator's own destructor ran before theirs.
//
// usage: late_destructors [THREADS]     (20,000) in sequence; fails when RSS grows by over 8 MiB
#include <limits.h>
#include <pthread.h>

#include "stress_util.h"

enum { KEYS = 6, WARM_UP = 500, MOST_GROWTH_KIB = 8 * 1024 };

typedef struct {
    int rounds_left;
    int key;
    char *kept; // a block that lives from one round to the next
} mark_t;

static pthread_key_t keys[KEYS];
static long destructor_runs; // threads run one after the other: join orders the accesses

static void *checked(void *p) {
    if (p == NULL) {
        STRESS_FAIL("late_destructors: no memory\n");
    }
    return p;
}

static void allocate_and_free(void) {
    static const size_t sizes[] = {8, 24, 100, 500, 1024, 3000, 20000, 50000, 200000};
    void *blocks[sizeof sizes / sizeof sizes[0]];
    size_t n = sizeof sizes / sizeof sizes[0];
    for (size_t i = 0; i < n; i++) {
        blocks[i] = checked(malloc(sizes[i]));
        memset(blocks[i], 0x5a, 8);
    }
    for (size_t i = 0; i < n; i++) {
        free(blocks[i]);
    }
}

static void destroy(void *value) {
    mark_t *mark = value;
    destructor_runs++;
    allocate_and_free();
    free(mark->kept);
    if (mark->rounds_left == 0) {
        free(mark);
        return;
    }
    mark->rounds_left--;
    mark->kept = checked(malloc(64 + (size_t)mark->rounds_left * 700));
    if (pthread_setspecific(keys[mark->key], mark) != 0) {
        STRESS_FAIL("late_destructors: cannot set a key\n");
    }
}

static void *thread_main(void *unused) {
    for (int i = 0; i < KEYS; i++) {
        mark_t *mark = checked(malloc(sizeof *mark));
        // The first run is not granted by re-arming.
        mark->rounds_left = PTHREAD_DESTRUCTOR_ITERATIONS - 1;
        mark->key = i;
        mark->kept = checked(malloc(300));
        if (pthread_setspecific(keys[i], mark) != 0) {
            STRESS_FAIL("late_destructors: cannot set a key\n");
        }
    }
    allocate_and_free();
    return unused;
}

static void run_threads(long n) {
    for (long i = 0; i < n; i++) {
        pthread_t thread;
        stress_watchdog(60);
        if (pthread_create(&thread, NULL, thread_main, NULL) != 0 ||
            pthread_join(thread, NULL) != 0) {
            STRESS_FAIL("late_destructors: cannot run a thread\n");
        }
    }
}

int main(int argc, char **argv) {
    long threads = stress_argument(argc, argv, 1, 20000);
    for (int i = 0; i < KEYS; i++) {
        if (pthread_key_create(&keys[i], destroy) != 0) {
            STRESS_FAIL("late_destructors: cannot create a key\n");
        }
    }
    run_threads(WARM_UP);
    long before = stress_rss_kib();
    run_threads(threads);
    long growth = stress_rss_kib() - before;
    long expected = (threads + WARM_UP) * KEYS * PTHREAD_DESTRUCTOR_ITERATIONS;
    if (destructor_runs != expected) {
        STRESS_FAIL("late_destructors: %ld destructor runs, want %ld\n", destructor_runs, expected);
    }
    const char *verdict = growth <= MOST_GROWTH_KIB ? "ok" : "LEAK";
    printf("late_destructors: %ld threads, RSS %ld KiB, growth %ld KiB: %s\n", threads, before,
           growth, verdict);
    return growth <= MOST_GROWTH_KIB ? 0 : 1;
}
