/* random_mixed.c: one thread frees or allocates at random slots, so that half of them are full
 *
 * Owns:      SLOTS blocks of MIN to MAX bytes (16 to 1040 if not said otherwise).
 * Threads:   one.
 *
 * One operation is one iteration: the slot's block is freed if it has one, else a block of random
 * size is allocated.
 */
#include "bench.h"

static const char usage[] = "random_mixed ITERATIONS SLOTS SEED [MIN MAX]";

static void iterate(bench_block_t *slots, uint64_t slot_count, uint64_t iterations, uint64_t seed,
                    uint64_t min_size, uint64_t size_count) {
    bench_random_t random = bench_random_start(seed, 0);
    for (uint64_t i = 0; i < iterations; i++) {
        uint64_t bits = bench_random_next(&random);
        uint64_t at = bench_scale(bits, slot_count);
        bench_block_t *slot = &slots[at];
        if (slot->bytes != NULL) {
            bench_drop(slot->bytes, slot->size, at);
            slot->bytes = NULL;
        } else {
            slot->size = min_size + bench_scale(bits >> 32, size_count);
            slot->bytes = bench_make(slot->size, at);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 4 && argc != 6) {
        bench_usage(usage);
    }
    uint64_t iterations = bench_arg(argv[1], 1, BENCH_MAX_COUNT, usage);
    uint64_t slot_count = bench_arg(argv[2], 1, BENCH_MAX_SLOTS, usage);
    uint64_t seed = bench_arg(argv[3], 0, UINT64_MAX, usage);
    uint64_t min_size = argc == 6 ? bench_arg(argv[4], 1, BENCH_MAX_SIZE, usage) : 16;
    uint64_t max_size = argc == 6 ? bench_arg(argv[5], min_size, BENCH_MAX_SIZE, usage) : 1040;

    bench_block_t *slots = bench_table(slot_count, sizeof *slots);
    double start = bench_now_s();
    iterate(slots, slot_count, iterations, seed, min_size, max_size - min_size + 1);
    double elapsed = bench_now_s() - start;
    for (uint64_t i = 0; i < slot_count; i++) {
        if (slots[i].bytes != NULL) {
            bench_drop(slots[i].bytes, slots[i].size, i);
        }
    }
    free(slots);
    bench_report(iterations, elapsed);
    return 0;
}
