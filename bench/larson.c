/* larson.c: a server whose threads inherit each other's blocks, after Larson and Krishnan (1998)
 *
 * Owns:      THREADS sets of BLOCKS blocks.
 * Threads:   a set belongs to one thread at a time, pthread_create hands it on. `stop` is the only
 *            word that the threads share.
 *
 * The thread at work on a set replaces random blocks of it. After ROUNDS * BLOCKS replacements it
 * creates a successor, leaves it the set and ends. So blocks are freed by other threads than those
 * that allocated them, which are gone by then, and thread births are part of the work. One
 * operation is one replacement: a free and a malloc.
 */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>

static const char usage[] = "larson SECONDS MIN MAX BLOCKS ROUNDS SEED THREADS";

/* Const after main() has read its arguments. */
static struct {
    uint64_t min_size;
    uint64_t size_count; /* how many different sizes: MAX - MIN + 1 */
    uint64_t blocks;
    uint64_t replacements_a_life;
} config;

/* Alone on its cache lines, so that two sets do not slow each other down. */
typedef struct {
    _Alignas(BENCH_CACHE_LINE) bench_block_t *blocks;
    bench_random_t random;
    uint64_t index;      /* const once the set is open */
    uint64_t operations; /* by all threads that had this set so far */
    pthread_t predecessor;
    bool has_predecessor;
} set_t;

static atomic_bool stop; /* relaxed: a thread that sees it late does a few operations more */

/* Guards running_sets and every set's `predecessor` once its last thread has ended. */
static pthread_mutex_t end_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t one_set_ended = PTHREAD_COND_INITIALIZER;
static uint64_t running_sets;

static bool must_stop(void) {
    return atomic_load_explicit(&stop, memory_order_relaxed);
}

/* Fills the place `at` of the set; the place is the block's owner in the sense of its seal. */
static void fill(set_t *set, uint64_t at, uint64_t random_bits) {
    bench_block_t *block = &set->blocks[at];
    block->size = config.min_size + bench_scale(random_bits, config.size_count);
    block->bytes = bench_make(block->size, set->index * config.blocks + at);
}

static void empty(set_t *set, uint64_t at) {
    bench_block_t *block = &set->blocks[at];
    bench_drop(block->bytes, block->size, set->index * config.blocks + at);
}

static void replace_blocks(set_t *set) {
    bench_random_t random = set->random;
    uint64_t done = 0;
    while (done < config.replacements_a_life && !must_stop()) {
        uint64_t bits = bench_random_next(&random);
        uint64_t at = bench_scale(bits, config.blocks);
        empty(set, at);
        fill(set, at, bits >> 32);
        done++;
    }
    set->random = random;
    set->operations += done;
}

static void *live(void *argument);

static void start_thread_on(set_t *set) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, live, set) != 0) {
        bench_die("cannot create a thread", NULL);
    }
}

/* One thread's life. Predecessors are joined and not detached: no thread is left at exit. */
static void *live(void *argument) {
    set_t *set = argument;
    if (set->has_predecessor) {
        pthread_join(set->predecessor, NULL);
    }
    replace_blocks(set);
    set->predecessor = pthread_self();
    set->has_predecessor = true;
    if (!must_stop()) {
        start_thread_on(set);
        return NULL;
    }
    pthread_mutex_lock(&end_lock);
    running_sets--;
    pthread_cond_signal(&one_set_ended);
    pthread_mutex_unlock(&end_lock);
    return NULL;
}

static void wait_for_the_last_threads(set_t *sets, uint64_t count) {
    pthread_mutex_lock(&end_lock);
    while (running_sets > 0) {
        pthread_cond_wait(&one_set_ended, &end_lock);
    }
    pthread_mutex_unlock(&end_lock);
    for (uint64_t i = 0; i < count; i++) {
        pthread_join(sets[i].predecessor, NULL);
    }
}

static void open_sets(set_t *sets, uint64_t count, uint64_t seed) {
    for (uint64_t i = 0; i < count; i++) {
        sets[i].index = i;
        sets[i].random = bench_random_start(seed, i);
        sets[i].blocks = bench_table(config.blocks, sizeof *sets[i].blocks);
        for (uint64_t k = 0; k < config.blocks; k++) {
            fill(&sets[i], k, bench_random_next(&sets[i].random));
        }
    }
}

static uint64_t close_sets(set_t *sets, uint64_t count) {
    uint64_t operations = 0;
    for (uint64_t i = 0; i < count; i++) {
        for (uint64_t k = 0; k < config.blocks; k++) {
            empty(&sets[i], k);
        }
        free(sets[i].blocks);
        operations += sets[i].operations;
    }
    return operations;
}

#define MAX_THREADS 256

int main(int argc, char **argv) {
    if (argc != 8) {
        bench_usage(usage);
    }
    double seconds = bench_seconds_arg(argv[1], usage);
    config.min_size = bench_arg(argv[2], 1, BENCH_MAX_SIZE, usage);
    uint64_t max_size = bench_arg(argv[3], config.min_size, BENCH_MAX_SIZE, usage);
    config.size_count = max_size - config.min_size + 1;
    config.blocks = bench_arg(argv[4], 1, BENCH_MAX_SLOTS, usage);
    config.replacements_a_life = config.blocks * bench_arg(argv[5], 1, BENCH_MAX_SLOTS, usage);
    uint64_t seed = bench_arg(argv[6], 0, UINT64_MAX, usage);
    uint64_t threads = bench_arg(argv[7], 1, MAX_THREADS, usage);

    static set_t sets[MAX_THREADS];
    open_sets(sets, threads, seed);
    running_sets = threads;
    double start = bench_now_s();
    for (uint64_t i = 0; i < threads; i++) {
        start_thread_on(&sets[i]);
    }
    bench_sleep(seconds);
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    double elapsed = bench_now_s() - start;
    wait_for_the_last_threads(sets, threads);
    bench_report(close_sets(sets, threads), elapsed);
    return 0;
}
