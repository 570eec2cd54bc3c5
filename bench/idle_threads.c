/* idle_threads.c: a server whose threads each allocate a little and then wait for work
 *
 * Owns:      what the threads hold: about 10 KiB each, in blocks of 16 to 1,024 bytes.
 * Threads:   each takes its blocks, and waits at a barrier until the program ends. The main thread
 *            sleeps and takes samples.
 *
 * It shows what a thread costs that holds little: caches, arenas, slabs of its own.
 */
#include "samples.h"

#include <pthread.h>

static const char usage[] = "idle_threads THREADS SEED [SAMPLES_FILE]";

#define MAX_THREADS 1000
#define THREAD_BYTES 10240
#define MAX_BLOCKS 1024 /* a thread; the smallest are 16 bytes */
#define STACK_BYTES (256 << 10)

typedef struct {
    bench_block_t blocks[MAX_BLOCKS];
    uint64_t count;
    uint64_t index; /* const once the thread runs */
    uint64_t live_bytes;
    bench_random_t random;
    pthread_t thread;
} holder_t;

static holder_t *holders; /* each is its thread's alone */
static pthread_barrier_t barrier;

static uint64_t owner_of(const holder_t *holder, uint64_t at) {
    return holder->index * MAX_BLOCKS + at;
}

/* Each of the six doublings is as likely as the next; most bytes are in the larger ones. */
static size_t random_size(uint64_t bits) {
    uint64_t min_size = UINT64_C(16) << bench_scale(bits, 6);
    return min_size + bench_scale(bits >> 32, min_size);
}

static void take_blocks(holder_t *holder) {
    while (holder->live_bytes < THREAD_BYTES) {
        bench_block_t *block = &holder->blocks[holder->count];
        block->size = random_size(bench_random_next(&holder->random));
        block->bytes = malloc(block->size);
        if (block->bytes == NULL) {
            bench_die("malloc returned NULL", NULL);
        }
        memset(block->bytes, 1, block->size);
        bench_seal(block->bytes, block->size, owner_of(holder, holder->count));
        holder->live_bytes += block->size;
        holder->count++;
    }
}

static void *serve(void *argument) {
    holder_t *holder = argument;
    take_blocks(holder);
    pthread_barrier_wait(&barrier); /* all have their blocks */
    pthread_barrier_wait(&barrier); /* the work, if there were any */
    for (uint64_t i = 0; i < holder->count; i++) {
        bench_drop(holder->blocks[i].bytes, holder->blocks[i].size, owner_of(holder, i));
    }
    return NULL;
}

static void start_threads(uint64_t count, uint64_t seed) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (uint64_t i = 0; i < count; i++) {
        holders[i].index = i;
        holders[i].random = bench_random_start(seed, i);
        if (pthread_create(&holders[i].thread, &attributes, serve, &holders[i]) != 0) {
            bench_die("cannot create a thread", NULL);
        }
    }
    pthread_attr_destroy(&attributes);
}

int main(int argc, char **argv) {
    if (argc != 3 && argc != 4) {
        bench_usage(usage);
    }
    uint64_t count = bench_arg(argv[1], 1, MAX_THREADS, usage);
    uint64_t seed = bench_arg(argv[2], 0, UINT64_MAX, usage);

    samples_start();
    holders = samples_exclude(count * sizeof *holders);
    pthread_barrier_init(&barrier, NULL, (unsigned)count + 1);
    start_threads(count, seed);
    pthread_barrier_wait(&barrier);
    uint64_t live_bytes = 0;
    for (uint64_t i = 0; i < count; i++) {
        live_bytes += holders[i].live_bytes;
    }
    samples_take("start", live_bytes);
    samples_idle("idle", live_bytes);
    pthread_barrier_wait(&barrier);
    for (uint64_t i = 0; i < count; i++) {
        pthread_join(holders[i].thread, NULL);
    }
    samples_print();
    if (argc == 4) {
        samples_write(argv[3]);
    }
    return 0;
}
