// Seeded stress of the whole allocator: random calls by many threads, every payload verified.
//
// usage: stress [--threads N] [--seconds S] [--seed X] [--ops N] [--fork] [--churn]
//
//   --threads N   worker threads (4)
//   --seconds S   time to run (5)
//   --ops N       end after N operations of each seat, if that is earlier (no limit)
//   --seed X      repeats the choices of a run; which thread meets which block still varies
//   --fork        the main thread forks all the time; children verify, allocate, start threads
//   --churn       threads live for some thousand operations; others take over their blocks
//
// Built plain, it stresses whatever malloc it runs with. With -DHAK_CORE it calls hak_malloc and
// the others of alloc.h directly: the core can run under sanitizers while libc keeps its malloc.
//
// Threading: a seat is used by one thread at a time, the exchange by all under a lock per slot. A
// block's record moves with it, so whoever holds the record owns the block.
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef HAK_CORE
#include "alloc.h"
#include "heap_search.h"
#define mem_malloc hak_malloc
#define mem_free hak_free
#define mem_calloc hak_calloc
#define mem_realloc hak_realloc
#define mem_aligned_alloc hak_aligned_alloc
#define mem_usable_size hak_usable_size
#define mem_is_valid hak_heap_is_valid
#else
#include <malloc.h>
#define mem_malloc malloc
#define mem_free free
#define mem_calloc calloc
#define mem_realloc realloc
#define mem_aligned_alloc aligned_alloc
#define mem_usable_size malloc_usable_size
#define mem_is_valid() true
#endif

#include "stress_util.h"

enum {
    SEAT_BLOCKS = 512,
    EXCHANGE_SLOTS = 1024,
    MOST_THREADS = 256,
    FULL_PATTERN_BYTES = 64 * 1024,
    EDGE_BYTES = 4096,
    CHURN_OPS = 3000,
    STALL_SECONDS = 60,
    CHILD_SECONDS = 30,
};

typedef struct {
    unsigned char *p; // NULL: no block
    size_t size;
    uint64_t salt; // part of the payload, so that a stale payload at the same address differs
} block_t;

typedef struct {
    block_t blocks[SEAT_BLOCKS]; // the thread in the seat only
    uint64_t random;             // the thread in the seat only
    uint64_t burst;              // operations of one thread's life; written before its start
    _Atomic uint64_t ops;        // written by the thread in the seat, read by main
    atomic_bool finished;        // release when a burst ends, acquire by main: it may join
    pthread_t thread;            // main only
    uint64_t ops_seen;           // main only: ops at the last look
    double changed;              // main only: when ops last moved
} seat_t;

typedef struct {
    pthread_mutex_t lock;
    block_t block; // guarded by lock
} slot_t;

typedef struct {
    size_t threads;
    double seconds;
    uint64_t seed;
    uint64_t ops;
    bool fork;
    bool churn;
} options_t;

static slot_t exchange[EXCHANGE_SLOTS];
static seat_t seats[MOST_THREADS];
static seat_t main_seat; // blocks that no other thread touches: what a child can rely on
static uint64_t seed;    // const after start
static atomic_bool stop; // set by main; workers may see it late

// ---- payload

static uint64_t pattern_start(const block_t *block) {
    return stress_mix((uint64_t)(uintptr_t)block->p ^ stress_mix(block->size ^ seed) ^ block->salt);
}

// The payload is a row of 8-byte words; ranges start at any byte, their inner words go as a whole.
static uint64_t pattern_word(uint64_t start, size_t index) {
    return start + index * 0x9e3779b97f4a7c15;
}

static unsigned char pattern_byte(uint64_t start, size_t i) {
    uint64_t word = pattern_word(start, i / 8);
    unsigned char bytes[8];
    memcpy(bytes, &word, 8);
    return bytes[i % 8];
}

static void fill_range(const block_t *block, uint64_t start, size_t from, size_t to) {
    size_t i = from;
    while (i < to) {
        if (i % 8 == 0 && to - i >= 8) {
            uint64_t word = pattern_word(start, i / 8);
            memcpy(block->p + i, &word, 8);
            i += 8;
        } else {
            block->p[i] = pattern_byte(start, i);
            i++;
        }
    }
}

static void verify_byte(const unsigned char *p, const block_t *block, uint64_t start, size_t i) {
    if (p[i] != pattern_byte(start, i)) {
        STRESS_FAIL("stress: seed %#llx: block %p, %zu bytes: byte %zu is %#x, want %#x\n",
                    (unsigned long long)seed, (const void *)p, block->size, i, p[i],
                    pattern_byte(start, i));
    }
}

