// free leaves errno alone, whatever it frees and from wherever.
#include "check.h"

static const size_t sizes[] = {0,     1,     16,    100,    1024,    1025,    8000,
                               32768, 32769, 65536, 200000, 1 << 20, 8 << 20, (128 << 20)};

static void free_of_every_kind_keeps_errno(void) {
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *p = malloc(sizes[i]);
        CHECK(p != NULL);
        if (sizes[i] > 0) {
            p[sizes[i] - 1] = 1;
        }
        errno = 77;
        free(p);
        CHECK(errno == 77);
    }
}

static void free_of_aligned_blocks_keeps_errno(void) {
    for (size_t alignment = 16; alignment <= 16 * MIB; alignment *= 4) {
        void *p = aligned_alloc(alignment, 100000);
        CHECK(p != NULL);
        errno = 77;
        free(p);
        CHECK(errno == 77);
    }
}

static void free_of_many_blocks_keeps_errno(void) {
    enum { COUNT = 50000 };
    static void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(1 + i % 2000);
        CHECK(blocks[i] != NULL);
    }
    errno = 77;
    for (size_t i = 0; i < COUNT; i++) {
        free(blocks[i]);
        CHECK(errno == 77);
    }
}

static void *free_all_kinds(void *blocks) {
    errno = 77;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        free(((void **)blocks)[i]);
        CHECK(errno == 77);
    }
    return NULL;
}

static void free_as_first_call_of_a_thread_keeps_errno(void) {
    void *blocks[COUNT_OF(sizes)];
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        blocks[i] = malloc(sizes[i]);
        CHECK(blocks[i] != NULL);
    }
    in_thread(free_all_kinds, blocks);
}

static void realloc_to_zero_keeps_errno(void) {
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *p = malloc(sizes[i]);
        CHECK(p != NULL);
        errno = 77;
        CHECK(realloc(p, 0) == NULL);
        CHECK(errno == 77);
    }
}

static void success_keeps_errno(void) {
    if (!runs_under_hakmem()) {
        SKIP("no promise of glibc");
    }
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        errno = 77;
        void *p = calloc(1, sizes[i]);
        CHECK(p != NULL);
        p = realloc(p, sizes[i] * 2 + 1);
        CHECK(p != NULL);
        CHECK(errno == 77);
        free(p);
    }
}

CHECK_MAIN(CASE(free_of_every_kind_keeps_errno), CASE(free_of_aligned_blocks_keeps_errno),
           CASE(free_of_many_blocks_keeps_errno), CASE(free_as_first_call_of_a_thread_keeps_errno),
           CASE(realloc_to_zero_keeps_errno), CASE(success_keeps_errno))
