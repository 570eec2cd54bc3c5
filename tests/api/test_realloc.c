// realloc keeps the content over every border between the tiers, and moves no more than it must.
#include "check.h"

#include <malloc.h>

static const size_t sizes[] = {
    1,     16,     100,     1023, 1024,    1025,    5000,     32767,    32768,        32769,
    65536, 200000, MIB - 1, MIB,  MIB + 1, 3 * MIB, 63 * MIB, 64 * MIB, 64 * MIB + 1,
};

static void realloc_between_all_sizes_keeps_content(void) {
    for (size_t from = 0; from < COUNT_OF(sizes); from++) {
        for (size_t to = 0; to < COUNT_OF(sizes); to++) {
            size_t kept = sizes[from] < sizes[to] ? sizes[from] : sizes[to];
            char *p = malloc(sizes[from]);
            CHECK(p != NULL);
            pattern_fill(p, kept, (unsigned)(from * 31 + to));
            p = realloc(p, sizes[to]);
            CHECK(p != NULL);
            CHECK(malloc_usable_size(p) >= sizes[to]);
            CHECK(pattern_holds(p, kept, (unsigned)(from * 31 + to)));
            p[sizes[to] - 1] = 'z';
            free(p);
        }
    }
}

static void realloc_up_and_down_the_sizes_keeps_content(void) {
    char *p = malloc(1);
    CHECK(p != NULL);
    p[0] = (char)pattern_byte(0, 7);
    size_t filled = 1;
    for (size_t i = 1; i < COUNT_OF(sizes); i++) {
        p = realloc(p, sizes[i]);
        CHECK(p != NULL && pattern_holds(p, filled, 7));
        pattern_fill(p, sizes[i], 7);
        filled = sizes[i];
    }
    for (size_t i = COUNT_OF(sizes) - 1; i-- > 0;) {
        p = realloc(p, sizes[i]);
        CHECK(p != NULL && pattern_holds(p, sizes[i], 7));
    }
    free(p);
}

static void realloc_byte_by_byte_keeps_content(void) {
    unsigned char *p = NULL;
    for (size_t size = 1; size <= 70000; size += size < 3000 ? 1 : 61) {
        p = realloc(p, size);
        CHECK(p != NULL);
        p[size - 1] = (unsigned char)(size * 7);
        if (size % 50 == 0) {
            for (size_t i = 0; i < size && i < 3000; i++) {
                CHECK(p[i] == (unsigned char)((i + 1) * 7));
            }
        }
    }
    free(p);
}

static void realloc_grown_large_block_leaves_neighbours(void) {
    enum { COUNT = 12 };
    void *blocks[COUNT];
    size_t size[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        size[i] = 40000;
        blocks[i] = malloc(size[i]);
        CHECK(blocks[i] != NULL);
        pattern_fill(blocks[i], size[i], (unsigned)i);
    }
    for (size_t round = 0; round < 200; round++) {
        size_t i = round * 5 % COUNT;
        size_t wanted = 33000 + (round * 7919 * 113) % 1500000;
        size_t kept = wanted < size[i] ? wanted : size[i];
        blocks[i] = realloc(blocks[i], wanted);
        CHECK(blocks[i] != NULL && pattern_holds(blocks[i], kept, (unsigned)i));
        pattern_fill(blocks[i], wanted, (unsigned)i);
        size[i] = wanted;
        for (size_t k = 0; k < COUNT; k++) {
            CHECK(pattern_holds(blocks[k], size[k], (unsigned)k));
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        free(blocks[i]);
    }
}

static void realloc_shrunk_large_block_gives_memory_back(void) {
    size_t before = status_kib("VmRSS");
    void *blocks[8];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = malloc(16 * MIB);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], 1, 16 * MIB);
        blocks[i] = realloc(blocks[i], MIB);
        CHECK(blocks[i] != NULL);
    }
    CHECK(status_kib("VmRSS") < before + 64 * 1024);
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        free(blocks[i]);
    }
}

typedef struct {
    char *p;
    size_t size;
} span_t;

static void *grow_body(void *arg) {
    span_t *span = arg;
    span->p = realloc(span->p, span->size * 4);
    CHECK(span->p != NULL && pattern_holds(span->p, span->size, 17));
    return NULL;
}

static void realloc_by_another_thread_keeps_content(void) {
    for (size_t size = 10; size <= 4 * MIB; size *= 3) {
        span_t span = {malloc(size), size};
        CHECK(span.p != NULL);
        pattern_fill(span.p, size, 17);
        in_thread(grow_body, &span);
        CHECK(pattern_holds(span.p, size, 17));
        free(span.p);
    }
}

CHECK_MAIN(CASE(realloc_between_all_sizes_keeps_content),
           CASE(realloc_up_and_down_the_sizes_keeps_content),
           CASE(realloc_byte_by_byte_keeps_content),
           CASE(realloc_grown_large_block_leaves_neighbours),
           CASE(realloc_shrunk_large_block_gives_memory_back),
           CASE(realloc_by_another_thread_keeps_content))