static void verify_range(const unsigned char *p, const block_t *block, size_t from, size_t to) {
    uint64_t start = pattern_start(block);
    size_t i = from;
    while (i < to) {
        uint64_t word = 0;
        bool whole = i % 8 == 0 && to - i >= 8;
        if (whole) {
            memcpy(&word, p + i, 8);
        }
        if (whole && word == pattern_word(start, i / 8)) {
            i += 8;
        } else {
            verify_byte(p, block, start, i);
            i++;
        }
    }
}

// Blocks up to 64 KiB are filled whole; of larger ones both edges and a word of every page.
static void fill(const block_t *block) {
    uint64_t start = pattern_start(block);
    size_t size = block->size;
    if (size <= FULL_PATTERN_BYTES) {
        fill_range(block, start, 0, size);
        return;
    }
    fill_range(block, start, 0, EDGE_BYTES);
    for (size_t at = EDGE_BYTES; at + 8 < size - EDGE_BYTES; at += 4096) {
        fill_range(block, start, at, at + 8);
    }
    fill_range(block, start, size - EDGE_BYTES, size);
}

// Verifies the first `length` bytes of the payload, which stand at p: the block may have moved.
static void verify_at(const unsigned char *p, const block_t *block, size_t length) {
    size_t size = block->size;
    if (size <= FULL_PATTERN_BYTES) {
        verify_range(p, block, 0, length);
        return;
    }
    verify_range(p, block, 0, length < EDGE_BYTES ? length : EDGE_BYTES);
    for (size_t at = EDGE_BYTES; at + 8 < size - EDGE_BYTES && at + 8 <= length; at += 4096) {
        verify_range(p, block, at, at + 8);
    }
    if (length == size) {
        verify_range(p, block, size - EDGE_BYTES, size);
    }
}

static void verify(const block_t *block) {
    verify_at(block->p, block, block->size);
}

// ---- operations

// Mostly small, with all tiers and their borders in it.
static size_t random_size(uint64_t *random) {
    size_t dice = stress_below(random, 1000);
    if (dice < 700) {
        return stress_below(random, 257);
    }
    if (dice < 850) {
        return stress_below(random, 1100);
    }
    if (dice < 960) {
        return stress_below(random, 33000);
    }
    if (dice < 997) {
        return stress_below(random, 256 * 1024);
    }
    return stress_below(random, 3 * 1024 * 1024);
}

static void check_new(const block_t *block, size_t alignment) {
    if (block->p == NULL) {
        STRESS_FAIL("stress: no memory for %zu bytes\n", block->size);
    }
    if (((uintptr_t)block->p & (alignment - 1)) != 0) {
        STRESS_FAIL("stress: %p is not %zu-aligned\n", (void *)block->p, alignment);
    }
    size_t usable = mem_usable_size(block->p);
    if (usable < block->size) {
        STRESS_FAIL("stress: %p: usable size %zu of %zu\n", (void *)block->p, usable, block->size);
    }
}

// Some callers use all that malloc_usable_size grants them.
static void maybe_use_slack(block_t *block, uint64_t *random) {
    if (stress_below(random, 4) == 0) {
        block->size = mem_usable_size(block->p);
    }
}

static void check_zero(const block_t *block) {
    for (size_t i = 0; i < block->size; i++) {
        if (block->p[i] != 0) {
            STRESS_FAIL("stress: calloc of %zu bytes: byte %zu of %p is %#x\n", block->size, i,
                        (void *)block->p, block->p[i]);
        }
    }
}

static void allocate(block_t *block, uint64_t *random) {
    size_t dice = stress_below(random, 100);
    size_t alignment = 16;
    block->size = random_size(random);
    block->salt = stress_random(random);
    if (dice < 70) {
        block->p = mem_malloc(block->size);
    } else if (dice < 85) {
        block->p = mem_calloc(1, block->size);
    } else if (dice < 95) {
        alignment = (size_t)16 << stress_below(random, 13);
        block->p = mem_aligned_alloc(alignment, block->size);
    } else {
        block->p = mem_realloc(NULL, block->size);
    }
    check_new(block, alignment);
    if (dice >= 70 && dice < 85) {
        check_zero(block);
    }
    maybe_use_slack(block, random);
    fill(block);
}

static void release(block_t *block) {
    verify(block);
    mem_free(block->p);
    block->p = NULL;
}

static void resize(block_t *block, uint64_t *random) {
    block_t old = *block;
    block->size = 1 + random_size(random);
    verify(&old);
    block->p = mem_realloc(old.p, block->size);
    check_new(block, 16);
    verify_at(block->p, &old, old.size < block->size ? old.size : block->size);
    block->salt = stress_random(random);
    maybe_use_slack(block, random);
    fill(block);
}

