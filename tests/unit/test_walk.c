/* test_walk.c: hak_walk() names what is live, each once, wherever free blocks hide; and leaks. */
#include "walk.h"

#include <errno.h>

#include "canary.h"
#include "fake_os.h"
#include "guard.h"
#include "heap_case.h"

#define MIB ((size_t)1 << 20)
#define MOST 4096

/* The live blocks that are expected, and what a walk made of them. */
static struct {
    const void *address;
    size_t size;
    unsigned seen;
} known[MOST];
static size_t known_count, unknown, slabs, walked_bytes;
static const char *slab_start, *slab_end;

static void expect(const void *block) {
    CHECK(block != NULL && known_count < MOST);
    known[known_count].address = block;
    known[known_count].size = hak_usable_size(block);
    known_count++;
}

static void forget(const void *block) {
    for (size_t i = 0; i < known_count; i++) {
        if (known[i].address == block) {
            known[i] = known[--known_count];
            return;
        }
    }
    CHECK(false);
}

static int look(const hak_visit_t *what, void *arg) {
    (void)arg;
    const char *at = what->address;
    if (what->kind == HAK_VISIT_SLAB) {
        slabs++;
        slab_start = at;
        slab_end = at + what->size;
        return 0;
    }
    bool in_slab = at >= slab_start && at + what->size <= slab_end;
    CHECK(in_slab == (what->size_class >= 0));
    walked_bytes += what->size;
    for (size_t i = 0; i < known_count; i++) {
        if (known[i].address == at) {
            known[i].seen++;
            CHECK(known[i].size == what->size);
            return 0;
        }
    }
    unknown++;
    return 0;
}

/* The walk finds all known blocks once, and no other. */
static void check_walk(void) {
    unknown = slabs = walked_bytes = 0;
    slab_start = slab_end = NULL;
    for (size_t i = 0; i < known_count; i++) {
        known[i].seen = 0;
    }
    CHECK(hak_walk(look, NULL) == 0);
    for (size_t i = 0; i < known_count; i++) {
        CHECK(known[i].seen == 1);
    }
    CHECK(unknown == 0);
    CHECK(walked_bytes == figures().stats.live_bytes);
}

UNIT_CHILD(walk_before_the_first_block_names_nothing) {
    CHECK(hak_walk(look, NULL) == 0 && slabs == 0 && unknown == 0);
}

UNIT_CHILD(walk_names_a_block_of_each_class_and_large_ones) {
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        expect(allocate_of_class(cls));
    }
    check_walk();
    CHECK(slabs == HAK_CLASSES);
    expect(hak_malloc(33000));
    expect(hak_malloc(3 * MIB + 5)); /* lies across units */
    expect(hak_malloc(64 * MIB));
    expect(hak_aligned_alloc(MIB, 100));
    check_walk();
    hak_free((void *)(uintptr_t)known[HAK_CLASSES].address);
    forget(known[HAK_CLASSES].address);
    check_walk();
}

UNIT_CHILD(walk_names_guarded_blocks_as_they_were_asked_for) {
    hak_free(hak_malloc(1)); /* it has started */
    hak_canary_init();
    char *freed = hak_guard_alloc(100, 16, HAK_BY_MALLOC, HAK_GUARD_HARDENED);
    for (size_t i = 0; i < 3; i++) {
        known[i].address = hak_guard_alloc(100 + i, 16, HAK_BY_MALLOC, HAK_GUARD_HARDENED);
        known[i].size = 100 + i;
    }
    CHECK(hak_guard_free(freed));
    known_count = 3;
    CHECK(hak_walk(look, NULL) == 0);
    for (size_t i = 0; i < 3; i++) {
        CHECK(known[i].seen == 1);
    }
    CHECK(unknown == 0 && walked_bytes == 303);
    CHECK(figures().stats.live_blocks == 3 && figures().stats.large_bytes == 3 * 3 * 4096);
}

