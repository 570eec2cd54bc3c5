// Requests of zero bytes: unique pointers that can be freed, and realloc to zero as glibc does it.
#include "check.h"

#include <malloc.h>

#define COUNT 1000

static void check_unique_and_free(void **blocks, size_t n) {
    for (size_t i = 0; i < n; i++) {
        CHECK(blocks[i] != NULL);
        for (size_t k = 0; k < i; k++) {
            CHECK(blocks[i] != blocks[k]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        free(blocks[i]);
    }
}

static void malloc_zero_returns_unique_pointers(void) {
    static void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(0);
    }
    check_unique_and_free(blocks, COUNT);
}

static void calloc_zero_returns_unique_pointers(void) {
    static void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = i % 2 != 0 ? calloc(0, opaque(SIZE_MAX)) : calloc(opaque(SIZE_MAX), 0);
    }
    check_unique_and_free(blocks, COUNT);
}

static void realloc_null_zero_returns_unique_pointers(void) {
    static void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = i % 2 != 0 ? realloc(NULL, 0) : reallocarray(NULL, 0, 8);
    }
    check_unique_and_free(blocks, COUNT);
}

static void aligned_zero_returns_unique_pointers(void) {
    static void *blocks[60];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        void *p = NULL;
        switch (i % 5) {
        case 0:
            p = aligned_alloc(64, 0);
            break;
        case 1:
            p = memalign(128, 0);
            break;
        case 2:
            CHECK(posix_memalign(&p, 4096, 0) == 0);
            break;
        case 3:
            p = valloc(0);
            break;
        default:
            p = pvalloc(0);
            break;
        }
        CHECK(is_aligned(p, 64));
        blocks[i] = p;
    }
    check_unique_and_free(blocks, COUNT_OF(blocks));
}

static void realloc_to_zero_frees_and_returns_null(void) {
    static const size_t sizes[] = {0, 1, 100, 1024, 5000, 32768, 100000, 3 << 20};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *p = malloc(sizes[i]);
        CHECK(p != NULL);
        CHECK(realloc(p, 0) == NULL);
    }
    // Not freed, these 20,000 touched blocks would stay: 2 GB.
    size_t before = status_kib("VmRSS");
    for (int i = 0; i < 20000; i++) {
        char *p = malloc(100000);
        CHECK(p != NULL);
        memset(p, 1, 100000);
        CHECK(realloc(p, 0) == NULL);
    }
    CHECK(status_kib("VmRSS") < before + 64 * 1024);
}

static void reallocarray_to_zero_frees_and_returns_null(void) {
    CHECK(reallocarray(malloc(100), 0, 10) == NULL);
    CHECK(reallocarray(malloc(100000), 10, 0) == NULL);
}

static void realloc_null_allocates(void) {
    static const size_t sizes[] = {1, 100, 1024, 5000, 32768, 100000, 3 << 20};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *p = realloc(NULL, sizes[i]);
        CHECK(p != NULL);
        pattern_fill(p, sizes[i], 1);
        CHECK(pattern_holds(p, sizes[i], 1));
        free(p);
    }
}

static void free_null_does_nothing(void) {
    void *volatile null = NULL;
    errno = 77;
    free(null);
    CHECK(errno == 77);
    CHECK(malloc_usable_size(null) == 0);
}

CHECK_MAIN(CASE(malloc_zero_returns_unique_pointers), CASE(calloc_zero_returns_unique_pointers),
           CASE(realloc_null_zero_returns_unique_pointers),
           CASE(aligned_zero_returns_unique_pointers), CASE(realloc_to_zero_frees_and_returns_null),
           CASE(reallocarray_to_zero_frees_and_returns_null), CASE(realloc_null_allocates),
           CASE(free_null_does_nothing))
