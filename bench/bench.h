/* bench.h: what the benchmark programs share: arguments, random numbers, verified blocks
 *
 * Owns:      nothing; every program that includes it is complete in its one C file.
 * Knows not: which allocator is underneath. Only plain malloc, calloc and free are called.
 * Threads:   every function works on what its caller hands in; nothing here is shared.
 *
 * Invariant of a verified block: its first and its last word (first and last byte below 16 bytes)
 * hold the seal made of its address, size and owner, from bench_make() until bench_drop(). Blocks
 * that live at the same time have different owners, so that one handed out twice is found. An
 * allocator that hands out overlapping blocks or writes into live ones breaks a seal, and the
 * program ends with status 1.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BENCH_CACHE_LINE 64

/* The largest numbers taken; they keep every product of two arguments inside 64 bits. */
#define BENCH_MAX_COUNT UINT64_C(1000000000000)
#define BENCH_MAX_SLOTS UINT64_C(100000000)
#define BENCH_MAX_SIZE UINT64_C(1000000000)

/* ---- ends ---- */

/* _exit and not exit: other threads are at work, and the allocator under test may be broken. */
_Noreturn static inline void bench_die(const char *what, const void *where) {
    fprintf(stderr, "bench: %s (block %p)\n", what, where);
    _exit(1);
}

_Noreturn static inline void bench_usage(const char *usage) {
    fprintf(stderr, "usage: %s\n", usage);
    exit(2);
}

/* ---- arguments ---- */

static inline uint64_t bench_arg(const char *text, uint64_t min, uint64_t max, const char *usage) {
    char *end = NULL;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    bool is_number = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
    if (!is_number || value < min || value > max) {
        fprintf(stderr, "'%s' is not a number from %" PRIu64 " to %" PRIu64 "\n", text, min, max);
        bench_usage(usage);
    }
    return value;
}

/* Fractions are allowed, so that a quick comparison need not take a second for each run. */
static inline double bench_seconds_arg(const char *text, const char *usage) {
    char *end = NULL;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds > 0.0 && seconds <= 3600.0)) {
        fprintf(stderr, "'%s' is not a number of seconds above 0, up to 3600\n", text);
        bench_usage(usage);
    }
    return seconds;
}

/* ---- clock ---- */

static inline double bench_now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline void bench_sleep(double seconds) {
    time_t whole = (time_t)seconds;
    struct timespec left = {.tv_sec = whole, .tv_nsec = (long)((seconds - (double)whole) * 1e9)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* ---- random numbers ---- */

/* Marsaglia's xorshift: three shifts, so that the loop around malloc weighs little.
 * Invariant: the state is never 0. */
typedef struct {
    uint64_t state;
} bench_random_t;

static inline uint64_t bench_random_next(bench_random_t *random) {
    uint64_t x = random->state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    random->state = x;
    return x;
}

static inline bench_random_t bench_random_start(uint64_t seed, uint64_t stream) {
    bench_random_t random = {(seed + 1) * UINT64_C(0x9E3779B97F4A7C15) ^
                             (stream + 1) * UINT64_C(0xD1B54A32D192ED03)};
    if (random.state == 0) {
        random.state = 1;
    }
    for (int i = 0; i < 8; i++) { /* seeds are small numbers: spread their few bits over the word */
        bench_random_next(&random);
    }
    return random;
}

/* Maps 32 random bits to 0 .. count-1 with a multiplication, which is cheaper than a remainder. */
static inline uint64_t bench_scale(uint64_t bits, uint64_t count) {
    return ((bits & UINT32_MAX) * count) >> 32;
}

/* ---- verified blocks ---- */

typedef struct {
    unsigned char *bytes; /* NULL: no block here */
    size_t size;
} bench_block_t;

static inline uint64_t bench_seal_of(const void *bytes, size_t size, uint64_t owner) {
    return (uint64_t)(uintptr_t)bytes * UINT64_C(0x9E3779B97F4A7C15) +
           (owner + 1) * UINT64_C(0xD1B54A32D192ED03) + size;
}

static inline void bench_seal(unsigned char *bytes, size_t size, uint64_t owner) {
    uint64_t seal = bench_seal_of(bytes, size, owner);
    if (size >= 2 * sizeof seal) {
        memcpy(bytes, &seal, sizeof seal);
        memcpy(bytes + size - sizeof seal, &seal, sizeof seal);
    } else {
        bytes[0] = (unsigned char)seal;
        bytes[size - 1] = (unsigned char)seal;
    }
}

static inline void bench_check(const unsigned char *bytes, size_t size, uint64_t owner) {
    uint64_t seal = bench_seal_of(bytes, size, owner);
    bool intact;
    if (size >= 2 * sizeof seal) {
        intact = memcmp(bytes, &seal, sizeof seal) == 0 &&
                 memcmp(bytes + size - sizeof seal, &seal, sizeof seal) == 0;
    } else {
        intact = bytes[0] == (unsigned char)seal && bytes[size - 1] == (unsigned char)seal;
    }
    if (!intact) {
        bench_die("the bytes of a live block have changed", bytes);
    }
}

/* An array for the program's own books, zeroed. */
static inline void *bench_table(uint64_t count, size_t element_size) {
    void *table = calloc(count, element_size);
    if (table == NULL) {
        bench_die("out of memory for the table of blocks", NULL);
    }
    return table;
}

static inline unsigned char *bench_make(size_t size, uint64_t owner) {
    unsigned char *bytes = malloc(size);
    if (bytes == NULL) {
        bench_die("malloc returned NULL", NULL);
    }
    bench_seal(bytes, size, owner);
    return bytes;
}

static inline void bench_drop(unsigned char *bytes, size_t size, uint64_t owner) {
    bench_check(bytes, size, owner);
    free(bytes);
}

/* ---- result ---- */

static inline void bench_report(uint64_t operations, double seconds) {
    double measured = seconds > 1e-9 ? seconds : 1e-9; /* a run too short for the clock */
    printf("Throughput = %.0f operations per second\n", (double)operations / measured);
}

#endif
