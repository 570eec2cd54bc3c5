/* test_large.c: allocation, freeing, growing, moving and returning of page runs, case by case. */
#include "large_case.h"

#include <sys/mman.h>

static void large_alloc_rounds_up_to_pages(void **state) {
    (void)state;
    bool zero;
    char *p = hak_large_alloc(40000, 1, &zero);
    assert_non_null(p);
    assert_true(zero);
    assert_int_equal((uintptr_t)p % PAGE, 0);
    assert_int_equal(hak_large_usable(p), 40960);
    assert_int_equal(hak_map_tag(p), HAK_TAG_LARGE);
    assert_int_equal(large_gauges().live_bytes, 40960);
    assert_int_equal(large_gauges().live_blocks, 1);
    memset(p, 1, 40960);
    assert_true(hak_large_free(p));
    assert_int_equal(large_gauges().live_blocks, 0);
    assert_int_equal(large_gauges().live_bytes, 0);
}

static void large_alloc_neighbours_share_a_unit(void **state) {
    (void)state;
    char *a = large_alloc(PAGE * 16);
    char *b = large_alloc(PAGE * 16);
    assert_ptr_equal(b, a + PAGE * 16); /* best fit, lowest address */
    assert_int_equal(fake_os_calls(FAKE_MAP_AT), 1);
    large_free(a);
    large_free(b);
}

static void large_free_coalesces_both_neighbours(void **state) {
    (void)state;
    char *a = large_alloc(PAGE * 20);
    char *b = large_alloc(PAGE * 20);
    char *c = large_alloc(PAGE * 20);
    char *d = large_alloc(PAGE * 20);
    large_free(a);
    large_free(c);
    large_free(b);
    assert_ptr_equal(large_alloc(PAGE * 60), a);
    assert_int_equal(fake_os_calls(FAKE_MAP_AT), 1);
    large_free(a);
    large_free(d);
}

static void large_alloc_takes_smallest_run_that_fits(void **state) {
    (void)state;
    char *runs[6];
    for (int i = 0; i < 6; i++) {
        runs[i] = large_alloc(PAGE * (i == 0 ? 40 : i == 2 ? 20 : 10));
    }
    large_free(runs[0]);
    large_free(runs[2]);
    assert_ptr_equal(large_alloc(PAGE * 15), runs[2]);
    assert_ptr_equal(large_alloc(PAGE * 30), runs[0]);
    large_free(runs[0]);
    large_free(runs[2]);
    large_free(runs[1]);
    for (int i = 3; i < 6; i++) {
        large_free(runs[i]);
    }
}

static void large_alloc_equal_runs_takes_lowest_address(void **state) {
    (void)state;
    char *runs[8];
    for (int i = 0; i < 8; i++) {
        runs[i] = large_alloc(PAGE * 10);
    }
    large_free(runs[5]);
    large_free(runs[1]);
    large_free(runs[3]);
    char *other = large_alloc(PAGE * 40); /* none waits any more */
    assert_ptr_equal(large_alloc(PAGE * 10), runs[1]);
    assert_ptr_equal(large_alloc(PAGE * 10), runs[3]);
    assert_ptr_equal(large_alloc(PAGE * 10), runs[5]);
    large_free(other);
    for (int i = 0; i < 8; i++) {
        large_free(runs[i]);
    }
}

static void large_waiting_are_for_their_sizes(void **state) {
    (void)state;
    char *a = large_alloc(PAGE * 10);
    char *b = large_alloc(PAGE * 30 - 5);
    char *c = large_alloc(PAGE * 10);
    large_free(a);
    large_free(b); /* not joined with a */
    assert_int_equal(large_gauges().live_bytes, PAGE * 10);
    assert_int_equal(large_gauges().live_blocks, 1);
    assert_int_equal(large_gauges().retained_bytes, PAGE * 40);
    assert_int_equal(hak_large_place(b + PAGE).kind, HAK_LARGE_FREE);
    bool zero = true;
    assert_ptr_equal(hak_large_alloc(PAGE * 29 + 1, 1, &zero), b);
    assert_false(zero);
    assert_int_equal(hak_large_usable(b), PAGE * 30);
    assert_int_equal(large_gauges().retained_bytes, PAGE * 10);
    large_free(b);
    assert_ptr_equal(large_alloc(PAGE * 40), a); /* another size: joined first */
    assert_int_equal(fake_os_calls(FAKE_MAP_AT), 1);
    large_free(a);
    large_free(c);
}

