/* large_blocks.c: like replace, for large blocks of which one byte a page is written and checked
 *
 * Owns:      SLOTS blocks of MIN to MAX bytes.
 * Threads:   one.
 *
 * It shows whether an allocator keeps the pages of its large blocks or gives them back and has them
 * faulted in again. One operation is one replacement: a free and a malloc.
 */
#include "bench.h"

static const char usage[] = "large_blocks ITERATIONS SLOTS SEED MIN MAX";

#define PAGE_BYTES 4096

/* Not at the start of the page: the words there and at the end belong to the seal. */
#define MARK_OFFSET 64

/* Keeps clear of the seal's last word. */
static size_t marked_end(size_t size) {
    return size < 2 * MARK_OFFSET ? 0 : size - MARK_OFFSET;
}

static void fill(bench_block_t *slots, uint64_t at, uint64_t bits, uint64_t min_size,
                 uint64_t size_count) {
    bench_block_t *slot = &slots[at];
    slot->size = min_size + bench_scale(bits, size_count);
    slot->bytes = bench_make(slot->size, at);
    unsigned char mark = (unsigned char)slot->size;
    for (size_t i = MARK_OFFSET; i < marked_end(slot->size); i += PAGE_BYTES) {
        slot->bytes[i] = mark;
    }
}

static void empty(bench_block_t *slots, uint64_t at) {
    bench_block_t *slot = &slots[at];
    unsigned char mark = (unsigned char)slot->size;
    for (size_t i = MARK_OFFSET; i < marked_end(slot->size); i += PAGE_BYTES) {
        if (slot->bytes[i] != mark) {
            bench_die("a page of a live block has changed", slot->bytes);
        }
    }
    bench_drop(slot->bytes, slot->size, at);
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
        empty(slots, at);
        fill(slots, at, bits >> 32, min_size, size_count);
    }
    double elapsed = bench_now_s() - start;
    for (uint64_t i = 0; i < slot_count; i++) {
        empty(slots, i);
    }
    free(slots);
    bench_report(iterations, elapsed);
    return 0;
}
