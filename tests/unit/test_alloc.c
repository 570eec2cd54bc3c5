/* test_alloc.c: malloc and its family under their own names, with a system that has memory. */
#include <errno.h>

#include "alloc.h"
#include "report.h"
#include "unit.h"

#define MIB ((size_t)1 << 20)

static size_t live_bytes(void) {
    static hak_figures_t figures;
    hak_report_gather(&figures);
    return figures.stats.live_bytes;
}

static void fill(void *p, size_t size, unsigned char first) {
    unsigned char *bytes = p;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(first + i);
    }
}

static bool is_filled(const void *p, size_t size, unsigned char first) {
    const unsigned char *bytes = p;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != (unsigned char)(first + i)) {
            return false;
        }
    }
    return true;
}

static bool is_zero(const void *p, size_t size) {
    const unsigned char *bytes = p;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static void malloc_every_size_to_40000_is_aligned_and_usable(void **state) {
    (void)state;
    size_t before = live_bytes();
    for (size_t size = 0; size <= 40000; size++) {
        unsigned char *p = hak_malloc(size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        size_t usable = hak_usable_size(p);
        assert_true(usable >= size && usable >= 16);
        p[0] = 1;
        p[usable - 1] = 1;
        hak_free(p);
    }
    assert_int_equal(live_bytes(), before);
}

static void malloc_size_0_gives_distinct_blocks(void **state) {
    (void)state;
    void *a = hak_malloc(0);
    void *b = hak_malloc(0);
    assert_non_null(a);
    assert_true(a != b);
    hak_free(a);
    hak_free(b);
}

static void malloc_above_ptrdiff_max_is_enomem(void **state) {
    (void)state;
    static const size_t sizes[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 16,
                                   PTRDIFF_MAX, PTRDIFF_MAX - 4096, (size_t)1 << 50};
    for (size_t i = 0; i < UNIT_LENGTH(sizes); i++) {
        errno = 0;
        assert_null(hak_malloc(sizes[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(hak_calloc(1, sizes[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(hak_aligned_alloc(4096, sizes[i]));
        assert_int_equal(errno, ENOMEM);
    }
}

static void calloc_overflow_is_enomem(void **state) {
    (void)state;
    errno = 0;
    assert_null(hak_calloc(SIZE_MAX / 2, 3));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(hak_calloc((size_t)1 << 32, (size_t)1 << 32));
    assert_int_equal(errno, ENOMEM);
}

static void calloc_of_reused_memory_is_zero(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 16, 100, 1024, 1025, 32768, 32769, 200000, 3 * MIB};
    for (size_t i = 0; i < UNIT_LENGTH(sizes); i++) {
        for (int round = 0; round < 3; round++) {
            void *dirty = hak_malloc(sizes[i]);
            memset(dirty, 0xA5, hak_usable_size(dirty));
            hak_free(dirty);
            void *p = hak_calloc(1, sizes[i]);
            assert_true(is_zero(p, sizes[i]));
            hak_free(p);
        }
    }
    void *none = hak_calloc(0, 100);
    assert_non_null(none);
    hak_free(none);
}

static void calloc_after_realloc_and_trim_is_zero(void **state) {
    (void)state;
    char *p = hak_malloc(6 * MIB);
    memset(p, 1, 6 * MIB);
    p = hak_realloc(p, 2 * MIB);
    char *q = hak_calloc(3, MIB);
    assert_true(is_zero(q, 3 * MIB));
    hak_free(q);
    hak_free(p);
    hak_trim_all();
    p = hak_calloc(6, MIB);
    assert_true(is_zero(p, 6 * MIB));
    hak_free(p);
}

static void success_keeps_errno(void **state) {
    (void)state;
    static const size_t sizes[] = {8, 5000, 100000, 5 * MIB};
    for (size_t i = 0; i < UNIT_LENGTH(sizes); i++) {
        errno = EXDEV;
        void *p = hak_malloc(sizes[i]);
        p = hak_realloc(p, sizes[i] * 3);
        void *q = hak_calloc(2, sizes[i]);
        void *r = hak_aligned_alloc(256, sizes[i]);
        hak_free(p);
        hak_free(q);
        hak_free(r);
        hak_free(NULL);
        assert_int_equal(errno, EXDEV);
    }
}

static void aligned_alloc_all_alignments_and_sizes_is_aligned(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 1024, 4000, 16384, 32768, 40000, 3 * MIB};
    size_t before = live_bytes();
    for (size_t align = 1; align <= 16 * MIB; align *= 2) {
        for (size_t i = 0; i < UNIT_LENGTH(sizes); i++) {
            unsigned char *p = hak_aligned_alloc(align, sizes[i]);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % align, 0);
            assert_int_equal((uintptr_t)p % 16, 0);
            size_t usable = hak_usable_size(p);
            assert_true(usable >= sizes[i]);
            p[0] = p[usable - 1] = 7;
            hak_free(p);
        }
    }
    assert_int_equal(live_bytes(), before);
}

static void aligned_alloc_no_power_of_two_is_einval(void **state) {
    (void)state;
    static const size_t aligns[] = {0, 3, 24, 4097, SIZE_MAX};
    for (size_t i = 0; i < UNIT_LENGTH(aligns); i++) {
        errno = 0;
        assert_null(hak_aligned_alloc(aligns[i], 64));
        assert_int_equal(errno, EINVAL);
    }
    errno = 0;
    assert_null(hak_aligned_alloc((size_t)1 << 63, 64));
    assert_int_equal(errno, ENOMEM);
}

static void alloc_aligned_failure_leaves_errno_alone(void **state) {
    (void)state;
    errno = EXDEV;
    assert_null(hak_alloc_aligned(SIZE_MAX, 64));
    assert_null(hak_alloc_cold((size_t)PTRDIFF_MAX, 1, HAK_BY_MALLOC));
    assert_int_equal(errno, EXDEV);
}

static void realloc_null_allocates(void **state) {
    (void)state;
    void *p = hak_realloc(NULL, 100);
    assert_true(hak_usable_size(p) >= 100);
    hak_free(p);
    p = hak_realloc(NULL, 0);
    assert_non_null(p);
    hak_free(p);
}

static void realloc_size_0_frees(void **state) {
    (void)state;
    size_t before = live_bytes();
    errno = EXDEV;
    assert_null(hak_realloc(hak_malloc(100), 0));
    assert_null(hak_realloc(hak_malloc(100000), 0));
    assert_int_equal(errno, EXDEV);
    assert_int_equal(live_bytes(), before);
}

static void realloc_too_large_keeps_the_block(void **state) {
    (void)state;
    static const size_t sizes[] = {50, 100000};
    for (size_t i = 0; i < UNIT_LENGTH(sizes); i++) {
        void *p = hak_malloc(sizes[i]);
        fill(p, sizes[i], 9);
        errno = 0;
        assert_null(hak_realloc(p, SIZE_MAX));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(hak_realloc(p, (size_t)PTRDIFF_MAX - 100));
        assert_int_equal(errno, ENOMEM);
        assert_true(is_filled(p, sizes[i], 9));
        hak_free(p);
    }
}

static void realloc_between_all_tiers_keeps_contents(void **state) {
    (void)state;
    static const size_t sizes[] = {1,     16,    17,     64,      100,     1024,    1025,   5000,
                                   32768, 32769, 100000, 2 * MIB, 5 * MIB, 9 * MIB, 33 * MIB};
    size_t before = live_bytes();
    for (size_t i = 0; i < UNIT_LENGTH(sizes); i++) {
        for (size_t j = 0; j < UNIT_LENGTH(sizes); j++) {
            size_t kept = sizes[i] < sizes[j] ? sizes[i] : sizes[j];
            void *p = hak_malloc(sizes[i]);
            fill(p, sizes[i], (unsigned char)(i + j));
            p = hak_realloc(p, sizes[j]);
            assert_non_null(p);
            assert_true(hak_usable_size(p) >= sizes[j]);
            assert_true(is_filled(p, kept, (unsigned char)(i + j)));
            hak_free(p);
        }
    }
    assert_int_equal(live_bytes(), before);
}

static void realloc_within_the_block_stays_in_place(void **state) {
    (void)state;
    void *p = hak_malloc(1000);
    assert_ptr_equal(hak_realloc(p, hak_usable_size(p)), p);
    assert_ptr_equal(hak_realloc(p, 600), p);
    p = hak_realloc(p, 100); /* not worth keeping */
    assert_true(hak_usable_size(p) < 200);
    hak_free(p);
    p = hak_malloc(10 * MIB);
    assert_ptr_equal(hak_realloc(p, 4 * MIB), p);
    assert_int_equal(hak_usable_size(p), 4 * MIB);
    hak_free(p);
}

static void usable_size_null_is_0(void **state) {
    (void)state;
    assert_int_equal(hak_usable_size(NULL), 0);
}

static void free_stamped_live_block_is_not_accused(void **state) {
    (void)state;
    /* A program that puts back what it read from the block while it was free. */
    uintptr_t *p = hak_malloc(64);
    hak_free(p);
    uintptr_t stamp = p[1];
    uintptr_t *again = hak_malloc(64);
    assert_ptr_equal(again, p);
    again[1] = stamp;
    assert_int_equal(hak_usable_size(again), 64);
    hak_free(again);
}

static void free_twice(void *p) {
    hak_free(p);
    hak_free(p);
}

static void free_twice_aborts_naming_the_block(void **state) {
    (void)state;
    char line[128];
    void *small = hak_malloc(112);
    snprintf(line, sizeof line, "hakmem: double free of %p (class 6, 112 bytes)\n", small);
    unit_assert_aborts(free_twice, small, line);
    void *wide = hak_malloc(20000);
    snprintf(line, sizeof line, "hakmem: double free of %p (class %u, 21760 bytes)\n", wide,
             hak_class_of(20000));
    unit_assert_aborts(free_twice, wide, line);
    hak_free(small);
    hak_free(wide);
}

static void free_interior(void *p) {
    hak_free((char *)p + 32);
}

static void free_interior_aborts_naming_the_block(void **state) {
    (void)state;
    char line[160];
    char *p = hak_malloc(112);
    snprintf(line, sizeof line,
             "hakmem: invalid free of %p: inside a block (class 6, 112 bytes, block at %p)\n",
             (void *)(p + 32), (void *)p);
    unit_assert_aborts(free_interior, p, line);
    hak_free(p);
}

static char foreign_block[128];

static bool foreign_free(void *p) {
    return p == foreign_block;
}

static void free_foreign_is_offered_to_the_c_library(void **state) {
    (void)state;
    char line[160];
    hak_foreign_free = foreign_free;
    hak_free(foreign_block);
    snprintf(line, sizeof line, "hakmem: invalid free of %p: not allocated by hakmem\n",
             (void *)(foreign_block + 32));
    unit_assert_aborts(free_interior, foreign_block, line);
    hak_foreign_free = NULL;
    unit_assert_aborts(hak_free, foreign_block + 32, line);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malloc_every_size_to_40000_is_aligned_and_usable),
        cmocka_unit_test(malloc_size_0_gives_distinct_blocks),
        cmocka_unit_test(malloc_above_ptrdiff_max_is_enomem),
        cmocka_unit_test(calloc_overflow_is_enomem),
        cmocka_unit_test(calloc_of_reused_memory_is_zero),
        cmocka_unit_test(calloc_after_realloc_and_trim_is_zero),
        cmocka_unit_test(success_keeps_errno),
        cmocka_unit_test(aligned_alloc_all_alignments_and_sizes_is_aligned),
        cmocka_unit_test(aligned_alloc_no_power_of_two_is_einval),
        cmocka_unit_test(alloc_aligned_failure_leaves_errno_alone),
        cmocka_unit_test(realloc_null_allocates),
        cmocka_unit_test(realloc_size_0_frees),
        cmocka_unit_test(realloc_too_large_keeps_the_block),
        cmocka_unit_test(realloc_between_all_tiers_keeps_contents),
        cmocka_unit_test(realloc_within_the_block_stays_in_place),
        cmocka_unit_test(usable_size_null_is_0),
        cmocka_unit_test(free_stamped_live_block_is_not_accused),
        cmocka_unit_test(free_twice_aborts_naming_the_block),
        cmocka_unit_test(free_interior_aborts_naming_the_block),
        cmocka_unit_test(free_foreign_is_offered_to_the_c_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