static void large_waiting_the_oldest_goes_first(void **state) {
    (void)state;
    char *blocks[10];
    for (size_t i = 0; i < UNIT_LENGTH(blocks); i++) {
        blocks[i] = large_alloc(PAGE * (10 + i));
    }
    for (size_t i = 0; i < UNIT_LENGTH(blocks); i++) {
        large_free(blocks[i]);
    }
    assert_ptr_equal(hak_large_place(blocks[1]).start, blocks[0]); /* the two that wait no more */
    static const size_t order[] = {5, 9, 2, 7, 8, 3, 4, 6};
    for (size_t i = 0; i < UNIT_LENGTH(order); i++) {
        assert_ptr_equal(large_alloc(PAGE * (10 + order[i])), blocks[order[i]]);
    }
    assert_int_equal(large_gauges().retained_bytes, PAGE * 21);
    for (size_t i = 0; i < UNIT_LENGTH(order); i++) {
        large_free(blocks[order[i]]);
    }
}

static void large_waiting_are_room_to_grow(void **state) {
    (void)state;
    char *a = large_alloc(PAGE * 10);
    char *b = large_alloc(PAGE * 10);
    char *c = large_alloc(PAGE * 10);
    large_free(b);
    assert_true(hak_large_resize(a, PAGE * 20));
    large_free(a);
    large_free(c);
}

static void check_none_waits(void) {
    char *a = large_alloc(PAGE * 10);
    char *b = large_alloc(PAGE * 10);
    char *c = large_alloc(PAGE * 10);
    large_free(a);
    large_free(b);
    assert_ptr_equal(hak_large_place(b).start, a); /* joined */
    large_free(c);
}

static void large_waiting_is_nothing_where_nothing_is_kept(void **state) {
    (void)state;
    hak_options.retain = 0;
    hak_options.retain_share = 0;
    check_none_waits();
    assert_int_equal(large_gauges().retained_bytes, 0);
    hak_options = large_case_options;
    hak_options.decay_ms = 0;
    check_none_waits();
}

static void large_waiting_are_small(void **state) {
    (void)state;
    char *a = large_alloc(PAGE * 10);
    char *b = large_alloc(MIB);
    char *c = large_alloc(PAGE * 10);
    large_free(a);
    large_free(b);
    assert_ptr_equal(hak_large_place(b).start, b); /* a waits: it is no neighbour yet */
    large_free(c);
    assert_ptr_equal(hak_large_place(b).start, b);
    assert_ptr_equal(large_alloc(2 * MIB), a);
    large_free(a);
}

/* All become free in allocations, so many at a time. */
static void check_waiting_keep_the_bound(size_t together) {
    char *blocks[1024];
    for (size_t i = 0; i < UNIT_LENGTH(blocks); i++) {
        blocks[i] = large_alloc(PAGE * (i % 2 == 0 ? 10 : 31));
    }
    for (size_t i = 0; i < UNIT_LENGTH(blocks); i += 2 * together) {
        for (size_t k = 0; k < together; k++) {
            large_free(blocks[i + 2 * k]);
        }
        for (size_t k = 0; k < together; k++) {
            blocks[i + 2 * k] = large_alloc(PAGE * 31);
        }
        hak_large_gauges_t gauges = large_gauges();
        assert_in_range(gauges.retained_bytes, 0, gauges.bound_bytes + PAGE * 10 * together);
    }
    for (size_t i = 0; i < UNIT_LENGTH(blocks); i++) {
        large_free(blocks[i]);
    }
}

