/* worker_pool.c: worker threads that exchange blocks of mixed sizes through shared slots
 *
 * Owns:      the shared slots and the blocks in them.
 * Threads:   a block belongs to the worker that holds its pointer; the atomic exchange of a slot
 *            hands it on.
 *
 * A worker allocates a block, swaps it into a random slot and frees what it got out, which mostly
 * is another worker's: foreign frees in every direction, without a pattern. One operation is one
 * malloc and one free.
 *
 * Invariant: who frees a block knows nothing but its address, so the block's first word is its
 * size, hidden by the address, and its last word repeats the first.
 */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>

static const char usage[] = "worker_pool SECONDS WORKERS SEED";

#define MAX_WORKERS 256
#define SLOTS 1024

/* Fifteen blocks of sixteen are small. The words at both ends need 16 bytes. */
#define MIN_SIZE 16
#define MAX_SMALL 512
#define MAX_SIZE 8192
#define LARGE_ONE_IN 16

typedef struct {
    _Alignas(BENCH_CACHE_LINE) bench_random_t random;
    uint64_t operations;
    pthread_t thread;
} worker_t;

static _Atomic(unsigned char *) slots[SLOTS];
static worker_t workers[MAX_WORKERS];
static atomic_bool stop; /* relaxed: a worker that sees it late does a few operations more */

static uint64_t hidden_size(const unsigned char *bytes, uint64_t size) {
    return size ^ ((uint64_t)(uintptr_t)bytes * UINT64_C(0x9E3779B97F4A7C15));
}

static unsigned char *make(size_t size) {
    unsigned char *bytes = malloc(size);
    if (bytes == NULL) {
        bench_die("malloc returned NULL", NULL);
    }
    uint64_t word = hidden_size(bytes, size);
    memcpy(bytes, &word, sizeof word);
    memcpy(bytes + size - sizeof word, &word, sizeof word);
    return bytes;
}

static void drop(unsigned char *bytes) {
    if (bytes == NULL) {
        return;
    }
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    uint64_t size = hidden_size(bytes, word);
    if (size < MIN_SIZE || size > MAX_SIZE ||
        memcmp(bytes + size - sizeof word, &word, sizeof word) != 0) {
        bench_die("the bytes of a live block have changed", bytes);
    }
    memset(bytes, 0, sizeof word); /* were it handed out twice, its other holder would notice */
    free(bytes);
}

static size_t random_size(uint64_t bits) {
    uint64_t largest = bits % LARGE_ONE_IN == 0 ? MAX_SIZE : MAX_SMALL;
    return MIN_SIZE + bench_scale(bits >> 8, largest - MIN_SIZE + 1);
}

static void *work(void *argument) {
    worker_t *worker = argument;
    bench_random_t random = worker->random;
    uint64_t operations = 0;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        uint64_t bits = bench_random_next(&random);
        unsigned char *bytes = make(random_size(bits));
        /* acq_rel: the release makes this block's bytes visible to the worker that takes it out,
         * whose acquire stands in this same line. */
        drop(atomic_exchange_explicit(&slots[(bits >> 40) % SLOTS], bytes, memory_order_acq_rel));
        operations++;
    }
    worker->operations = operations;
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        bench_usage(usage);
    }
    double seconds = bench_seconds_arg(argv[1], usage);
    uint64_t count = bench_arg(argv[2], 1, MAX_WORKERS, usage);
    uint64_t seed = bench_arg(argv[3], 0, UINT64_MAX, usage);

    double start = bench_now_s();
    for (uint64_t i = 0; i < count; i++) {
        workers[i].random = bench_random_start(seed, i);
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            bench_die("cannot create a thread", NULL);
        }
    }
    bench_sleep(seconds);
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    double elapsed = bench_now_s() - start;
    uint64_t operations = 0;
    for (uint64_t i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        operations += workers[i].operations;
    }
    for (int i = 0; i < SLOTS; i++) {
        /* relaxed: the workers are joined. */
        drop(atomic_load_explicit(&slots[i], memory_order_relaxed));
    }
    bench_report(operations, elapsed);
    return 0;
}
