/* compare_scaling.c: the same workload at several numbers of threads, a row for each.
 *
 * Owns:      the table of workloads that scale.
 * Knows not: how rows are run.
 * Threads:   one.
 */
#include "compare.h"

#include <string.h>

#define IN_PLACE '@' /* where a text has the number of threads */

#define OURS(row, file, full, quick)                                                               \
    {                                                                                              \
        .name = (row), .place = COMPARE_OURS, .program = (file), .score = "Throughput =#",         \
        .full_args = (full), .quick_args = (quick)                                                 \
    }

#define MIBENCH(row, file, full, quick)                                                            \
    .name = (row), .place = COMPARE_IN_BENCH_DIR, .program = (file), .full_args = (full),          \
    .quick_args = (quick)

/* Each thread has as much to do as one alone. */
static const compare_workload_t templates[] = {
    OURS("larson-@", "larson", "2 8 1000 5000 100 4141 @", "0.5 8 1000 5000 100 4141 @"),
    OURS("larson-mid-@", "larson", "2 1024 32768 1000 100 4141 @",
         "0.5 1024 32768 1000 100 4141 @"),
    OURS("producer-@", "producer_consumer", "2 @ 64", "0.5 @ 64"),
    OURS("worker-pool-@", "worker_pool", "2 @ 7", "0.5 @ 7"),
    {MIBENCH("mb-xmalloc-@", "xmalloc-test", "-w @ -t 2 -s 64", "-w @ -t 1 -s 64"),
     .score = "free/sec:#"},
    {MIBENCH("mb-mstress-@", "mstress", "@ 50 100", "@ 50 20")},
    {MIBENCH("mb-glibc-thread-@", "glibc-thread", "@", "@"), .score = "# iterations"},
};

_Static_assert(COMPARE_COUNT(templates) * COMPARE_MAX_NUMBERS <= COMPARE_MAX_ROWS, "too many rows");

static const char *with_number(const char *text, int number) {
    size_t size = strlen(text) + 16;
    char *made = compare_allocate(size, 1);
    size_t before = strcspn(text, (char[]){IN_PLACE, '\0'});
    compare_text(made, size, "%.*s%d%s", (int)before, text, number, text + before + 1);
    return made;
}

void compare_use_scaling(compare_request_t *request, const int *threads, size_t count) {
    compare_workload_t *made =
        compare_allocate(count * COMPARE_COUNT(templates), sizeof *made); /* for good */
    request->workloads = made;
    request->workload_count = count * COMPARE_COUNT(templates);
    for (size_t i = 0; i < request->workload_count; i++) {
        int number = threads[i % count];
        made[i] = templates[i / count];
        made[i].name = with_number(made[i].name, number);
        made[i].full_args = with_number(made[i].full_args, number);
        made[i].quick_args = with_number(made[i].quick_args, number);
    }
}