static void large_waiting_keep_the_bound(void **state) {
    (void)state;
    check_waiting_keep_the_bound(1);
    check_waiting_keep_the_bound(8);
}

/* What is old goes back although every block that waits is wanted back. */
static void large_waiting_let_others_decay(void **state) {
    (void)state;
    char *live = large_alloc(40 * MIB);
    char *old = large_alloc(2 * MIB);
    large_free(old);
    assert_int_equal(large_gauges().retained_bytes, 2 * MIB);
    fake_os.now_ms += hak_options.decay_ms + 1;
    for (int i = 0; i < 100; i++) {
        large_free(large_alloc(PAGE * 10));
    }
    assert_in_range(large_gauges().retained_bytes, 0, PAGE * 10);
    large_free(live);
}

static void large_waiting_go_with_trim(void **state) {
    (void)state;
    large_free(large_alloc(PAGE * 10));
    assert_int_equal(large_gauges().retained_bytes, PAGE * 10);
    assert_true(hak_large_trim());
    assert_int_equal(large_gauges().retained_bytes, 0);
    assert_int_equal(large_gauges().free_bytes, 0);
}

static void large_alloc_loop_makes_no_system_calls(void **state) {
    (void)state;
    large_free(large_alloc(MIB));
    unsigned calls = fake_os_calls(FAKE_ANY);
    for (int i = 0; i < 1000; i++) {
        large_free(large_alloc(MIB));
    }
    assert_int_equal(fake_os_calls(FAKE_ANY), calls);
}

static void large_alloc_every_alignment_to_64_mib_is_aligned(void **state) {
    (void)state;
    static const size_t sizes[] = {1, PAGE, 100000, 2 * MIB, 5 * MIB};
    for (size_t align = 1; align <= 64 * MIB; align *= 2) {
        char *blocks[UNIT_LENGTH(sizes)];
        for (size_t i = 0; i < UNIT_LENGTH(sizes); i++) {
            bool zero;
            blocks[i] = hak_large_alloc(sizes[i], align, &zero);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % align, 0);
            assert_int_equal(hak_large_usable(blocks[i]), hak_round_up(sizes[i], PAGE));
            memset(blocks[i], 1, sizes[i]);
            assert_true(hak_large_is_valid());
        }
        for (size_t i = 0; i < UNIT_LENGTH(sizes); i++) {
            large_free(blocks[i]);
        }
    }
}

static void large_alloc_aligned_uses_free_run_that_fits(void **state) {
    (void)state;
    bool zero;
    char *a = large_alloc(PAGE * 256);
    char *b = large_alloc(PAGE * 4);
    large_free(a);
    unsigned calls = fake_os_calls(FAKE_MAP_AT);
    char *c = hak_large_alloc(PAGE * 16, PAGE * 64, &zero);
    assert_int_equal(fake_os_calls(FAKE_MAP_AT), calls);
    assert_int_equal((uintptr_t)c % (PAGE * 64), 0);
    large_free(b);
    large_free(c);
}

static void large_free_of_other_pointers_is_refused(void **state) {
    (void)state;
    char *p = large_alloc(PAGE * 30);
    assert_false(hak_large_free(p + 16));
    assert_false(hak_large_free(p + PAGE));
    assert_false(hak_large_free(p + PAGE * 29));
    assert_int_equal(hak_large_usable(p + PAGE), 0);
    assert_int_equal(large_gauges().live_blocks, 1);
    large_free(p);
    assert_false(hak_large_free(p));
    assert_int_equal(hak_large_usable(p), 0);
    assert_int_equal(hak_counters.large_frees, 1);
}

