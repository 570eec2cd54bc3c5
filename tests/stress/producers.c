// Producers that allocate, and one consumer that only frees: memory stays within 1.5 times what is
// live and what caches may hold.
//
// usage: producers [BLOCKS]     (1,200,000 small blocks with each number of producers; fewer wide
// ones)
//
// Each case is a process of its own. Producers sleep while the queue holds as many bytes as it may.
// The peak is the kernel's own, of RSS. What caches may hold, as docs/ARCHITECTURE.md states it:
// for each class and thread 64 KiB (HAKMEM_TINY_CAP; what a bin holds less than that, the slab at
// work has); of freed memory HAKMEM_RETAIN, 4 MiB, and boost as much again. The shares of live
// memory that both grow by, 12 % and 25 %, and what rounding takes, at most 1/9, are the half above
// live.
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "payload.h"

enum {
    MOST_PRODUCERS = 16,
    BATCH = 32,
    RING = 1 << 19, // batches never fill it: bytes run out first
    SECONDS = 120,
    BIN_KIB = 64,
    RETAIN_KIB = 2 * 4 * 1024,
    STACK_KIB = 32, // what a thread touches of its stack, and its heap's record
    MOST_LEFT_KIB = 4 * 1024
};

typedef struct {
    const char *name;
    size_t low, high; // of sizes, both included
    size_t classes;   // between them
    size_t live_kib;  // the queue's bound
    long share;       // one block for so many small ones
} mix_t;

// Eight classes a doubling, and steps of 16 bytes below 128.
static const mix_t mixes[] = {{"small", 16, 256, 16, 24 * 1024, 1},
                              {"mid", 1024, 8192, 25, 48 * 1024, 8},
                              {"mixed", 16, 8192, 56, 48 * 1024, 4}};

typedef struct {
    unsigned char *p;
    size_t size;
} parcel_t;

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t has_room, has_blocks;
    parcel_t *ring;      // all below: guarded by lock
    size_t first, count; // of the parcels in it
    size_t bytes, most_bytes;
    size_t live_bytes, most_live; // with what producers and the consumer have in hand
    int producers;                // that are not done
} queue_t;

static queue_t queue = {.lock = PTHREAD_MUTEX_INITIALIZER,
                        .has_room = PTHREAD_COND_INITIALIZER,
                        .has_blocks = PTHREAD_COND_INITIALIZER};
static const mix_t *mix; // const in a case
static long blocks_each; // const in a case
static uint64_t seeds[MOST_PRODUCERS];

static size_t size_of_next(uint64_t *random) {
    // As many blocks from each doubling, where there are several.
    size_t low = mix->low, high = mix->high;
    if (high > 16 * low) {
        low <<= stress_below(random, 9);
        high = 2 * low <= high ? 2 * low : high;
    }
    return low + stress_below(random, high - low + 1);
}

static size_t fill_batch(parcel_t *batch, size_t n, uint64_t *random) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        batch[i].size = size_of_next(random);
        batch[i].p = malloc(batch[i].size);
        if (batch[i].p == NULL) {
            STRESS_FAIL("producers: no memory\n");
        }
        memset(batch[i].p, (int)(batch[i].size * 31 >> 3 & 0xff), batch[i].size);
        bytes += batch[i].size;
    }
    return bytes;
}

static void release_batch(const parcel_t *batch, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const unsigned char *p = batch[i].p;
        // All bytes are what the first is.
        if (p[0] != (batch[i].size * 31 >> 3 & 0xff) || memcmp(p, p + 1, batch[i].size - 1) != 0) {
            STRESS_FAIL("producers: %p, %zu bytes, was written to\n", (const void *)p,
                        batch[i].size);
        }
        free(batch[i].p);
    }
}

static void put(const parcel_t *batch, size_t n, size_t bytes) {
    pthread_mutex_lock(&queue.lock);
    queue.live_bytes += bytes;
    queue.most_live = queue.live_bytes > queue.most_live ? queue.live_bytes : queue.most_live;
    while (queue.bytes + bytes > queue.most_bytes || queue.count + n > RING) {
        pthread_cond_wait(&queue.has_room, &queue.lock);
    }
    for (size_t i = 0; i < n; i++) {
        queue.ring[(queue.first + queue.count++) % RING] = batch[i];
    }
    queue.bytes += bytes;
    pthread_cond_signal(&queue.has_blocks);
    pthread_mutex_unlock(&queue.lock);
}