// Swaps with a slot of the exchange: the block that comes back is most likely another thread's.
static void swap(block_t *block, uint64_t *random) {
    slot_t *slot = &exchange[stress_below(random, EXCHANGE_SLOTS)];
    pthread_mutex_lock(&slot->lock);
    block_t other = slot->block;
    slot->block = *block;
    pthread_mutex_unlock(&slot->lock);
    *block = other;
}

static void operate(seat_t *seat) {
    block_t *block = &seat->blocks[stress_below(&seat->random, SEAT_BLOCKS)];
    size_t dice = stress_below(&seat->random, 100);
    if (dice < 25) {
        swap(block, &seat->random);
    } else if (block->p == NULL) {
        allocate(block, &seat->random);
    } else if (dice < 45) {
        resize(block, &seat->random);
    } else {
        release(block);
    }
}

static void release_all(block_t *blocks, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (blocks[i].p != NULL) {
            release(&blocks[i]);
        }
    }
}

// ---- threads

static void *work(void *arg) {
    seat_t *seat = arg;
    uint64_t ops = atomic_load_explicit(&seat->ops, memory_order_relaxed);
    uint64_t end = ops + seat->burst;
    while (ops < end && !atomic_load_explicit(&stop, memory_order_relaxed)) {
        operate(seat);
        ops++;
        atomic_store_explicit(&seat->ops, ops, memory_order_relaxed);
    }
    atomic_store_explicit(&seat->finished, true, memory_order_release);
    return NULL;
}

static void start_thread(seat_t *seat, const options_t *options) {
    uint64_t left = options->ops - atomic_load_explicit(&seat->ops, memory_order_relaxed);
    uint64_t burst = options->churn ? 1 + stress_below(&seat->random, CHURN_OPS) : left;
    seat->burst = burst < left ? burst : left;
    seat->changed = stress_seconds();
    atomic_store_explicit(&seat->finished, false, memory_order_relaxed);
    if (pthread_create(&seat->thread, NULL, work, seat) != 0) {
        STRESS_FAIL("stress: cannot start a thread\n");
    }
}

static void check_progress(seat_t *seat) {
    uint64_t ops = atomic_load_explicit(&seat->ops, memory_order_relaxed);
    double now = stress_seconds();
    if (ops != seat->ops_seen) {
        seat->ops_seen = ops;
        seat->changed = now;
    } else if (now - seat->changed > STALL_SECONDS) {
        stress_print("watchdog: a thread makes no progress, a deadlock\n");
        abort();
    }
}

// ---- children

// What a child does with what it inherited: verify all, free half, use the heap, start threads.
static void child_main(uint64_t child_seed) {
    static seat_t child_seats[2];
    options_t options = {.threads = 2, .ops = 500};
    stress_watchdog(CHILD_SECONDS - 5);
    for (size_t i = 0; i < SEAT_BLOCKS; i++) {
        block_t *block = &main_seat.blocks[i];
        if (block->p != NULL) {
            verify(block);
            if (i % 2 == 0) {
                release(block);
            }
        }
    }
    for (size_t i = 0; i < EXCHANGE_SLOTS; i++) {
        // A slot that some thread held at the fork stays locked for ever; in any other the block is
        // whole.
        bool held = pthread_mutex_trylock(&exchange[i].lock) != 0;
        if (held) {
            exchange[i].block.p = NULL;
            pthread_mutex_init(&exchange[i].lock, NULL);
            continue;
        }
        if (exchange[i].block.p != NULL && i % 8 == 0) {
            release(&exchange[i].block);
        }
        pthread_mutex_unlock(&exchange[i].lock);
    }
    for (size_t i = 0; i < 200; i++) {
        operate(&main_seat);
    }
    atomic_store_explicit(&stop, false, memory_order_relaxed);
    for (size_t i = 0; i < 2; i++) {
        child_seats[i].random = stress_mix(child_seed + i) | 1;
        start_thread(&child_seats[i], &options);
    }
    for (size_t i = 0; i < 2; i++) {
        if (pthread_join(child_seats[i].thread, NULL) != 0) {
            STRESS_FAIL("stress: child cannot join\n");
        }
        release_all(child_seats[i].blocks, SEAT_BLOCKS);
    }
    _exit(0);
}

static void fork_once(uint64_t number) {
    for (size_t i = 0; i < 100; i++) {
        operate(&main_seat);
    }
    pid_t child = fork();
    if (child < 0) {
        STRESS_FAIL("stress: cannot fork: errno %d\n", errno);
    }
    if (child == 0) {
        child_main(stress_mix(seed + number));
    }
    stress_wait_for(child, CHILD_SECONDS);
}