static void large_place_tells_live_interior_and_free(void **state) {
    (void)state;
    char *p = large_alloc(5 * MIB);
    assert_int_equal(hak_large_place(p).kind, HAK_LARGE_LIVE);
    assert_int_equal(hak_large_place(p + 1).kind, HAK_LARGE_INTERIOR);
    assert_int_equal(hak_large_place(p + 3 * MIB).kind, HAK_LARGE_INTERIOR);
    assert_ptr_equal(hak_large_place(p + 3 * MIB).start, p);
    assert_int_equal(hak_large_place(p + 3 * MIB).bytes, 5 * MIB);
    char *q = large_alloc(PAGE * 9);
    large_free(q);
    assert_int_equal(hak_large_place(q + PAGE).kind, HAK_LARGE_FREE);
    large_free(p);
}

static void large_alloc_of_dirty_run_is_not_zero(void **state) {
    (void)state;
    bool zero = true;
    char *p = large_alloc(MIB);
    large_free(p);
    char *q = hak_large_alloc(MIB, 1, &zero);
    assert_ptr_equal(q, p);
    assert_false(zero);
    large_free(q);
}

static void large_alloc_after_purge_is_zero(void **state) {
    (void)state;
    bool zero = false;
    char *keep = large_alloc(PAGE * 8);
    char *p = large_alloc(MIB);
    memset(p, 7, MIB);
    large_free(p);
    assert_true(hak_large_trim());
    assert_int_equal(large_gauges().retained_bytes, 0);
    assert_int_equal(hak_counters.purge_calls, 1);
    char *q = hak_large_alloc(MIB, 1, &zero);
    assert_ptr_equal(q, p);
    assert_true(zero);
    for (size_t i = 0; i < MIB; i += PAGE) {
        assert_int_equal(q[i], 0);
    }
    large_free(q);
    large_free(keep);
}

static void large_alloc_after_purge_refused_is_not_zero(void **state) {
    (void)state;
    bool zero = true;
    char *keep = large_alloc(PAGE * 8);
    char *p = large_alloc(MIB);
    memset(p, 7, MIB);
    large_free(p);
    fake_os_fail(FAKE_PURGE, 1, true);
    hak_large_trim();
    assert_int_equal(hak_counters.purge_failures, 1);
    assert_int_equal(large_gauges().retained_bytes, 0); /* not tried for ever */
    char *q = hak_large_alloc(MIB, 1, &zero);
    assert_ptr_equal(q, p);
    assert_false(zero);
    large_free(q);
    large_free(keep);
}

static void large_alloc_of_zero_and_dirty_joined_is_not_zero(void **state) {
    (void)state;
    bool zero = true;
    char *p = large_alloc(MIB); /* the rest of the unit is fresh */
    p[0] = 1;
    large_free(p);
    char *q = hak_large_alloc(MIB + 100 * PAGE, 1, &zero);
    assert_ptr_equal(q, p);
    assert_false(zero);
    large_free(q);
}

static size_t resident_pages(char *start, size_t bytes) {
    unsigned char pages[8192];
    size_t count = 0;
    assert_true(bytes / PAGE <= sizeof pages);
    assert_int_equal(mincore(start, bytes, pages), 0);
    for (size_t i = 0; i < bytes / PAGE; i++) {
        count += pages[i] & 1;
    }
    return count;
}

/* A freed block of 9 MiB, all of it written, with a live one behind it, so that nothing joins it. */
static char *dirty_9_mib(char **keep) {
    hak_options.retain = 1000;
    char *p = large_alloc(9 * MIB);
    *keep = large_alloc(MIB);
    assert_ptr_equal(*keep, p + 9 * MIB);
    memset(p, 7, 9 * MIB);
    large_free(p);
    return p;
}

static void large_alloc_resident_takes_over_pages_of_a_free_run(void **state) {
    (void)state;
    bool zero = true;
    char *keep;
    char *p = dirty_9_mib(&keep);
    char *q = hak_large_alloc_resident(21 * MIB, 1, &zero);
    assert_true(hak_large_is_valid());
    assert_false(zero);
    assert_true(q + 21 * MIB <= p || p + 9 * MIB <= q);
    assert_int_equal(resident_pages(q, 21 * MIB), 9 * MIB / PAGE);
    assert_int_equal(q[9 * MIB - 1], 7);
    assert_int_equal(q[9 * MIB], 0);
    assert_int_equal(hak_counters.taken_over_kib, 9 * 1024);
    assert_int_equal(large_gauges().retained_bytes, 0);
    char *clean = hak_large_alloc(9 * MIB, 1, &zero); /* what they left */
    assert_ptr_equal(clean, p);
    assert_true(zero);
    assert_int_equal(resident_pages(clean, 9 * MIB), 0);
    large_free(clean);
    large_free(q);
    large_free(keep);
}

