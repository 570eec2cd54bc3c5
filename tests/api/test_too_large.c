// Requests that cannot be served: NULL and ENOMEM at once, and old blocks left as they were.
#include "check.h"

#include <malloc.h>

// Whether the call that gave p failed as it has to; sets errno back for the next one.
static bool failed_with_enomem(const void *p) {
    bool as_expected = p == NULL && errno == ENOMEM;
    errno = 0;
    return as_expected;
}

static const size_t too_large[] = {
    SIZE_MAX,         SIZE_MAX - 1,         SIZE_MAX - 15,        SIZE_MAX - 16,
    SIZE_MAX - 17,    SIZE_MAX - 4095,      SIZE_MAX - 4096,      SIZE_MAX - 65536,
    SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 4096,  (size_t)PTRDIFF_MAX,  (size_t)PTRDIFF_MAX - 16,
    SIZE_MAX / 4 * 3, SIZE_MAX - (2 << 20), SIZE_MAX - (1 << 30), (size_t)PTRDIFF_MAX - (4 << 20),
};

static void malloc_too_large_fails(void) {
    errno = 0;
    for (size_t i = 0; i < COUNT_OF(too_large); i++) {
        CHECK(failed_with_enomem(malloc(opaque(too_large[i]))));
    }
    // No rounding step may wrap around.
    for (size_t k = 0; k < 70000; k++) {
        CHECK(failed_with_enomem(malloc(opaque(SIZE_MAX - k))));
    }
}

static void calloc_too_large_fails(void) {
    errno = 0;
    for (size_t i = 0; i < COUNT_OF(too_large); i++) {
        CHECK(failed_with_enomem(calloc(opaque(1), opaque(too_large[i]))));
        CHECK(failed_with_enomem(calloc(opaque(too_large[i]), opaque(1))));
    }
}

static void calloc_overflow_fails(void) {
    size_t half = (size_t)1 << (sizeof(size_t) * 4);
    errno = 0;
    CHECK(failed_with_enomem(calloc(opaque(half), opaque(half))));
    CHECK(failed_with_enomem(calloc(opaque(half), opaque(half + 1))));
    CHECK(failed_with_enomem(calloc(opaque(SIZE_MAX / 2 + 1), opaque(2))));
    CHECK(failed_with_enomem(calloc(opaque(SIZE_MAX / 16 + 1), opaque(16))));
    CHECK(failed_with_enomem(calloc(opaque(SIZE_MAX / 16 + 2), opaque(16))));
    CHECK(failed_with_enomem(calloc(opaque(SIZE_MAX), opaque(SIZE_MAX))));
}

static void realloc_too_large_keeps_the_block(void) {
    static const size_t sizes[] = {1, 64, 1024, 5000, 40000, 300000, 5 << 20};
    errno = 0;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *p = malloc(sizes[i]);
        CHECK(p != NULL);
        pattern_fill(p, sizes[i], (unsigned)i);
        for (size_t k = 0; k < COUNT_OF(too_large); k++) {
            CHECK(failed_with_enomem(realloc(opaque_pointer(p), opaque(too_large[k]))));
        }
        void *same = opaque_pointer(p);
        CHECK(pattern_holds(same, sizes[i], (unsigned)i));
        free(same);
    }
}

static void reallocarray_overflow_keeps_the_block(void) {
    size_t half = (size_t)1 << (sizeof(size_t) * 4);
    void *p = malloc(500);
    CHECK(p != NULL);
    pattern_fill(p, 500, 3);
    errno = 0;
    CHECK(failed_with_enomem(reallocarray(opaque_pointer(p), opaque(half), opaque(half))));
    CHECK(failed_with_enomem(reallocarray(opaque_pointer(p), opaque(half), opaque(half + 1))));
    CHECK(failed_with_enomem(reallocarray(opaque_pointer(p), opaque(SIZE_MAX / 8 + 1), 8)));
    CHECK(failed_with_enomem(reallocarray(opaque_pointer(p), 1, opaque(SIZE_MAX))));
    CHECK(failed_with_enomem(reallocarray(NULL, opaque(SIZE_MAX), 2)));
    void *same = opaque_pointer(p);
    CHECK(pattern_holds(same, 500, 3));
    same = reallocarray(same, 100, 10);
    CHECK(same != NULL && pattern_holds(same, 500, 3));
    free(same);
}

static void aligned_too_large_fails(void) {
    errno = 0;
    for (size_t i = 0; i < COUNT_OF(too_large); i++) {
        for (size_t alignment = 16; alignment <= GIB; alignment *= 64) {
            CHECK(failed_with_enomem(aligned_alloc(alignment, opaque(too_large[i]))));
            CHECK(failed_with_enomem(memalign(alignment, opaque(too_large[i]))));
        }
        CHECK(failed_with_enomem(valloc(opaque(too_large[i]))));
        CHECK(failed_with_enomem(pvalloc(opaque(too_large[i]))));
    }
    // Size and alignment are fine each, their sum is not.
    size_t huge = SIZE_MAX / 4 + 1;
    CHECK(failed_with_enomem(aligned_alloc(opaque(huge), opaque(huge))));
    CHECK(failed_with_enomem(memalign(opaque(huge), 16)));
}

static void posix_memalign_too_large_leaves_pointer_and_errno(void) {
    for (size_t i = 0; i < COUNT_OF(too_large); i++) {
        void *p = &p;
        errno = 77;
        CHECK(posix_memalign(&p, 64, opaque(too_large[i])) == ENOMEM);
        CHECK(p == &p);
        // glibc's own leaves ENOMEM behind.
        CHECK(errno == 77 || !runs_under_hakmem());
    }
}

CHECK_MAIN(CASE(malloc_too_large_fails), CASE(calloc_too_large_fails), CASE(calloc_overflow_fails),
           CASE(realloc_too_large_keeps_the_block), CASE(reallocarray_overflow_keeps_the_block),
           CASE(aligned_too_large_fails), CASE(posix_memalign_too_large_leaves_pointer_and_errno))
