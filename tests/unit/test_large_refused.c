/* test_large_refused.c: the Nth system call fails; what was there stays, what comes later works. */
#include "large_case.h"

typedef struct {
    const char *name;
    bool (*operation)(void); /* true when it did what was asked; a block it made is in made */
} step_t;

static char *first, *second;
static char *made;
static char *fillers[4096];
static unsigned filler_count;

static bool alloc_unit(void) {
    bool zero;
    made = hak_large_alloc(3 * MIB, 1, &zero);
    return made != NULL;
}

/* With pages of the free run that use_up_records(), or the case, has left. */
static bool alloc_wide(void) {
    bool zero;
    made = hak_large_alloc_resident(24 * MIB, 1, &zero);
    return made != NULL;
}

static bool alloc_small(void) {
    bool zero;
    made = hak_large_alloc(10 * PAGE, 1, &zero);
    return made != NULL;
}

static bool alloc_aligned(void) {
    bool zero;
    made = hak_large_alloc(3 * MIB, 16 * MIB, &zero);
    return made != NULL;
}

static bool alloc_aligned_inside(void) {
    bool zero;
    made = hak_large_alloc(5 * PAGE, 128 * PAGE, &zero);
    return made != NULL;
}

static bool grow_in_place(void) {
    return hak_large_resize(second, 48 * MIB);
}

static bool shrink(void) {
    return hak_large_resize(second, 33 * MIB);
}

static const step_t steps[] = {
    {"alloc_unit", alloc_unit},
    {"alloc_small", alloc_small},
    {"alloc_aligned", alloc_aligned},
    {"alloc_aligned_inside", alloc_aligned_inside},
    {"grow_in_place", grow_in_place},
    {"shrink", shrink},
    {"alloc_wide", alloc_wide},
};

static void prepare(void) {
    made = NULL;
    first = large_alloc(MIB);
    second = large_alloc(40 * MIB);
    memset(first, 1, MIB);
    char *third = large_alloc(9 * MIB);
    memset(third, 4, 9 * MIB);
    large_free(third);
    second[0] = 2;
    second[32 * MIB] = 3;
}

static void clean_up(void) {
    assert_int_equal(first[MIB - 1], 1);
    assert_int_equal(second[0], 2);
    assert_int_equal(second[32 * MIB], 3);
    large_free(first);
    large_free(second);
    if (made != NULL) {
        large_free(made);
    }
    while (filler_count > 0) {
        (void)hak_large_free(fillers[--filler_count]);
    }
    assert_int_equal(large_gauges().live_blocks, 0);
}

/* Uses up all records at hand, so that each one more needs a call of the system: each small block
 * cut from a large free run takes one. */
static void use_up_records(void) {
    large_free(large_alloc(16 * MIB));
    fake_os_fail(FAKE_ANY, 1, true);
    while (hak_meta_alloc(64, 8) != NULL) {
    }
    bool zero;
    char *filler;
    while ((filler = hak_large_alloc(1, 1, &zero)) != NULL) {
        assert_true(filler_count < UNIT_LENGTH(fillers));
        fillers[filler_count++] = filler;
    }
    fake_os_fail(FAKE_ANY, 0, false);
    assert_true(large_gauges().free_bytes >= 4 * MIB); /* room there is */
}

/* Fails call 1, 2, 3, ... until the operation succeeds without reaching the one that fails.
 * Returns how often it did not do what was asked. */
static unsigned fail_each_call(const step_t *step, fake_entry_t entry, bool rest, bool no_records) {
    unsigned failures = 0;
    for (unsigned n = 1;; n++) {
        hak_map_result_t how = fake_os.map_at_failure;
        large_case_drop_free_runs();
        prepare();
        if (no_records) {
            use_up_records();
        }
        fake_os.map_at_failure = how;
        size_t live = large_gauges().live_bytes;
        fake_os_fail(entry, n, rest);
        bool done = step->operation();
        unsigned calls = fake_os_calls(entry);
        assert_true(hak_large_is_valid());
        if (!done) {
            failures++;
            assert_int_equal(large_gauges().live_bytes, live);
            assert_true(calls >= n);
        }
        fake_os_fail(entry, 0, false);
        if (!done) {
            assert_true(step->operation()); /* the system has recovered */
        }
        clean_up();
        if (calls < n) {
            assert_true(done);
            return failures;
        }
        assert_true(n < 1000);
    }
}

static unsigned fail_each_step(hak_map_result_t how, fake_entry_t entry, bool rest) {
    unsigned failures = 0;
    for (size_t i = 0; i < UNIT_LENGTH(steps); i++) {
        fake_os.map_at_failure = how;
        failures += fail_each_call(&steps[i], entry, rest, false);
    }
    return failures;
}

static void large_operations_nth_call_fails_leave_all_intact(void **state) {
    (void)state;
    assert_true(fail_each_step(HAK_MAP_NO_MEMORY, FAKE_ANY, false) >= 3);
}

static void large_operations_all_calls_from_nth_fail_leave_all_intact(void **state) {
    (void)state;
    assert_true(fail_each_step(HAK_MAP_NO_MEMORY, FAKE_ANY, true) >= 3);
}

static void large_operations_addresses_taken_leave_all_intact(void **state) {
    (void)state;
    /* Another address does, except for growing in place. */
    assert_int_equal(fail_each_step(HAK_MAP_TAKEN, FAKE_MAP_AT, false), 1);
}

