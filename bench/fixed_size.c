/* fixed_size.c: one block of one size, allocated and freed again and again
 *
 * Owns:      one block at a time.
 * Threads:   one.
 *
 * The shortest way through an allocator. One operation is one malloc and its free.
 */
#include "bench.h"

static const char usage[] = "fixed_size SIZE ITERATIONS";

int main(int argc, char **argv) {
    if (argc != 3) {
        bench_usage(usage);
    }
    uint64_t size = bench_arg(argv[1], 1, BENCH_MAX_SIZE, usage);
    uint64_t iterations = bench_arg(argv[2], 1, BENCH_MAX_COUNT, usage);

    double start = bench_now_s();
    for (uint64_t i = 0; i < iterations; i++) {
        unsigned char *bytes = bench_make(size, i);
        /* The compiler must not see that block and check cancel out. */
        __asm__ volatile("" : "+r"(bytes) : : "memory");
        bench_drop(bytes, size, i);
    }
    bench_report(iterations, bench_now_s() - start);
    return 0;
}