UNIT_CHILD(walk_free_blocks_in_bin_reserve_slab_and_queue_are_not_named) {
    void *blocks[60];
    allocate(blocks, 60, 1000);
    for (size_t i = 0; i < 60; i++) {
        expect(blocks[i]);
    }
    check_walk();
    for (size_t i = 0; i < 23; i++) {
        forget(blocks[i]);
    }
    release(blocks, 8); /* with the six below not an interval yet */
    hak_heap_trim();    /* home */
    release(blocks + 8, 6);
    hak_bins_interval_over(hak_tls_heap, hak_class_of(1000)); /* the reserve */
    CHECK(hak_bins_reserve(own_shelf(1000)) != NULL);
    release(blocks + 14, 4);                               /* the bin */
    in_thread(thread_frees, &(work_t){blocks + 18, 5, 0}); /* the remote queue */
    CHECK(figures().stats.queued_bytes == 5 * hak_class_stride(hak_class_of(1000)));
    check_walk();
}

static void *wait_with_full_bins(void *argument) {
    void **blocks = argument;
    allocate(blocks, 50, 200);
    release(blocks, 20);
    hak_lock_t *gate = (hak_lock_t *)blocks[50];
    hak_store_release(&gate->word, 1);
    while (hak_load_acquire(&gate->word) == 1) {
        usleep(100);
    }
    return NULL;
}

UNIT_CHILD(walk_bins_of_other_threads_and_of_ended_ones_are_not_named) {
    void *blocks[51];
    hak_lock_t gate = {0};
    pthread_t thread;
    blocks[50] = &gate;
    expect(hak_malloc(1));
    CHECK(pthread_create(&thread, NULL, wait_with_full_bins, blocks) == 0);
    while (hak_load_acquire(&gate.word) == 0) {
        usleep(100);
    }
    for (size_t i = 20; i < 50; i++) {
        expect(blocks[i]);
    }
    check_walk();
    hak_store_release(&gate.word, 2);
    CHECK(pthread_join(thread, NULL) == 0);
    check_walk();
}

/* A program may copy a free block's bytes, the stamp among them, into a live one. */
UNIT_CHILD(walk_live_block_with_a_stamp_is_named) {
    void *a = hak_malloc(64);
    void *b = hak_malloc(64);
    hak_free(b);
    memcpy(a, b, 64);
    expect(a);
    check_walk();
}

UNIT_CHILD(walk_random_blocks_agree_with_what_is_known) {
    static void *blocks[1000];
    uint64_t state = 12345;
    for (int step = 0; step < 40000; step++) {
        size_t i = unit_below(&state, UNIT_LENGTH(blocks));
        if (blocks[i] != NULL) {
            forget(blocks[i]);
            hak_free(blocks[i]);
        }
        size_t size = unit_below(&state, unit_below(&state, 50) == 0 ? 200000 : 3000);
        expect(blocks[i] = hak_malloc(size));
        if (step % 4000 == 0) {
            check_walk();
        }
    }
    check_walk();
    CHECK(hak_heap_is_valid());
}

static int stop_at_third(const hak_visit_t *what, void *count) {
    (void)what;
    return ++*(int *)count == 3 ? 77 : 0;
}

UNIT_CHILD(walk_ends_when_the_visitor_wants_no_more) {
    int count = 0;
    void *blocks[10];
    allocate(blocks, 10, 100);
    CHECK(hak_walk(stop_at_third, &count) == 77 && count == 3);
    void *large = hak_malloc(50000);
    release(blocks, 10);
    hak_heap_trim(); /* but for the large one there is nothing */
    count = 2;
    CHECK(hak_walk(stop_at_third, &count) == 77 && count == 3);
    hak_free(large);
}

UNIT_CHILD(walk_without_memory_is_enomem_and_harmless) {
    expect(hak_malloc(100));
    fake_os_install();
    fake_os_fail(FAKE_MAP, 1, false);
    errno = 0;
    CHECK(hak_walk(look, NULL) == -1 && errno == ENOMEM);
    check_walk();
    CHECK(hak_heap_is_valid());
}

UNIT_CHILD(walk_mapping_calls_are_counted_and_nothing_stays) {
    expect(hak_malloc(100));
    hak_stats_t before = figures().stats;
    fake_os_install();
    check_walk();
    hak_stats_t after = figures().stats;
    CHECK(after.map_calls == before.map_calls + fake_os_calls(FAKE_MAP));
    CHECK(after.unmap_calls == before.unmap_calls + fake_os_calls(FAKE_UNMAP));
    CHECK(fake_os_calls(FAKE_MAP) == 1 && fake_os_calls(FAKE_UNMAP) == 1);
}

