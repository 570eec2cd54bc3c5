// malloc_usable_size and the 16-byte alignment: every size up to 5,000 and samples up to 64 MiB.
#include "check.h"

#include <malloc.h>

// The next size of a walk that takes every small size and about every twelfth part above.
static size_t next_size(size_t size) {
    return size < 5000 ? size + 1 : size + size / 12 + 1;
}

static void malloc_every_size_is_16_aligned(void) {
    for (size_t size = 0; size <= 64 * MIB; size = next_size(size)) {
        void *blocks[3];
        for (size_t i = 0; i < 3; i++) {
            blocks[i] = i == 1 ? calloc(1, size) : malloc(size);
            CHECK(blocks[i] != NULL);
            CHECK(is_aligned(blocks[i], 16));
        }
        for (size_t i = 0; i < 3; i++) {
            free(blocks[i]);
        }
    }
}

static void realloc_every_size_is_16_aligned(void) {
    void *p = NULL;
    for (size_t size = 1; size <= 8 * MIB; size = next_size(size)) {
        p = realloc(p, size);
        CHECK(p != NULL && is_aligned(p, 16));
    }
    free(p);
}

static void usable_size_covers_the_request_and_is_stable(void) {
    for (size_t size = 0; size <= 64 * MIB; size = next_size(size)) {
        char *p = malloc(size);
        CHECK(p != NULL);
        size_t usable = malloc_usable_size(p);
        CHECK(usable >= size);
        if (usable > 0) {
            p[0] = 'a';
            p[usable - 1] = 'z';
        }
        CHECK(malloc_usable_size(p) == usable);
        free(p);
    }
}

static void usable_size_is_all_writable(void) {
    enum { NEIGHBOURS = 5 };
    for (size_t size = 0; size <= 2 * MIB; size = next_size(size)) {
        void *blocks[NEIGHBOURS];
        size_t usable[NEIGHBOURS];
        for (unsigned i = 0; i < NEIGHBOURS; i++) {
            blocks[i] = malloc(size);
            CHECK(blocks[i] != NULL);
            usable[i] = malloc_usable_size(blocks[i]);
            pattern_fill(blocks[i], usable[i], i);
        }
        for (unsigned i = 0; i < NEIGHBOURS; i++) {
            CHECK(pattern_holds(blocks[i], usable[i], i));
            CHECK(malloc_usable_size(blocks[i]) == usable[i]);
            free(blocks[i]);
        }
    }
}

static void realloc_keeps_what_usable_size_granted(void) {
    for (size_t size = 1; size <= 2 * MIB; size = next_size(size) + size / 2) {
        void *p = malloc(size);
        CHECK(p != NULL);
        size_t usable = malloc_usable_size(p);
        pattern_fill(p, usable, 21);
        p = realloc(p, usable + 5000);
        CHECK(p != NULL && pattern_holds(p, usable, 21));
        free(p);
    }
}

CHECK_MAIN(CASE(malloc_every_size_is_16_aligned), CASE(realloc_every_size_is_16_aligned),
           CASE(usable_size_covers_the_request_and_is_stable), CASE(usable_size_is_all_writable),
           CASE(realloc_keeps_what_usable_size_granted))