// Returns how many, 0 at the end. `done_bytes` of what was got before are free by now.
static size_t get(parcel_t *batch, size_t *done_bytes) {
    size_t n = 0;
    pthread_mutex_lock(&queue.lock);
    queue.live_bytes -= *done_bytes;
    while (queue.count == 0 && queue.producers != 0) {
        pthread_cond_wait(&queue.has_blocks, &queue.lock);
    }
    for (*done_bytes = 0; n < BATCH && queue.count != 0; n++) {
        batch[n] = queue.ring[queue.first];
        queue.first = (queue.first + 1) % RING;
        queue.count--;
        *done_bytes += batch[n].size;
    }
    queue.bytes -= *done_bytes;
    pthread_cond_broadcast(&queue.has_room);
    pthread_mutex_unlock(&queue.lock);
    return n;
}

static void *produce(void *seed) {
    uint64_t random = *(uint64_t *)seed;
    parcel_t batch[BATCH];
    for (long left = blocks_each; left > 0; left -= BATCH) {
        size_t n = left < BATCH ? (size_t)left : BATCH;
        put(batch, n, fill_batch(batch, n, &random));
    }
    pthread_mutex_lock(&queue.lock);
    queue.producers--;
    pthread_cond_signal(&queue.has_blocks);
    pthread_mutex_unlock(&queue.lock);
    return NULL;
}

// The consumer is main: nothing else runs in it.
static long run_case(int producers) {
    pthread_t threads[MOST_PRODUCERS];
    parcel_t batch[BATCH];
    size_t bytes = 0;
    queue.producers = producers;
    queue.most_bytes = mix->live_kib << 10;
    for (int i = 0; i < producers; i++) {
        seeds[i] = stress_mix((uint64_t)i + 1) | 1;
        if (pthread_create(&threads[i], NULL, produce, &seeds[i]) != 0) {
            STRESS_FAIL("producers: cannot start a thread\n");
        }
    }
    long total = 0;
    for (size_t n; (n = get(batch, &bytes)) != 0; total += (long)n) {
        release_batch(batch, n);
    }
    for (int i = 0; i < producers; i++) {
        if (pthread_join(threads[i], NULL) != 0) {
            STRESS_FAIL("producers: cannot join\n");
        }
    }
    return total;
}

static long peak_kib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

// In a process of its own.
static _Noreturn void judge_case(int producers) {
    stress_watchdog(SECONDS);
    long before = stress_rss_kib();
    long total = run_case(producers);
    long peak = peak_kib() - before;
    malloc_trim(0);
    long left = stress_rss_kib() - before;
    long live = (long)(queue.most_live >> 10);
    long caches = (producers + 1) * ((long)mix->classes * BIN_KIB + STACK_KIB) + RETAIN_KIB;
    bool within = peak <= live + live / 2 + caches && left <= MOST_LEFT_KIB;
    printf("producers: %-5s %2d producers, %ld blocks, live %ld KiB, peak %ld (%.2f), may be "
           "%ld, left %ld%s\n",
           mix->name, producers, total, live, peak, (double)peak / (double)live,
           live + live / 2 + caches, left, within ? "" : ": TOO MUCH");
    fflush(stdout);
    _exit(within && total == blocks_each * producers ? 0 : 1);
}

static void map_ring(void) {
    void *ring = mmap(NULL, RING * sizeof(parcel_t), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ring == MAP_FAILED) {
        STRESS_FAIL("producers: cannot map\n");
    }
    memset(ring, 1, RING * sizeof(parcel_t)); // so that it counts as there before
    queue.ring = ring;
}

int main(int argc, char **argv) {
    static const int numbers[] = {1, 4, 16};
    long small_blocks = stress_argument(argc, argv, 1, 1200000);
    long total = 0;
    map_ring();
    for (size_t i = 0; i < 9; i++) {
        mix = &mixes[i / 3];
        blocks_each = small_blocks / mix->share / numbers[i % 3];
        total += blocks_each * numbers[i % 3];
        pid_t child = fork();
        if (child < 0) {
            STRESS_FAIL("producers: cannot fork: errno %d\n", errno);
        }
        if (child == 0) {
            judge_case(numbers[i % 3]);
        }
        stress_wait_for(child, SECONDS);
    }
    printf("producers: 9 cases, %ld blocks: ok\n", total);
    return 0;
}