// ---- main

static uint64_t option_value(const char *text) {
    char *end = NULL;
    if (text == NULL) {
        fprintf(stderr, "stress: a number is missing\n");
        exit(2);
    }
    uint64_t value = strtoull(text, &end, 0);
    if (end == text || *end != '\0') {
        fprintf(stderr, "stress: '%s' is not a number\n", text);
        exit(2);
    }
    return value;
}

static options_t parse_options(char **argv) {
    options_t options = {.threads = 4, .seconds = 5, .ops = UINT64_MAX};
    options.seed = stress_mix((uint64_t)time(NULL) * 1000 + (uint64_t)getpid());
    for (char **arg = argv + 1; *arg != NULL; arg++) {
        if (strcmp(*arg, "--fork") == 0) {
            options.fork = true;
        } else if (strcmp(*arg, "--churn") == 0) {
            options.churn = true;
        } else if (strcmp(*arg, "--threads") == 0) {
            options.threads = (size_t)option_value(*++arg);
        } else if (strcmp(*arg, "--seconds") == 0) {
            options.seconds = (double)option_value(*++arg);
        } else if (strcmp(*arg, "--seed") == 0) {
            options.seed = option_value(*++arg);
        } else if (strcmp(*arg, "--ops") == 0) {
            options.ops = option_value(*++arg);
        } else {
            fprintf(stderr, "stress: unknown option '%s'\n", *arg);
            exit(2);
        }
    }
    if (options.threads < 1 || options.threads > MOST_THREADS || options.ops < 1) {
        fprintf(stderr, "stress: 1 to %d threads, at least 1 operation\n", MOST_THREADS);
        exit(2);
    }
    return options;
}

static void start(const options_t *options) {
    seed = options->seed;
    for (size_t i = 0; i < EXCHANGE_SLOTS; i++) {
        pthread_mutex_init(&exchange[i].lock, NULL);
    }
    main_seat.random = stress_mix(seed ^ 0x6d61696e) | 1;
    for (size_t i = 0; i < options->threads; i++) {
        seats[i].random = stress_mix(seed + i) | 1;
        start_thread(&seats[i], options);
    }
}

// Looks after all seats once; false when every seat has done its operations.
static bool tend(const options_t *options, uint64_t *threads_started) {
    bool busy = false;
    for (size_t i = 0; i < options->threads; i++) {
        seat_t *seat = &seats[i];
        if (!atomic_load_explicit(&seat->finished, memory_order_acquire)) {
            check_progress(seat);
            busy = true;
        } else if (atomic_load_explicit(&seat->ops, memory_order_relaxed) < options->ops) {
            pthread_join(seat->thread, NULL);
            start_thread(seat, options);
            (*threads_started)++;
            busy = true;
        }
    }
    return busy;
}

static uint64_t finish(const options_t *options) {
    uint64_t ops = 0;
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (size_t i = 0; i < options->threads; i++) {
        stress_watchdog(2 * STALL_SECONDS);
        pthread_join(seats[i].thread, NULL);
        ops += atomic_load_explicit(&seats[i].ops, memory_order_relaxed);
        release_all(seats[i].blocks, SEAT_BLOCKS);
    }
    release_all(main_seat.blocks, SEAT_BLOCKS);
    for (size_t i = 0; i < EXCHANGE_SLOTS; i++) {
        release_all(&exchange[i].block, 1);
    }
    return ops;
}

int main(int argc, char **argv) {
    (void)argc;
    options_t options = parse_options(argv);
    uint64_t forks = 0;
    uint64_t threads_started = options.threads;
    printf("stress: seed %#llx\n", (unsigned long long)options.seed);
    fflush(stdout);
    double end = stress_seconds() + options.seconds;
    stress_watchdog(2 * STALL_SECONDS);
    start(&options);
    while (stress_seconds() < end && tend(&options, &threads_started)) {
        stress_watchdog(2 * STALL_SECONDS);
        if (options.fork) {
            fork_once(forks++);
        } else {
            stress_sleep_ms(1);
        }
    }
    uint64_t ops = finish(&options);
    if (!mem_is_valid()) {
        STRESS_FAIL("stress: seed %#llx: a block is in two places, or in none\n",
                    (unsigned long long)seed);
    }
    printf("stress: seed %#llx, %zu threads at a time, %llu in all, %llu forks, %llu operations: "
           "ok\n",
           (unsigned long long)options.seed, options.threads, (unsigned long long)threads_started,
           (unsigned long long)forks, (unsigned long long)ops);
    return 0;
}
