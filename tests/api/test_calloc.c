// calloc gives zeros, whatever the memory held before and however it came back.
#include "check.h"

#include <malloc.h>

// Leaves memory with no zero byte behind.
static void dirty(void *p) {
    CHECK(p != NULL);
    memset(p, 0xa5, malloc_usable_size(p));
}

static void dirty_and_free(size_t size) {
    void *p = malloc(size);
    dirty(p);
    free(p);
}

static void calloc_after_reuse_of_every_size_is_zero(void) {
    enum { MOST = 64 };
    void *blocks[MOST];
    for (size_t size = 1; size <= 2 * MIB; size += 1 + size / 24) {
        size_t n = 4 * MIB / size;
        n = n < 2 ? 2 : n > MOST ? MOST : n;
        for (size_t i = 0; i < n; i++) {
            blocks[i] = malloc(size);
            dirty(blocks[i]);
        }
        for (size_t i = 0; i < n; i++) {
            free(blocks[i]);
        }
        for (size_t i = 0; i < n; i++) {
            blocks[i] = calloc(1, size);
            CHECK(blocks[i] != NULL && all_zero(blocks[i], size));
            dirty(blocks[i]);
        }
        for (size_t i = 0; i < n; i++) {
            free(blocks[i]);
        }
    }
}

static void calloc_of_pieces_of_a_dirty_run_is_zero(void) {
    for (size_t piece = 40000; piece <= 900000; piece += 43000) {
        void *pieces[100];
        dirty_and_free(4 * MIB);
        size_t n = 4 * MIB / piece;
        n = n < COUNT_OF(pieces) ? n : COUNT_OF(pieces);
        for (size_t i = 0; i < n; i++) {
            pieces[i] = calloc(1, piece);
            CHECK(pieces[i] != NULL && all_zero(pieces[i], piece));
            dirty(pieces[i]);
        }
        for (size_t i = 0; i < n; i++) {
            free(pieces[i]);
        }
    }
}

static void calloc_of_coalesced_runs_is_zero(void) {
    for (int round = 0; round < 20; round++) {
        void *blocks[16];
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            blocks[i] = malloc(50000 + i * 3000);
            dirty(blocks[i]);
        }
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            free(blocks[(i * 7) % COUNT_OF(blocks)]);
        }
        char *p = calloc(1, 600000);
        CHECK(p != NULL && all_zero(p, 600000));
        dirty(p);
        free(p);
    }
}

static void calloc_after_realloc_shrank_is_zero(void) {
    for (int round = 0; round < 10; round++) {
        void *p = malloc(MIB);
        dirty(p);
        p = realloc(p, 200000);
        CHECK(p != NULL);
        void *q = calloc(1, 700000);
        CHECK(q != NULL && all_zero(q, 700000));
        dirty(q);
        free(p);
        free(q);
    }
}

static void calloc_after_aligned_block_is_zero(void) {
    for (size_t alignment = 64; alignment <= MIB; alignment *= 4) {
        void *p = aligned_alloc(alignment, 500000);
        dirty(p);
        free(p);
        p = calloc(500, 1000);
        CHECK(p != NULL && all_zero(p, 500000));
        dirty(p);
        free(p);
    }
}

static void calloc_after_huge_block_is_zero(void) {
    for (size_t size = 16 * MIB; size <= 64 * MIB; size += 16 * MIB) {
        dirty_and_free(size);
        void *p = calloc(1, size);
        CHECK(p != NULL && all_zero(p, size));
        free(p);
    }
}

static void calloc_after_trim_is_zero(void) {
    dirty_and_free(900000);
    malloc_trim(0);
    void *p = calloc(1, 900000);
    CHECK(p != NULL && all_zero(p, 900000));
    free(p);
}

static void calloc_after_idle_time_is_zero(void) {
    // Long enough for memory to be purged; a lazy purge may or may not have dropped the content.
    static const size_t sizes[] = {500, 8000, 60000, 700000, 8 << 20};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        dirty_and_free(sizes[i]);
    }
    usleep(1500000);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        dirty_and_free(20);
        void *p = calloc(1, sizes[i]);
        CHECK(p != NULL && all_zero(p, sizes[i]));
        free(p);
    }
}

static void *dirty_and_end(void *blocks) {
    for (size_t i = 0; i < 400; i++) {
        ((void **)blocks)[i] = malloc(1 + i * 150);
        dirty(((void **)blocks)[i]);
    }
    for (size_t i = 0; i < 400; i++) {
        free(((void **)blocks)[i]);
    }
    return NULL;
}

static void calloc_of_memory_of_an_ended_thread_is_zero(void) {
    static void *blocks[400];
    for (int round = 0; round < 5; round++) {
        in_thread(dirty_and_end, blocks);
        for (size_t i = 0; i < 400; i++) {
            blocks[i] = calloc(1, 1 + i * 150);
            CHECK(blocks[i] != NULL && all_zero(blocks[i], 1 + i * 150));
        }
        for (size_t i = 0; i < 400; i++) {
            free(blocks[i]);
        }
    }
}

CHECK_MAIN(CASE(calloc_after_reuse_of_every_size_is_zero),
           CASE(calloc_of_pieces_of_a_dirty_run_is_zero), CASE(calloc_of_coalesced_runs_is_zero),
           CASE(calloc_after_realloc_shrank_is_zero), CASE(calloc_after_aligned_block_is_zero),
           CASE(calloc_after_huge_block_is_zero), CASE(calloc_after_trim_is_zero),
           CASE(calloc_after_idle_time_is_zero), CASE(calloc_of_memory_of_an_ended_thread_is_zero))