static void large_alloc_that_may_be_zero_takes_over_nothing(void **state) {
    (void)state;
    bool zero = false;
    char *keep;
    (void)dirty_9_mib(&keep);
    char *q = hak_large_alloc(21 * MIB, 1, &zero);
    assert_true(zero);
    assert_int_equal(resident_pages(q, 21 * MIB), 0);
    assert_int_equal(hak_counters.taken_over_kib, 0);
    large_free(q);
    large_free(keep);
}

static void large_alloc_resident_fills_what_is_clean_in_a_run(void **state) {
    (void)state;
    bool zero = true;
    hak_options.retain = 1000;
    char *donor = large_alloc(9 * MIB);
    char *keep = large_alloc(MIB);
    char *p = large_alloc(8 * MIB);
    memset(donor, 7, 9 * MIB);
    memset(p, 5, 8 * MIB);
    large_free(donor);
    large_free(p);
    char *q = hak_large_alloc_resident(20 * MIB, 1, &zero); /* fresh units join p */
    assert_true(hak_large_is_valid());
    assert_ptr_equal(q, p);
    assert_int_equal(resident_pages(q, 20 * MIB), 17 * MIB / PAGE);
    assert_int_equal(q[8 * MIB - 1], 5);
    assert_int_equal(q[8 * MIB + PAGE], 7);
    assert_false(zero);
    large_free(q);
    large_free(keep);
}

static void large_alloc_resident_of_little_takes_over_nothing(void **state) {
    (void)state;
    bool zero;
    char *keep;
    char *p = dirty_9_mib(&keep);
    char *fits = hak_large_alloc_resident(9 * MIB, 1, &zero);
    assert_ptr_equal(fits, p);
    char *small = hak_large_alloc_resident(MIB - PAGE, 1, &zero);
    assert_int_equal(hak_counters.taken_over_kib, 0);
    large_free(small);
    large_free(fits);
    large_free(keep);
}

/* mlockall: what is not purged is not moved either, since the kernel would unlock neighbours. In a
 * child, since it is remembered. */
UNIT_CHILD(large_take_over_where_memory_is_locked_moves_nothing) {
    bool zero = false;
    char *keep;
    (void)dirty_9_mib(&keep);
    fake_os_fail(FAKE_PURGE, 1, true);
    char *q = hak_large_alloc_resident(21 * MIB, 1, &zero);
    CHECK(q != NULL && zero);
    CHECK(hak_counters.taken_over_kib == 0 && hak_counters.remap_calls == 0);
    CHECK(large_gauges().retained_bytes == 9 * MIB);
    CHECK(hak_large_is_valid());
}

/* A block of three mappings: 9 MiB of one free run, 5 of another, 7 that are fresh. */
static char *patched_21_mib(char **keep, char **keep_too) {
    char *first = dirty_9_mib(keep);
    char *hold = large_alloc(9 * MIB);
    assert_ptr_equal(hold, first);
    char *second = large_alloc(5 * MIB);
    *keep_too = large_alloc(MIB);
    memset(second, 6, 5 * MIB);
    memset(hold, 7, 9 * MIB);
    large_free(hold);
    large_free(second);
    bool zero;
    char *p = hak_large_alloc_resident(21 * MIB, 1, &zero);
    assert_int_equal(hak_counters.taken_over_kib, 14 * 1024);
    for (size_t i = 0; i < 21 * MIB; i += PAGE) {
        *(size_t *)(void *)(p + i) = i;
    }
    return p;
}

