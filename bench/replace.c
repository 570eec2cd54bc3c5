/* replace.c: slots that are always full; each iteration replaces the block of a random one
 *
 * Owns:      SLOTS blocks of MIN to MAX bytes.
 * Threads:   one.
 *
 * One operation is one replacement: a free and a malloc.
 */
#include "bench.h"

static const char usage[] = "replace ITERATIONS SLOTS SEED MIN MAX";

static void fill(bench_block_t *slots, uint64_t at, uint64_t bits, uint64_t min_size,
                 uint64_t size_count) {
    bench_block_t *slot = &slots[at];
    slot->size = min_size + bench_scale(bits, size_count);
    slot->bytes = bench_make(slot->size, at);
}

int main(int argc, char **argv) {
    if (argc != 6) {
        bench_usage(usage);
    }
    uint64_t iterations = bench_arg(argv[1], 1, BENCH_MAX_COUNT, usage);
    uint64_t slot_count = bench_arg(argv[2], 1, BENCH_MAX_SLOTS, usage);
    bench_random_t random = bench_random_start(bench_arg(argv[3], 0, UINT64_MAX, usage), 0);
    uint64_t min_size = bench_arg(argv[4], 1, BENCH_MAX_SIZE, usage);
    uint64_t size_count = bench_arg(argv[5], min_size, BENCH_MAX_SIZE, usage) - min_size + 1;

    bench_block_t *slots = bench_table(slot_count, sizeof *slots);
    for (uint64_t i = 0; i < slot_count; i++) {
        fill(slots, i, bench_random_next(&random), min_size, size_count);
    }
    double start = bench_now_s();
    for (uint64_t i = 0; i < iterations; i++) {
        uint64_t bits = bench_random_next(&random);
        uint64_t at = bench_scale(bits, slot_count);
        bench_drop(slots[at].bytes, slots[at].size, at);
        fill(slots, at, bits >> 32, min_size, size_count);
    }
    double elapsed = bench_now_s() - start;
    for (uint64_t i = 0; i < slot_count; i++) {
        bench_drop(slots[i].bytes, slots[i].size, i);
    }
    free(slots);
    bench_report(iterations, elapsed);
    return 0;
}
