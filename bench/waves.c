/* waves.c: BLOCKS blocks of one size are allocated, then freed in the same order, WAVES times
 *
 * Owns:      one wave of blocks.
 * Threads:   one.
 *
 * It shows whether an allocator's caches settle to a working set that comes and goes. One operation
 * is one malloc and its free.
 */
#include "bench.h"

static const char usage[] = "waves SIZE BLOCKS WAVES";

int main(int argc, char **argv) {
    if (argc != 4) {
        bench_usage(usage);
    }
    uint64_t size = bench_arg(argv[1], 1, BENCH_MAX_SIZE, usage);
    uint64_t count = bench_arg(argv[2], 1, BENCH_MAX_SLOTS, usage);
    uint64_t waves = bench_arg(argv[3], 1, BENCH_MAX_SLOTS, usage);

    unsigned char **blocks = bench_table(count, sizeof *blocks);
    double start = bench_now_s();
    for (uint64_t wave = 0; wave < waves; wave++) {
        for (uint64_t i = 0; i < count; i++) {
            blocks[i] = bench_make(size, i);
        }
        for (uint64_t i = 0; i < count; i++) {
            bench_drop(blocks[i], size, i);
        }
    }
    double elapsed = bench_now_s() - start;
    free(blocks);
    bench_report(waves * count, elapsed);
    return 0;
}
