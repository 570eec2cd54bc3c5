/* thread_churn.c: short threads; each frees its predecessor's blocks and leaves its own behind
 *
 * Owns:      two lanes of BLOCKS blocks of 16 to 512 bytes.
 * Threads:   a lane belongs to one thread at a time; pthread_create and pthread_join hand it on.
 *
 * Two threads live at a time, one a lane, and both are joined before the next two start. It shows
 * what a thread's birth and death cost, and whether its memory comes back. One operation is one
 * block allocated and freed; creating the threads is inside the measured time.
 */
#include "bench.h"

#include <pthread.h>

static const char usage[] = "thread_churn THREADS BLOCKS";

#define LANES 2
#define MIN_SIZE 16
#define MAX_SIZE 512

typedef struct {
    _Alignas(BENCH_CACHE_LINE) bench_block_t *blocks;
    uint64_t count;       /* const after start */
    uint64_t first_owner; /* likewise; owners in the sense of the seals */
    bench_random_t random;
    pthread_t thread;
} lane_t;

static void free_blocks(lane_t *lane) {
    for (uint64_t i = 0; i < lane->count; i++) {
        bench_drop(lane->blocks[i].bytes, lane->blocks[i].size, lane->first_owner + i);
    }
}

static void allocate_blocks(lane_t *lane) {
    for (uint64_t i = 0; i < lane->count; i++) {
        uint64_t bits = bench_random_next(&lane->random);
        lane->blocks[i].size = MIN_SIZE + bench_scale(bits, MAX_SIZE - MIN_SIZE + 1);
        lane->blocks[i].bytes = bench_make(lane->blocks[i].size, lane->first_owner + i);
    }
}

static void *live(void *argument) {
    free_blocks(argument);
    allocate_blocks(argument);
    return NULL;
}

static void run_threads(lane_t *lanes, uint64_t threads) {
    for (uint64_t started = 0; started < threads;) {
        uint64_t now = threads - started < LANES ? threads - started : LANES;
        for (uint64_t i = 0; i < now; i++) {
            if (pthread_create(&lanes[i].thread, NULL, live, &lanes[i]) != 0) {
                bench_die("cannot create a thread", NULL);
            }
        }
        for (uint64_t i = 0; i < now; i++) {
            pthread_join(lanes[i].thread, NULL);
        }
        started += now;
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        bench_usage(usage);
    }
    uint64_t threads = bench_arg(argv[1], 1, BENCH_MAX_SLOTS, usage);
    uint64_t blocks = bench_arg(argv[2], 1, BENCH_MAX_SLOTS, usage);

    static lane_t lanes[LANES];
    for (uint64_t i = 0; i < LANES; i++) {
        lanes[i].count = blocks;
        lanes[i].first_owner = i * blocks;
        lanes[i].random = bench_random_start(blocks, i);
        lanes[i].blocks = bench_table(blocks, sizeof *lanes[i].blocks);
        allocate_blocks(&lanes[i]);
    }
    double start = bench_now_s();
    run_threads(lanes, threads);
    double elapsed = bench_now_s() - start;
    for (uint64_t i = 0; i < LANES; i++) {
        free_blocks(&lanes[i]);
        free(lanes[i].blocks);
    }
    bench_report(threads * blocks, elapsed);
    return 0;
}
