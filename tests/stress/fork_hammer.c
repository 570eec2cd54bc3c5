// fork while ten threads hammer the allocator: each child allocates, frees blocks of its parent,
// starts a thread and exits; none may hang or crash.
//
// usage: fork_hammer [FORKS] [THREADS]     (500 forks, 10 threads)
#include <pthread.h>
#include <stdatomic.h>

#include "stress_util.h"

enum { BLOCKS = 200, HELD = 64, MOST_THREADS = 64, CHILD_SECONDS = 30 };

static atomic_int stop;               // set by main, workers may see it late
static unsigned char *blocks[BLOCKS]; // main only: whole at every fork
static size_t sizes[BLOCKS];

static unsigned char *filled_block(size_t size) {
    unsigned char *p = malloc(size);
    if (p == NULL) {
        STRESS_FAIL("fork_hammer: no memory\n");
    }
    memset(p, (int)(size & 0xff), size);
    return p;
}

static void verify_and_free(unsigned char *p, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (p[i] != (size & 0xff)) {
            STRESS_FAIL("fork_hammer: byte %zu of %p is %#x\n", i, (void *)p, p[i]);
        }
    }
    free(p);
}

static size_t hammer_size(uint64_t *random) {
    size_t dice = stress_below(random, 100);
    return 1 + stress_below(random, dice < 90 ? 1100 : dice < 99 ? 33000 : 300000);
}

static void hammer_once(uint64_t *random, unsigned char **held, size_t *held_sizes) {
    size_t i = stress_below(random, HELD);
    if (held[i] != NULL) {
        verify_and_free(held[i], held_sizes[i]);
    }
    held_sizes[i] = hammer_size(random);
    held[i] = filled_block(held_sizes[i]);
}

// arg: operations to do, or NULL for as many as fit in before `stop`.
static void *hammer(void *arg) {
    static atomic_uint_fast64_t number;
    unsigned char *held[HELD] = {NULL};
    size_t held_sizes[HELD] = {0};
    uint64_t random = stress_mix(atomic_fetch_add(&number, 1) + 1) | 1;
    size_t limit = (size_t)(uintptr_t)arg;
    for (size_t n = 0; limit != 0 ? n < limit : !atomic_load(&stop); n++) {
        hammer_once(&random, held, held_sizes);
    }
    for (size_t i = 0; i < HELD; i++) {
        if (held[i] != NULL) {
            verify_and_free(held[i], held_sizes[i]);
        }
    }
    return NULL;
}

static void child_main(void) {
    pthread_t thread;
    stress_watchdog(CHILD_SECONDS - 5);
    for (size_t i = 0; i < BLOCKS; i++) {
        verify_and_free(blocks[i], sizes[i]);
        blocks[i] = filled_block(sizes[i] + 1);
    }
    if (pthread_create(&thread, NULL, hammer, (void *)(uintptr_t)300) != 0) {
        STRESS_FAIL("fork_hammer: child cannot start a thread\n");
    }
    hammer((void *)(uintptr_t)100);
    if (pthread_join(thread, NULL) != 0) {
        STRESS_FAIL("fork_hammer: child cannot join\n");
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        verify_and_free(blocks[i], sizes[i] + 1);
    }
    _exit(0);
}

static void fork_once(uint64_t *random) {
    // The parent's blocks move on between forks, under the hammer like all else.
    for (int i = 0; i < 20; i++) {
        size_t k = stress_below(random, BLOCKS);
        verify_and_free(blocks[k], sizes[k]);
        sizes[k] = hammer_size(random);
        blocks[k] = filled_block(sizes[k]);
    }
    pid_t child = fork();
    if (child < 0) {
        STRESS_FAIL("fork_hammer: cannot fork: errno %d\n", errno);
    }
    if (child == 0) {
        child_main();
    }
    stress_wait_for(child, CHILD_SECONDS);
}

int main(int argc, char **argv) {
    long forks = stress_argument(argc, argv, 1, 500);
    long threads = stress_argument(argc, argv, 2, 10);
    pthread_t workers[MOST_THREADS];
    uint64_t random = 1;
    threads = threads < MOST_THREADS ? threads : MOST_THREADS;
    for (size_t i = 0; i < BLOCKS; i++) {
        sizes[i] = hammer_size(&random);
        blocks[i] = filled_block(sizes[i]);
    }
    for (long i = 0; i < threads; i++) {
        if (pthread_create(&workers[i], NULL, hammer, NULL) != 0) {
            STRESS_FAIL("fork_hammer: cannot start a thread\n");
        }
    }
    for (long i = 0; i < forks; i++) {
        stress_watchdog(2 * CHILD_SECONDS);
        fork_once(&random);
    }
    atomic_store(&stop, 1);
    for (long i = 0; i < threads; i++) {
        pthread_join(workers[i], NULL);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        verify_and_free(blocks[i], sizes[i]);
    }
    printf("fork_hammer: %ld forks under %ld threads: ok\n", forks, threads);
    return 0;
}
