/* count_loops.c: three bare loops around malloc and free, for counting instructions a pair
 *
 * Owns:      at most 4,096 blocks.
 * Threads:   one.
 *
 * The loops verify nothing, time nothing and call nothing but malloc and free. With `none` as last
 * argument the same loop calls two functions that do nothing in their place: the loop's own share,
 * the two calls included. Run it under callgrind with N and with 2 N and take the difference: the
 * start of the program, the filling of the slots and the end cancel out.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "usage: count_loops single|waves|replace N [none]\n";

#define BLOCK_BYTES 64
#define WAVE_BLOCKS 1000
#define SLOTS 4096 /* a power of two, so that choosing one is a mask */
#define MIN_SIZE 16
#define SIZE_MASK 511 /* sizes are MIN_SIZE .. MIN_SIZE + SIZE_MASK */

typedef void *allocate_t(size_t size);
typedef void release_t(void *block);
typedef void loop_t(uint64_t pairs, allocate_t *allocate, release_t *release);

/* The compiler may drop a malloc and free whose block nobody looks at. This looks, at no cost. */
#define KEEP(block) __asm__ volatile("" : : "r"(block) : "memory")

/* Inlined into each caller, where both functions are constants: the loops make direct calls. */
#define LOOP static inline __attribute__((always_inline)) void

static void *blocks[SLOTS];

static __attribute__((noinline)) void *empty_allocate(size_t size) {
    __asm__ volatile("" : : "r"(size) : "memory");
    return blocks;
}

static __attribute__((noinline)) void empty_release(void *block) {
    __asm__ volatile("" : : "r"(block) : "memory");
}

LOOP run_single(uint64_t pairs, allocate_t *allocate, release_t *release) {
    for (uint64_t i = 0; i < pairs; i++) {
        void *block = allocate(BLOCK_BYTES);
        KEEP(block);
        release(block);
    }
}

LOOP run_waves(uint64_t pairs, allocate_t *allocate, release_t *release) {
    while (pairs > 0) {
        uint64_t count = pairs < WAVE_BLOCKS ? pairs : WAVE_BLOCKS;
        for (uint64_t i = 0; i < count; i++) {
            blocks[i] = allocate(BLOCK_BYTES);
        }
        for (uint64_t i = 0; i < count; i++) {
            release(blocks[i]);
        }
        pairs -= count;
    }
}

LOOP run_replace(uint64_t pairs, allocate_t *allocate, release_t *release) {
    uint64_t x = UINT64_C(88172645463325252);
    for (uint64_t i = 0; i < SLOTS; i++) {
        blocks[i] = allocate(MIN_SIZE + (i & SIZE_MASK));
    }
    for (uint64_t i = 0; i < pairs; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        void **slot = &blocks[x % SLOTS];
        release(*slot);
        *slot = allocate(MIN_SIZE + ((x >> 32) & SIZE_MASK));
    }
    for (uint64_t i = 0; i < SLOTS; i++) {
        release(blocks[i]);
    }
}

static void single(uint64_t pairs) {
    run_single(pairs, malloc, free);
}
static void waves(uint64_t pairs) {
    run_waves(pairs, malloc, free);
}
static void replace(uint64_t pairs) {
    run_replace(pairs, malloc, free);
}
static void single_none(uint64_t pairs) {
    run_single(pairs, empty_allocate, empty_release);
}
static void waves_none(uint64_t pairs) {
    run_waves(pairs, empty_allocate, empty_release);
}
static void replace_none(uint64_t pairs) {
    run_replace(pairs, empty_allocate, empty_release);
}

static const struct {
    const char *name;
    void (*run)(uint64_t pairs);
    void (*run_none)(uint64_t pairs);
} modes[] = {
    {"single", single, single_none},
    {"waves", waves, waves_none},
    {"replace", replace, replace_none},
};

int main(int argc, char **argv) {
    char *end = NULL;
    uint64_t pairs = argc >= 3 ? strtoull(argv[2], &end, 10) : 0;
    if (pairs == 0 || *end != '\0' || argc > 4 || (argc == 4 && strcmp(argv[3], "none") != 0)) {
        fputs(usage, stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(argv[1], modes[i].name) == 0) {
            (argc == 4 ? modes[i].run_none : modes[i].run)(pairs);
            printf("pairs %" PRIu64 "\n", pairs);
            return 0;
        }
    }
    fputs(usage, stderr);
    return 2;
}