/* ---- The visitor must not allocate ------------------------------------------------------------------ */

static void *volatile some_block;

static int allocates(const hak_visit_t *what, void *arg) {
    (void)what;
    some_block = hak_malloc(*(size_t *)arg);
    return 0;
}

static int frees(const hak_visit_t *what, void *arg) {
    (void)what;
    hak_free(*(void **)arg);
    return 0;
}

static void walk_allocating(void *size) {
    hak_free(hak_malloc(*(size_t *)size)); /* the bin is not empty */
    (void)hak_malloc(5000);                /* something to visit */
    (void)hak_walk(allocates, size);
}

static void walk_freeing(void *size) {
    void *block = hak_malloc(*(size_t *)size);
    (void)hak_walk(frees, &block);
}

static void walk_visitor_that_allocates_is_stopped(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t sizes[] = {100, 20000, 100000};
        const char *line = "hakmem: malloc or free in a callback of hak_heap_visit\n";
        unit_assert_aborts(walk_allocating, &sizes[i], line);
        unit_assert_aborts(walk_freeing, &sizes[i], line);
    }
}

/* ---- Leaks ------------------------------------------------------------------------------------------ */

UNIT_CHILD(leaks_are_listed_largest_first) {
    for (int i = 0; i < 40; i++) {
        CHECK(hak_malloc(112) != NULL);
    }
    CHECK(hak_malloc(50000) != NULL && hak_malloc(50000) != NULL && hak_malloc(1000) != NULL);
    hak_free(hak_malloc(2000));
    fake_os_install();
    fake_os_capture(true);
    hak_report_leaks(6);
    const char *rows = strchr(strchr(fake_os.text, '\n') + 1, '\n') + 1;
    CHECK(fake_os.last_fd == 6);
    CHECK(strcmp(rows, "leak_large        53248            2          106496  # 104.0 KiB, 95.1 % so far\n"
                       "leak_class_6        112           40            4480  # 4.4 KiB, 99.1 % so far\n"
                       "leak_class_36      1040            1            1040  # 1.0 KiB, 100.0 % so far\n"
                       "leaks_total                       43          112016  # 109.4 KiB, 100.0 % so far\n") ==
          0);
}

static size_t leak_rows, leak_blocks;

static void count_leak(void *unused, const hak_leak_t *leak) {
    (void)unused;
    static size_t last = SIZE_MAX;
    if (leak->cls != HAK_LEAK_TOTAL) {
        CHECK(leak->bytes <= last && leak->blocks != 0);
        last = leak->bytes;
        leak_rows++;
        leak_blocks += leak->blocks;
    } else {
        CHECK(leak->blocks == leak_blocks && leak->blocks == figures().stats.live_blocks);
        CHECK(leak->bytes == figures().stats.live_bytes);
    }
}

UNIT_CHILD(leaks_of_many_large_sizes_are_put_together) {
    for (size_t i = 0; i < 300; i++) {
        CHECK(hak_malloc(40000 + i * 4096) != NULL);
    }
    CHECK(hak_report_each_leak(count_leak, NULL));
    CHECK(leak_blocks == 300 && leak_rows == 101);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walk_before_the_first_block_names_nothing),
        cmocka_unit_test(walk_names_a_block_of_each_class_and_large_ones),
        cmocka_unit_test(walk_names_guarded_blocks_as_they_were_asked_for),
        cmocka_unit_test(walk_free_blocks_in_bin_reserve_slab_and_queue_are_not_named),
        cmocka_unit_test(walk_bins_of_other_threads_and_of_ended_ones_are_not_named),
        cmocka_unit_test(walk_live_block_with_a_stamp_is_named),
        cmocka_unit_test(walk_random_blocks_agree_with_what_is_known),
        cmocka_unit_test(walk_ends_when_the_visitor_wants_no_more),
        cmocka_unit_test(walk_without_memory_is_enomem_and_harmless),
        cmocka_unit_test(walk_mapping_calls_are_counted_and_nothing_stays),
        cmocka_unit_test(walk_visitor_that_allocates_is_stopped),
        cmocka_unit_test(leaks_are_listed_largest_first),
        cmocka_unit_test(leaks_of_many_large_sizes_are_put_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
