/* producer_consumer.c: producers allocate, one consumer that never allocates frees
 *
 * Owns:      one bounded ring of batches for each producer.
 * Threads:   each ring has one producer, and one consumer, which is the main thread. A batch
 *            belongs to the producer until it raises `filled`, then to the consumer until it raises
 *            `emptied`.
 *
 * Every block is freed by a thread that did not allocate it, and blocks flow in one direction only.
 * One operation is one block's way from malloc to free.
 *
 * Invariant: emptied <= filled <= emptied + RING_BATCHES; each counter is raised by its side only.
 */
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static const char usage[] = "producer_consumer SECONDS PRODUCERS SIZE [MAX_SIZE]";

#define MAX_PRODUCERS 64
#define BATCH_BLOCKS 64
#define RING_BATCHES 32

typedef struct {
    _Alignas(BENCH_CACHE_LINE) _Atomic uint64_t filled;
    _Alignas(BENCH_CACHE_LINE) _Atomic uint64_t emptied;
    _Alignas(BENCH_CACHE_LINE) unsigned char *blocks[RING_BATCHES][BATCH_BLOCKS];
    uint64_t index; /* const after start */
    pthread_t thread;
} ring_t;

static ring_t rings[MAX_PRODUCERS];
static uint64_t min_size;   /* const after start, like the next */
static uint64_t size_count; /* how many different sizes */
static atomic_bool stop;    /* relaxed: a producer that sees it late makes one batch more */
static atomic_uint at_work; /* producers; release in produce() / acquire in consume_the_rest() */

/* A block's owner in the sense of its seal: its batch, its place there, and the producer. */
static uint64_t owner_of(const ring_t *ring, uint64_t batch, int place) {
    return (batch * MAX_PRODUCERS + ring->index) * BATCH_BLOCKS + (uint64_t)place;
}

/* Both sides know a block's owner, so both know its size. */
static size_t size_of(uint64_t owner) {
    return min_size + bench_scale((owner + 1) * UINT64_C(0x9E3779B97F4A7C15) >> 32, size_count);
}

static void *produce(void *argument) {
    ring_t *ring = argument;
    uint64_t filled = 0;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        /* acquire: pairs with the release in consume(); the batch's pointers have been read. */
        if (filled - atomic_load_explicit(&ring->emptied, memory_order_acquire) == RING_BATCHES) {
            sched_yield();
            continue;
        }
        unsigned char **batch = ring->blocks[filled % RING_BATCHES];
        for (int i = 0; i < BATCH_BLOCKS; i++) {
            uint64_t owner = owner_of(ring, filled, i);
            batch[i] = bench_make(size_of(owner), owner);
        }
        filled++;
        /* release: pairs with the acquire in consume(); makes the batch and its blocks visible. */
        atomic_store_explicit(&ring->filled, filled, memory_order_release);
    }
    /* release: pairs with the acquire in consume_the_rest(); makes the last batch visible. */
    atomic_fetch_sub_explicit(&at_work, 1, memory_order_release);
    return NULL;
}

/* Frees what is in the ring; returns how many blocks that were. */
static uint64_t consume(ring_t *ring) {
    uint64_t emptied = atomic_load_explicit(&ring->emptied, memory_order_relaxed);
    /* acquire: pairs with the release in produce(). */
    uint64_t filled = atomic_load_explicit(&ring->filled, memory_order_acquire);
    uint64_t blocks = (filled - emptied) * BATCH_BLOCKS;
    for (; emptied < filled; emptied++) {
        unsigned char **batch = ring->blocks[emptied % RING_BATCHES];
        for (int i = 0; i < BATCH_BLOCKS; i++) {
            uint64_t owner = owner_of(ring, emptied, i);
            bench_drop(batch[i], size_of(owner), owner);
        }
        /* release: pairs with the acquire in produce(); the batch may be overwritten. */
        atomic_store_explicit(&ring->emptied, emptied + 1, memory_order_release);
    }
    return blocks;
}

static uint64_t consume_round(uint64_t producers) {
    uint64_t blocks = 0;
    for (uint64_t i = 0; i < producers; i++) {
        blocks += consume(&rings[i]);
    }
    return blocks;
}

static uint64_t consume_until(double end, uint64_t producers) {
    uint64_t blocks = 0;
    while (bench_now_s() < end) {
        uint64_t found = consume_round(producers);
        if (found == 0) {
            sched_yield();
        }
        blocks += found;
    }
    return blocks;
}

static uint64_t consume_the_rest(uint64_t producers) {
    uint64_t blocks = 0;
    /* acquire: pairs with the release at the end of produce(). */
    while (atomic_load_explicit(&at_work, memory_order_acquire) > 0) {
        blocks += consume_round(producers);
        sched_yield();
    }
    return blocks + consume_round(producers);
}

int main(int argc, char **argv) {
    if (argc != 4 && argc != 5) {
        bench_usage(usage);
    }
    double seconds = bench_seconds_arg(argv[1], usage);
    uint64_t producers = bench_arg(argv[2], 1, MAX_PRODUCERS, usage);
    min_size = bench_arg(argv[3], 1, BENCH_MAX_SIZE, usage);
    size_count = argc == 5 ? bench_arg(argv[4], min_size, BENCH_MAX_SIZE, usage) - min_size + 1 : 1;

    atomic_store_explicit(&at_work, (unsigned)producers, memory_order_relaxed);
    double start = bench_now_s();
    for (uint64_t i = 0; i < producers; i++) {
        rings[i].index = i;
        if (pthread_create(&rings[i].thread, NULL, produce, &rings[i]) != 0) {
            bench_die("cannot create a thread", NULL);
        }
    }
    uint64_t blocks = consume_until(start + seconds, producers);
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    blocks += consume_the_rest(producers);
    double elapsed = bench_now_s() - start;
    for (uint64_t i = 0; i < producers; i++) {
        pthread_join(rings[i].thread, NULL);
    }
    bench_report(blocks, elapsed);
    return 0;
}