static void check_patched(const char *p) {
    for (size_t i = 0; i < 21 * MIB; i += PAGE) {
        assert_int_equal(*(const size_t *)(const void *)(p + i), i);
    }
}

static void large_move_of_a_block_of_several_mappings(void **state) {
    (void)state;
    char *keep;
    char *keep_too;
    char *p = patched_21_mib(&keep, &keep_too);
    char *to = large_alloc(40 * MIB);
    assert_true(hak_large_move(to, p));
    assert_true(hak_large_is_valid());
    assert_true(fake_os_calls(FAKE_MOVE) >= 3);
    check_patched(to);
    large_free(to);
    large_free(keep);
    large_free(keep_too);
}

static void large_move_refused_halfway_copies_the_rest(void **state) {
    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        char *keep;
        char *keep_too;
        memset((void *)&hak_counters, 0, sizeof hak_counters);
        char *p = patched_21_mib(&keep, &keep_too);
        char *to = large_alloc(40 * MIB);
        fake_os_fail(FAKE_MOVE, n, true);
        bool moved = hak_large_move(to, p);
        fake_os_reset();
        assert_true(moved == (n > 1));
        assert_true(hak_large_is_valid());
        check_patched(moved ? to : p);
        large_free(to);
        if (!moved) {
            large_free(p);
        }
        large_free(keep);
        large_free(keep_too);
        hak_large_trim();
        large_case_drop_free_runs();
    }
}

static void large_resize_that_grows_takes_over_pages(void **state) {
    (void)state;
    char *keep;
    char *p = large_alloc(40 * MIB); /* with room behind it */
    (void)dirty_9_mib(&keep);
    assert_true(hak_large_resize(p, 60 * MIB));
    assert_true(hak_large_is_valid());
    assert_int_equal(hak_counters.taken_over_kib, 9 * 1024);
    assert_int_equal(resident_pages(p + 40 * MIB, 20 * MIB), 9 * MIB / PAGE);
    large_free(p);
    large_free(keep);
}

static void large_of_a_gib_keeps_nothing(void **state) {
    (void)state;
    hak_options.retain = 4000;
    size_t mapped = hak_map.mapped_bytes;
    char *p = large_alloc(1024 * MIB + PAGE);
    memset(p, 1, MIB);
    large_free(p);
    assert_int_equal(large_gauges().retained_bytes, 0);
    assert_true(hak_map.mapped_bytes <= mapped + 2 * MIB);
    bool zero;
    char *q = hak_large_alloc(MIB, 1, &zero);
    assert_true(zero);
    large_free(q);
}

static void large_trim_unmaps_what_is_clean(void **state) {
    (void)state;
    char *keep;
    (void)dirty_9_mib(&keep);
    bool zero;
    char *q = hak_large_alloc_resident(21 * MIB, 1, &zero);
    size_t mapped = hak_map.mapped_bytes;
    fake_os_fail(FAKE_UNMAP, 1, true);
    hak_large_trim();
    assert_int_equal(hak_map.mapped_bytes, mapped);
    fake_os_reset();
    assert_true(hak_large_trim());
    assert_true(hak_large_is_valid());
    assert_true(hak_map.mapped_bytes <= mapped - 8 * MIB);
    large_free(q);
    large_free(keep);
}

static void large_take_over_refused_loses_nothing(void **state) {
    (void)state;
    bool zero = false;
    char *keep;
    char *p = dirty_9_mib(&keep);
    fake_os_fail(FAKE_MOVE, 1, true);
    char *made[20];
    for (size_t i = 0; i < UNIT_LENGTH(made); i++) {
        made[i] = hak_large_alloc_resident(21 * MIB, 1, &zero);
        assert_true(hak_large_is_valid());
        assert_true(zero);
        assert_int_equal(large_gauges().retained_bytes, 9 * MIB);
    }
    assert_int_equal(fake_os_calls(FAKE_MOVE), 8); /* it is not tried for ever */
    fake_os_reset();
    char *again = large_alloc(9 * MIB);
    assert_ptr_equal(again, p);
    assert_int_equal(again[9 * MIB - 1], 7);
    large_free(again);
    for (size_t i = 0; i < UNIT_LENGTH(made); i++) {
        large_free(made[i]);
    }
    large_free(keep);
}