static void large_operations_no_records_leave_all_intact(void **state) {
    (void)state;
    hak_options.retain = 1000;
    assert_true(fail_each_call(&steps[0], FAKE_MAP, true, true) >= 1);
    assert_true(fail_each_call(&steps[1], FAKE_MAP, true, true) >= 1);
    assert_true(fail_each_call(&steps[2], FAKE_MAP, true, true) >= 1);
    assert_true(fail_each_call(&steps[3], FAKE_MAP, true, true) >= 1);
    assert_true(fail_each_call(&steps[4], FAKE_MAP, true, true) >= 1);
    assert_int_equal(fail_each_call(&steps[5], FAKE_MAP, true, true), 0);
    assert_true(fail_each_call(&steps[6], FAKE_MAP, true, true) >= 1);
}

static void large_alloc_all_addresses_taken_is_null(void **state) {
    (void)state;
    bool zero;
    fake_os.map_at_failure = HAK_MAP_TAKEN;
    fake_os_fail(FAKE_MAP_AT, 1, true);
    assert_null(hak_large_alloc(MIB, 1, &zero));
    assert_null(hak_large_alloc(5 * MIB, 1, &zero));
    assert_true(fake_os_calls(FAKE_MAP_AT) < 1000); /* gives up in time */
    fake_os_reset();
    large_free(large_alloc(MIB));
    large_free(large_alloc(5 * MIB));
}

static void large_alloc_more_than_the_window_is_null(void **state) {
    (void)state;
    static const size_t sizes[] = {HAK_SIZE_MAX, HAK_SIZE_MAX - 4096, (size_t)1 << 62,
                                   (size_t)1 << 46};
    bool zero;
    for (size_t i = 0; i < UNIT_LENGTH(sizes); i++) {
        assert_null(hak_large_alloc(sizes[i], 1, &zero));
        assert_null(hak_large_alloc(sizes[i], 16 * MIB, &zero));
    }
    assert_null(hak_large_alloc(1, (size_t)1 << 62, &zero));
    assert_null(hak_large_alloc(MIB, (size_t)1 << 46, &zero));
    assert_true(hak_large_is_valid());
    assert_int_equal(large_gauges().live_blocks, 0);
}

static void large_trim_unmap_refused_purges_instead(void **state) {
    (void)state;
    bool zero = false;
    char *p = large_alloc(8 * MIB);
    memset(p, 9, 8 * MIB);
    fake_os_fail(FAKE_UNMAP, 1, true);
    large_free(p);
    hak_large_trim();
    assert_true(hak_large_is_valid());
    assert_int_equal(large_gauges().retained_bytes, 0);
    assert_int_equal(large_gauges().free_bytes, 8 * MIB);
    char *q = hak_large_alloc(8 * MIB, 1, &zero);
    assert_ptr_equal(q, p);
    assert_true(zero);
    assert_int_equal(q[5 * MIB], 0);
    fake_os_reset();
    large_free(q);
}

static void large_trim_keeps_the_ends_of_an_unmapped_middle(void **state) {
    (void)state;
    char *a = large_alloc(MIB);
    char *b = large_alloc(5 * MIB + 512 * 1024);
    char *c = large_alloc(7 * MIB);
    /* c, or what follows b in its last unit, bounds b's run on the right */
    memset(b, 4, 5 * MIB);
    large_free(b);
    assert_true(hak_large_trim());
    assert_true(hak_large_is_valid());
    assert_int_equal(large_gauges().live_bytes + large_gauges().free_bytes, hak_map.mapped_bytes);
    a[MIB - 1] = 1;
    c[0] = 1;
    char *again = large_alloc(5 * MIB + 512 * 1024);
    assert_int_equal(again[PAGE], 0);
    large_free(again);
    large_free(a);
    large_free(c);
}

static void large_trim_counts_no_more_than_was_there(void **state) {
    (void)state;
    hak_options.retain = 100;
    char *p = large_alloc(10 * MIB);
    memset(p, 1, 10 * MIB);
    large_free(p);
    char *front = large_alloc(MIB);
    assert_ptr_equal(front, p);
    assert_int_equal(large_gauges().retained_bytes, 9 * MIB);
    assert_true(hak_large_trim()); /* four units are unmapped, half of one is purged */
    assert_int_equal(large_gauges().retained_bytes, 0);
    uint64_t purged_kib = hak_counters.purged_kib;
    large_free(front);
    assert_int_equal(purged_kib, 9 * 1024);
}

static void large_trim_purge_refused_counts_nothing(void **state) {
    (void)state;
    char *p = large_alloc(MIB);
    char *q = large_alloc(MIB / 2);
    large_free(p);
    fake_os_fail(FAKE_PURGE, 1, true);
    hak_large_trim();
    uint64_t purged_kib = hak_counters.purged_kib;
    uint64_t failures = hak_counters.purge_failures;
    fake_os_reset();
    large_free(q);
    assert_int_equal(failures, 1);
    assert_int_equal(purged_kib, 0);
}

#define CASE(name) cmocka_unit_test_setup(name, large_case_set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(large_operations_nth_call_fails_leave_all_intact),
        CASE(large_operations_all_calls_from_nth_fail_leave_all_intact),
        CASE(large_operations_no_records_leave_all_intact),
        CASE(large_operations_addresses_taken_leave_all_intact),
        CASE(large_alloc_all_addresses_taken_is_null),
        CASE(large_alloc_more_than_the_window_is_null),
        CASE(large_trim_unmap_refused_purges_instead),
        CASE(large_trim_keeps_the_ends_of_an_unmapped_middle),
        CASE(large_trim_counts_no_more_than_was_there),
        CASE(large_trim_purge_refused_counts_nothing),
    };
    return cmocka_run_group_tests(tests, large_case_set_up_group, NULL);
}
