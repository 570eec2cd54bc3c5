// The aligned family: what it accepts, what it refuses, and blocks of every alignment up to 1 GiB.
#include "check.h"

#include <malloc.h>

static void posix_memalign_bad_alignment_leaves_pointer_and_errno(void) {
    static const size_t bad[] = {0,  1,  2,  3,   4,    7,        9,
                                 12, 24, 48, 100, 4095, SIZE_MAX, SIZE_MAX - 1};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        void *p = &p;
        errno = 77;
        CHECK(posix_memalign(&p, opaque(bad[i]), 100) == EINVAL);
        CHECK(p == &p);
        CHECK(errno == 77);
    }
}

static void posix_memalign_success_leaves_errno(void) {
    for (size_t alignment = sizeof(void *); alignment <= 4 * MIB; alignment *= 2) {
        void *p = NULL;
        errno = 77;
        CHECK(posix_memalign(&p, alignment, 100) == 0);
        CHECK(p != NULL && is_aligned(p, alignment));
        CHECK(errno == 77);
        free(p);
    }
}

static void aligned_alloc_not_a_power_of_two_fails(void) {
    static const size_t bad[] = {0, 3, 5, 12, 24, 48, 100, 4095, 4097, SIZE_MAX, SIZE_MAX - 1};
    if (!runs_under_hakmem()) {
        SKIP("glibc before 2.38 rounds the alignment up");
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        errno = 0;
        CHECK(aligned_alloc(opaque(bad[i]), 100) == NULL);
        CHECK(errno == EINVAL);
    }
}

static void aligned_alloc_any_size_is_accepted(void) {
    for (size_t size = 0; size < 300; size++) {
        void *p = aligned_alloc(64, opaque(size));
        CHECK(p != NULL && is_aligned(p, 64));
        CHECK(malloc_usable_size(p) >= size);
        pattern_fill(p, size, 5);
        CHECK(pattern_holds(p, size, 5));
        free(p);
    }
}

static void aligned_alloc_tiny_alignment_is_accepted(void) {
    for (size_t alignment = 1; alignment <= 8; alignment *= 2) {
        void *p = aligned_alloc(alignment, 100);
        CHECK(p != NULL && is_aligned(p, 16));
        free(p);
    }
}

static void memalign_odd_alignment_is_rounded_up(void) {
    static const struct {
        size_t asked;
        size_t given;
    } cases[] = {{0, 16}, {1, 16}, {8, 16}, {17, 32}, {24, 32}, {33, 64}, {100, 128}, {5000, 8192}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        void *p = memalign(opaque(cases[i].asked), 200);
        CHECK(p != NULL && is_aligned(p, cases[i].given));
        free(p);
    }
}

static void memalign_alignment_above_half_of_all_fails(void) {
    errno = 0;
    CHECK(memalign(opaque(SIZE_MAX / 2 + 2), 16) == NULL);
    CHECK(errno == EINVAL);
}

static void check_alignment(size_t alignment) {
    const size_t sizes[] = {0,
                            1,
                            15,
                            16,
                            17,
                            100,
                            1000,
                            5000,
                            9000,
                            40000,
                            100000,
                            alignment - 1,
                            alignment,
                            alignment + 1,
                            3 * alignment};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *p = aligned_alloc(alignment, opaque(sizes[i]));
        CHECK(p != NULL);
        CHECK(is_aligned(p, alignment));
        size_t usable = malloc_usable_size(p);
        CHECK(usable >= sizes[i]);
        // Both ends are enough for blocks of gigabytes; pages between stay untouched.
        size_t ends = usable < 256 * KIB ? usable : 4096;
        pattern_fill(p, ends, 9);
        if (usable > ends) {
            p[usable - 1] = 'z';
        }
        CHECK(pattern_holds(p, ends, 9));
        free(p);
    }
}

static void aligned_alloc_every_alignment_to_1_gib_is_served(void) {
    for (size_t alignment = 16; alignment <= GIB; alignment *= 2) {
        check_alignment(alignment);
    }
}

static void aligned_blocks_live_together_do_not_overlap(void) {
    enum { SIZES = 12 };
    static void *blocks[16][SIZES];
    static const size_t sizes[SIZES] = {1,    16,   40,   64,    100,   500,
                                        1000, 3000, 5000, 20000, 33000, 70000};
    for (size_t a = 0; a < 16; a++) {
        for (size_t s = 0; s < SIZES; s++) {
            void *p = NULL;
            CHECK(posix_memalign(&p, (size_t)16 << a, sizes[s]) == 0);
            CHECK(is_aligned(p, (size_t)16 << a));
            pattern_fill(p, sizes[s], (unsigned)(a * SIZES + s));
            blocks[a][s] = p;
        }
    }
    for (size_t a = 0; a < 16; a++) {
        for (size_t s = 0; s < SIZES; s++) {
            CHECK(pattern_holds(blocks[a][s], sizes[s], (unsigned)(a * SIZES + s)));
            free(blocks[a][s]);
        }
    }
}

static void realloc_of_aligned_block_keeps_content(void) {
    for (size_t alignment = 32; alignment <= 4 * MIB; alignment *= 4) {
        for (size_t size = 100; size <= 1000000; size *= 10) {
            void *p = aligned_alloc(alignment, size);
            CHECK(p != NULL);
            pattern_fill(p, size, 11);
            p = realloc(p, size * 3);
            CHECK(p != NULL && pattern_holds(p, size, 11));
            p = realloc(p, size / 2);
            CHECK(p != NULL && pattern_holds(p, size / 2, 11));
            free(p);
        }
    }
}

static void *free_all_of(void *blocks) {
    for (void **block = blocks; *block != NULL; block++) {
        free(*block);
    }
    return NULL;
}

static void aligned_blocks_freed_by_another_thread(void) {
    static void *blocks[200];
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i + 1 < COUNT_OF(blocks); i++) {
            blocks[i] = aligned_alloc((size_t)16 << (i % 12), 1 + i * 37);
            CHECK(blocks[i] != NULL);
        }
        in_thread(free_all_of, blocks);
    }
}

static void valloc_gives_whole_pages(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    static const size_t sizes[] = {1, 100, 4095, 4096, 4097, 50000, 2000000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *p = valloc(sizes[i]);
        CHECK(p != NULL && is_aligned(p, page) && malloc_usable_size(p) >= sizes[i]);
        free(p);
        p = pvalloc(sizes[i]);
        size_t rounded = (sizes[i] + page - 1) & ~(page - 1);
        CHECK(p != NULL && is_aligned(p, page) && malloc_usable_size(p) >= rounded);
        pattern_fill(p, rounded, 13);
        CHECK(pattern_holds(p, rounded, 13));
        free(p);
    }
}

CHECK_MAIN(CASE(posix_memalign_bad_alignment_leaves_pointer_and_errno),
           CASE(posix_memalign_success_leaves_errno), CASE(aligned_alloc_not_a_power_of_two_fails),
           CASE(aligned_alloc_any_size_is_accepted), CASE(aligned_alloc_tiny_alignment_is_accepted),
           CASE(memalign_odd_alignment_is_rounded_up),
           CASE(memalign_alignment_above_half_of_all_fails),
           CASE(aligned_alloc_every_alignment_to_1_gib_is_served),
           CASE(aligned_blocks_live_together_do_not_overlap),
           CASE(realloc_of_aligned_block_keeps_content),
           CASE(aligned_blocks_freed_by_another_thread), CASE(valloc_gives_whole_pages))