static void large_resize_shrinks_where_it_stands(void **state) {
    (void)state;
    char *p = large_alloc(PAGE * 100);
    memset(p, 5, PAGE * 100);
    assert_true(hak_large_resize(p, PAGE * 40));
    assert_int_equal(hak_large_usable(p), PAGE * 40);
    assert_int_equal(large_gauges().live_bytes, PAGE * 40);
    assert_int_equal(p[PAGE * 40 - 1], 5);
    bool zero = true;
    char *q = hak_large_alloc(PAGE * 60, 1, &zero); /* what was cut off may be dirty */
    assert_ptr_equal(q, p + PAGE * 40);
    assert_false(zero);
    large_free(q);
    large_free(p);
}

static void large_resize_grows_into_free_neighbour(void **state) {
    (void)state;
    char *p = large_alloc(PAGE * 10);
    char *q = large_alloc(PAGE * 10);
    char *r = large_alloc(PAGE * 10);
    large_free(q);
    assert_false(hak_large_resize(p, PAGE * 21));
    assert_int_equal(hak_large_usable(p), PAGE * 10);
    assert_true(hak_large_resize(p, PAGE * 15));
    assert_int_equal(hak_large_usable(p), PAGE * 15);
    assert_true(hak_large_resize(p, PAGE * 20));
    assert_false(hak_large_resize(p, PAGE * 20 + 1));
    assert_int_equal(large_gauges().live_bytes, PAGE * 30);
    large_free(p);
    large_free(r);
}

static void large_resize_giant_maps_the_units_behind(void **state) {
    (void)state;
    size_t bytes = 64 * MIB;
    char *p = large_alloc(bytes);
    memset(p, 3, PAGE);
    for (size_t step = 0; step < 8; step++) {
        bytes += 3 * MIB;
        assert_true(hak_large_resize(p, bytes));
        assert_int_equal(hak_large_usable(p), bytes);
        assert_true(hak_large_is_valid());
        p[bytes - 1] = 1;
    }
    assert_int_equal(p[0], 3);
    assert_int_equal(hak_counters.large_grown, 8);
    large_free(p);
}

static void large_resize_of_no_block_is_refused(void **state) {
    (void)state;
    char *p = large_alloc(PAGE * 10);
    assert_false(hak_large_resize(p + PAGE, PAGE * 2));
    assert_int_equal(hak_large_usable(p), PAGE * 10);
    large_free(p);
    assert_false(hak_large_resize(p, PAGE * 2));
}

static void large_move_takes_contents_and_frees_source(void **state) {
    (void)state;
    char *from = large_alloc(8 * MIB);
    char *to = large_alloc(16 * MIB);
    for (size_t i = 0; i < 8 * MIB; i += PAGE) {
        *(size_t *)(void *)(from + i) = i + 1;
    }
    assert_true(hak_large_move(to, from));
    for (size_t i = 0; i < 8 * MIB; i += PAGE) {
        assert_int_equal(*(size_t *)(void *)(to + i), i + 1);
    }
    assert_int_equal(hak_large_usable(from), 0);
    assert_int_equal(large_gauges().live_blocks, 1);
    bool zero = false;
    char *again = hak_large_alloc(8 * MIB, 1, &zero);
    assert_ptr_equal(again, from);
    assert_true(zero);
    assert_int_equal(*(size_t *)(void *)(again + MIB), 0);
    large_free(again);
    large_free(to);
}

