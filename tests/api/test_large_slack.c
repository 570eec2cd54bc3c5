// Large blocks are watched behind their end; what lawful programs do there and to the blocks is
// none of it: all of malloc_usable_size may be written, and realloc moves the end.
#include "check.h"

#include <malloc.h>

static const size_t sizes[] = {33000, 40960, 50001, 100000, 131073, MIB, 3 * MIB + 5, 9 * MIB - 1};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void usable_size_is_all_the_programs(void) {
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < SIZES; i++) {
            char *p = malloc(sizes[i]);
            memset(p, 'x', malloc_usable_size(p));
            char *q = realloc(p, sizes[i] + sizes[(i + 3) % SIZES]);
            CHECK(q != NULL && q[sizes[i] - 1] == 'x');
            memset(q, 'y', malloc_usable_size(q));
            free(q);
        }
    }
}

static void realloc_from_each_to_each_size_is_not_accused(void) {
    for (size_t from = 0; from < SIZES; from++) {
        for (size_t to = 0; to < SIZES; to++) {
            char *p = malloc(sizes[from]);
            char *behind = malloc(sizes[to]); // sometimes in the way
            memset(p, 'a', sizes[from]);
            memset(behind, 'b', sizes[to]);
            p = realloc(p, sizes[to]);
            CHECK(p != NULL);
            memset(p, 'c', sizes[to]);
            p = realloc(p, sizes[to] - 7);
            memset(p, 'd', sizes[to] - 7);
            free(behind);
            p = realloc(p, sizes[to] + 4090);
            memset(p, 'e', sizes[to] + 4090);
            free(p);
        }
    }
}

// All that is written to a block is its own, whatever stood there before.
static void calloc_and_aligned_blocks_come_and_go(void) {
    for (int round = 0; round < 200; round++) {
        size_t size = sizes[round % SIZES];
        char *p = calloc(1, size);
        char *q = aligned_alloc(64 * KIB, size);
        CHECK(p != NULL && q != NULL && p[0] == 0 && p[size - 1] == 0);
        memset(p, round, size);
        memset(q, round + 1, size);
        free(round % 2 != 0 ? p : q);
        free(round % 2 != 0 ? q : p);
        if (round % 10 == 0) {
            malloc_trim(0);
        }
    }
}

// Blocks of a page whose slack begins in the line where a freed run is stamped.
static void small_blocks_of_large_alignment_come_and_go(void) {
    for (size_t size = 1; size < 200; size += 7) {
        char *p = aligned_alloc(64 * KIB, size);
        char *q = aligned_alloc(64 * KIB, size);
        CHECK(p != NULL && q != NULL);
        memset(p, 'p', size);
        memset(q, 'q', size);
        free(p);
        free(q);
    }
}

// A slack that nobody touched costs no page: 2,000 KiB it would be, beside records.
static void untouched_blocks_stay_untouched(void) {
    if (is_hardened()) {
        SKIP("the hardened mode writes canaries at both ends");
    }
    enum { COUNT = 500 };
    static char *blocks[COUNT];
    size_t before_kib = rollup_kib("Rss:");
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(100000);
        CHECK(blocks[i] != NULL);
    }
    CHECK(!runs_under_hakmem() || rollup_kib("Rss:") - before_kib < 1000);
    for (size_t i = 0; i < COUNT; i++) {
        free(blocks[i]);
    }
}

CHECK_MAIN(CASE(untouched_blocks_stay_untouched), CASE(usable_size_is_all_the_programs),
           CASE(realloc_from_each_to_each_size_is_not_accused),
           CASE(calloc_and_aligned_blocks_come_and_go),
           CASE(small_blocks_of_large_alignment_come_and_go))
