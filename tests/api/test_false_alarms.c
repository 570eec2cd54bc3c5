// Lawful programs are never accused, whatever their blocks contain: not even when a live block
// holds the bytes that a freed one had, links and stamps included.
#include "check.h"

#include <stdatomic.h>

enum { BLOCKS = 200 };

static const size_t sizes[] = {16, 32, 64, 200, 1024, 2000, 8192, 32768, 50000, 300000};

// The bytes of a freed block, link and stamp included. Reading them is misuse, but any bytes are
// lawful in a live block, and swapped-in or uninitialised memory can hold just these.
static void copy_freed(void *to, const void *freed, size_t size) {
    if (is_hardened()) { // it may be out of reach, and leaves nothing to be taken for free
        memset(to, 0, size);
        return;
    }
    const volatile unsigned char *from = opaque_pointer(freed);
    for (size_t i = 0; i < size; i++) {
        ((unsigned char *)to)[i] = from[i];
    }
}

static void *free_body(void *p) {
    free(p);
    return NULL;
}

// Frees a block, gets it back, and puts the bytes it had while free into it.
static void *block_with_its_own_stale_bytes(size_t size) {
    static unsigned char saved[300000];
    for (int attempt = 0; attempt < 1000; attempt++) {
        char *p = malloc(size);
        CHECK(p != NULL);
        memset(p, 1, size);
        void *address = opaque_pointer(p);
        free(p);
        // Large memory may be unmapped once it is free: only its start is read, and only if cached.
        if (size <= 32768) {
            copy_freed(saved, address, size);
        } else {
            memset(saved, 0, size);
        }
        p = malloc(size);
        CHECK(p != NULL);
        if (p == address) {
            memcpy(p, saved, size);
            return p;
        }
        free(p);
    }
    return malloc(size);
}

static void block_with_its_own_stale_bytes_is_freed(void) {
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (int round = 0; round < 50; round++) {
            free(block_with_its_own_stale_bytes(sizes[i]));
        }
    }
}

static void block_with_its_own_stale_bytes_is_freed_by_a_thread(void) {
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (int round = 0; round < 10; round++) {
            in_thread(free_body, block_with_its_own_stale_bytes(sizes[i]));
        }
    }
}

static void block_with_its_own_stale_bytes_is_reallocated(void) {
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *p = realloc(block_with_its_own_stale_bytes(sizes[i]), sizes[i] + 5000);
        CHECK(p != NULL);
        free(p);
    }
}

static void blocks_with_bytes_of_another_freed_block_are_freed(void) {
    for (size_t s = 0; s < COUNT_OF(sizes) && sizes[s] <= 32768; s++) {
        void *blocks[BLOCKS];
        for (size_t i = 0; i < BLOCKS; i++) {
            blocks[i] = malloc(sizes[s]);
            CHECK(blocks[i] != NULL);
            memset(blocks[i], 0, sizes[s]);
        }
        void *freed = opaque_pointer(blocks[7]);
        free(blocks[7]);
        for (size_t i = 0; i < BLOCKS; i++) {
            if (i != 7) {
                copy_freed(blocks[i], freed, sizes[s]);
            }
        }
        for (size_t i = 0; i < BLOCKS; i++) {
            if (i != 7) {
                free(blocks[i]);
            }
        }
    }
}

static void heap_is_sound_after_all_that(void) {
    static void *blocks[20 * BLOCKS];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = malloc(sizes[i % 6]);
        CHECK(blocks[i] != NULL);
        pattern_fill(blocks[i], sizes[i % 6], (unsigned)i);
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        CHECK(pattern_holds(blocks[i], sizes[i % 6], (unsigned)i));
        free(blocks[i]);
    }
}

// The same address freed and handed out again many times is no double free, across threads too.
static void address_reused_many_times_is_freed(void) {
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (int round = 0; round < 2000; round++) {
            void *p = malloc(sizes[i]);
            CHECK(p != NULL);
            free(p);
        }
        for (int round = 0; round < 100; round++) {
            in_thread(free_body, malloc(sizes[i]));
        }
    }
}

static void pointers_as_content_are_freed(void) {
    void *blocks[BLOCKS];
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        for (size_t i = 0; i < BLOCKS; i++) {
            blocks[i] = malloc(sizes[s]);
            CHECK(blocks[i] != NULL);
        }
        // Each block is full of addresses of others, as links of a list are.
        for (size_t i = 0; i < BLOCKS; i++) {
            for (size_t w = 0; w < sizes[s] / sizeof(void *); w++) {
                ((void **)blocks[i])[w] = blocks[(i + w) % BLOCKS];
            }
        }
        for (size_t i = 0; i < BLOCKS; i++) {
            free(blocks[i]);
        }
    }
}

static void *_Atomic in_search;
static atomic_bool writer_stops;

// Writes the address of the block that the other thread is freeing into the first word of one just
// allocated, where a link was a moment ago.
static void *write_its_address(void *unused) {
    while (!atomic_load_explicit(&writer_stops, memory_order_relaxed)) {
        void **p = malloc(32);
        CHECK(p != NULL);
        *(void *volatile *)p = atomic_load_explicit(&in_search, memory_order_relaxed);
        free(p);
    }
    return unused;
}

// The search for a block that carries a free block's bytes follows the lists of a running thread.
static void block_is_searched_for_while_others_write_its_address(void) {
    enum { SEARCHES = 400000 };
    unsigned char stale[32];
    pthread_t writer;
    void *freed = malloc(32);
    CHECK(freed != NULL);
    void *address = opaque_pointer(freed);
    free(freed);
    copy_freed(stale, address, sizeof stale);
    CHECK(pthread_create(&writer, NULL, write_its_address, NULL) == 0);
    for (int i = 0; i < SEARCHES; i++) {
        char *p = malloc(32);
        CHECK(p != NULL);
        memcpy(p + 8, stale + 8, 8);
        __asm__ volatile("" : : "r"(p) : "memory"); // the bytes are there when it is freed
        atomic_store_explicit(&in_search, p, memory_order_relaxed);
        free(p);
    }
    atomic_store_explicit(&writer_stops, true, memory_order_relaxed);
    CHECK(pthread_join(writer, NULL) == 0);
}

CHECK_MAIN(CASE(address_reused_many_times_is_freed), CASE(pointers_as_content_are_freed),
           CASE(blocks_with_bytes_of_another_freed_block_are_freed),
           CASE(block_with_its_own_stale_bytes_is_freed),
           CASE(block_with_its_own_stale_bytes_is_reallocated),
           CASE(block_with_its_own_stale_bytes_is_freed_by_a_thread),
           CASE(block_is_searched_for_while_others_write_its_address),
           CASE(heap_is_sound_after_all_that))