/* Few dirty pages somewhere in a large clean run: it is not given back unit by unit. */
static void large_free_beside_what_was_moved_away_unmaps_at_one_go(void **state) {
    (void)state;
    hak_options.retain = hak_options.retain_share = 0;
    char *from = large_alloc(24 * MIB);
    char *beside = large_alloc(MIB);
    char *to = large_alloc(24 * MIB);
    assert_ptr_equal(beside, from + 24 * MIB);
    assert_true(hak_large_move(to, from));
    fake_os_reset();
    large_free(beside);
    assert_true(fake_os_calls(FAKE_UNMAP) <= 2);
    assert_int_equal(large_gauges().retained_bytes, 0);
    large_free(to);
}

static void large_move_refused_leaves_both(void **state) {
    (void)state;
    char *from = large_alloc(8 * MIB);
    char *to = large_alloc(16 * MIB);
    char *small = large_alloc(MIB);
    from[0] = 1;
    to[0] = 2;
    fake_os_fail(FAKE_MOVE, 1, true);
    assert_false(hak_large_move(to, from));
    fake_os_reset();
    assert_false(hak_large_move(from, to));    /* too small */
    assert_false(hak_large_move(to, small));   /* not worth it */
    assert_false(hak_large_move(to, from + PAGE));
    assert_int_equal(fake_os_calls(FAKE_MOVE), 0);
    assert_int_equal(from[0], 1);
    assert_int_equal(large_gauges().live_blocks, 3);
    large_free(from);
    large_free(to);
    large_free(small);
}

#define CASE(name) cmocka_unit_test_setup(name, large_case_set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(large_alloc_rounds_up_to_pages),
        CASE(large_alloc_neighbours_share_a_unit),
        CASE(large_free_coalesces_both_neighbours),
        CASE(large_alloc_takes_smallest_run_that_fits),
        CASE(large_alloc_equal_runs_takes_lowest_address),
        CASE(large_waiting_are_for_their_sizes),
        CASE(large_waiting_the_oldest_goes_first),
        CASE(large_waiting_are_room_to_grow),
        CASE(large_waiting_is_nothing_where_nothing_is_kept),
        CASE(large_waiting_are_small),
        CASE(large_waiting_keep_the_bound),
        CASE(large_waiting_let_others_decay),
        CASE(large_waiting_go_with_trim),
        CASE(large_alloc_loop_makes_no_system_calls),
        CASE(large_alloc_every_alignment_to_64_mib_is_aligned),
        CASE(large_alloc_aligned_uses_free_run_that_fits),
        CASE(large_free_of_other_pointers_is_refused),
        CASE(large_place_tells_live_interior_and_free),
        CASE(large_alloc_of_dirty_run_is_not_zero),
        CASE(large_alloc_after_purge_is_zero),
        CASE(large_alloc_of_zero_and_dirty_joined_is_not_zero),
        CASE(large_alloc_resident_takes_over_pages_of_a_free_run),
        CASE(large_alloc_that_may_be_zero_takes_over_nothing),
        CASE(large_alloc_resident_fills_what_is_clean_in_a_run),
        CASE(large_take_over_where_memory_is_locked_moves_nothing),
        CASE(large_alloc_resident_of_little_takes_over_nothing),
        CASE(large_move_of_a_block_of_several_mappings),
        CASE(large_move_refused_halfway_copies_the_rest),
        CASE(large_resize_that_grows_takes_over_pages),
        CASE(large_of_a_gib_keeps_nothing),
        CASE(large_trim_unmaps_what_is_clean),
        CASE(large_resize_shrinks_where_it_stands),
        CASE(large_resize_grows_into_free_neighbour),
        CASE(large_resize_giant_maps_the_units_behind),
        CASE(large_resize_of_no_block_is_refused),
        CASE(large_move_takes_contents_and_frees_source),
        CASE(large_free_beside_what_was_moved_away_unmaps_at_one_go),
        CASE(large_move_refused_leaves_both),
        /* Last: what was refused is remembered. */
        CASE(large_take_over_refused_loses_nothing),
        CASE(large_alloc_after_purge_refused_is_not_zero),
    };
    return cmocka_run_group_tests(tests, large_case_set_up_group, NULL);
}
