/* test_pool_acquire.c: the three stages, slabs of several slots, no memory. */
#include "pool_case.h"

static void pool_acquire_first_maps_superslab(void **state) {
    (void)state;
    hak_slab_t *slab = pool_acquire(CLASS_64);
    assert_non_null(slab);
    assert_int_equal(hak_counters.stage3, 1);
    assert_int_equal(hak_counters.superslabs_mapped, 1);
    assert_int_equal(hak_counters.stage1 + hak_counters.stage2, 0);
    assert_int_equal((uintptr_t)hak_slab_superslab(slab)->base % HAK_SUPERSLAB_BYTES, 0);
    assert_int_equal(hak_map_tag(hak_slab_base(slab)), hak_tag_of_class(CLASS_64));
    assert_int_equal(slab->state, HAK_SLOT_ACTIVE);
    assert_int_equal(slab->carved, 0);
    pool_release(slab);
}

static void pool_acquire_second_takes_unused_slot_of_same_superslab(void **state) {
    (void)state;
    hak_slab_t *a = pool_acquire(CLASS_64);
    hak_slab_t *b = pool_acquire(CLASS_80);
    assert_ptr_equal(hak_slab_superslab(a), hak_slab_superslab(b));
    assert_int_equal(hak_counters.stage2, 1);
    assert_int_equal(hak_counters.stage3, 1);
    pool_release(a);
    pool_release(b);
}

static void pool_acquire_after_release_reuses_empty_slot_of_class(void **state) {
    (void)state;
    hak_slab_t *a = pool_acquire(CLASS_64);
    hak_slab_t *b = pool_acquire(CLASS_64);
    pool_release(a);
    assert_int_equal(hak_map_tag(hak_slab_base(a)), HAK_TAG_EMPTY);
    hak_slab_t *c = pool_acquire(CLASS_64);
    assert_ptr_equal(c, a);
    assert_int_equal(hak_counters.stage1, 1);
    assert_int_equal(pool_gauges().slots_empty, 0);
    pool_release(b);
    pool_release(c);
}

static void pool_acquire_of_class_takes_last_released_first(void **state) {
    (void)state;
    hak_slab_t *slabs[4];
    for (int i = 0; i < 4; i++) {
        slabs[i] = pool_acquire(CLASS_64);
    }
    pool_release(slabs[0]);
    pool_release(slabs[2]);
    pool_release(slabs[1]);
    assert_ptr_equal(pool_acquire(CLASS_64), slabs[1]);
    assert_ptr_equal(pool_acquire(CLASS_64), slabs[2]);
    assert_ptr_equal(pool_acquire(CLASS_64), slabs[0]);
    assert_int_equal(hak_counters.stage1, 3);
    for (int i = 0; i < 4; i++) {
        pool_release(slabs[i]);
    }
}

static void pool_acquire_other_class_takes_empty_slot_before_mapping(void **state) {
    (void)state;
    hak_slab_t *slabs[HAK_SLOTS];
    pool_fill_superslab(slabs, CLASS_64);
    pool_release(slabs[7]);
    hak_slab_t *other = pool_acquire(CLASS_80);
    assert_ptr_equal(other, slabs[7]);
    assert_int_equal(other->cls, CLASS_80);
    assert_int_equal(hak_map_tag(hak_slab_base(other)), hak_tag_of_class(CLASS_80));
    assert_int_equal(hak_counters.superslabs_mapped, 1);
    assert_int_equal(hak_counters.stage1, 0);
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        pool_release(slabs[i]);
    }
}

static void pool_acquire_with_full_superslab_maps_another(void **state) {
    (void)state;
    hak_slab_t *slabs[HAK_SLOTS];
    pool_fill_superslab(slabs, CLASS_64);
    for (unsigned i = 1; i < HAK_SLOTS; i++) {
        assert_ptr_equal(hak_slab_superslab(slabs[i]), hak_slab_superslab(slabs[0]));
    }
    assert_int_equal(hak_counters.stage3, 1);
    assert_int_equal(hak_counters.stage2, HAK_SLOTS - 1);
    hak_slab_t *next = pool_acquire(CLASS_64);
    assert_true(hak_slab_superslab(next) != hak_slab_superslab(slabs[0]));
    assert_int_equal(hak_counters.stage3, 2);
    assert_int_equal(pool_gauges().superslabs_now, 2);
    pool_release(next);
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        pool_release(slabs[i]);
    }
}

static void pool_acquire_prefers_fullest_superslab(void **state) {
    (void)state;
    hak_slab_t *slabs[2][HAK_SLOTS];
    pool_fill_superslab(slabs[0], CLASS_64);
    pool_fill_superslab(slabs[1], CLASS_64);
    for (unsigned i = 0; i < 5; i++) { /* 27 ACTIVE, then one by one 28 ... */
        pool_release(slabs[0][i]);
    }
    for (unsigned i = 0; i < 20; i++) {
        pool_release(slabs[1][i]);
    }
    for (unsigned i = 0; i < 5; i++) {
        hak_slab_t *slab = pool_acquire(CLASS_80);
        assert_ptr_equal(hak_slab_superslab(slab), hak_slab_superslab(slabs[0][31]));
    }
    hak_slab_t *sixth = pool_acquire(CLASS_80);
    assert_ptr_equal(hak_slab_superslab(sixth), hak_slab_superslab(slabs[1][31]));
    pool_release(sixth);
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        pool_release(slabs[0][i]);
        if (i >= 20) {
            pool_release(slabs[1][i]);
        }
    }
}

/* An EMPTY slot of a SuperSlab in the cache comes before an UNUSED one of a fuller SuperSlab. */
static void pool_acquire_takes_resident_memory_first(void **state) {
    (void)state;
    hak_slab_t *slabs[HAK_SLOTS];
    pool_fill_superslab(slabs, CLASS_64);
    hak_slab_t *other = pool_acquire(CLASS_64);
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        pool_release(slabs[i]);
    }
    assert_int_equal(pool_gauges().superslabs_in_lru, 1);
    assert_null(hak_slab_superslab(other)->next);
    hak_slab_t *slab = hak_pool_acquire_resident(CLASS_80);
    assert_ptr_equal(hak_slab_superslab(slab), hak_slab_superslab(slabs[0]));
    assert_int_equal(hak_counters.superslabs_from_lru, 1);
    pool_release(slab);
    assert_true(hak_pool_trim());
    assert_null(hak_pool_acquire_resident(CLASS_80)); /* room there is, but fresh */
    pool_release(other);
}

/* Of its own class one that is EMPTY, of others none; no further SuperSlab for it. */
static void pool_acquire_sparse_takes_no_resident_memory_of_others(void **state) {
    (void)state;
    hak_slab_t *slabs[HAK_SLOTS];
    assert_null(hak_pool_acquire_sparse(CLASS_80));
    pool_fill_superslab(slabs, CLASS_64);
    assert_null(hak_pool_acquire_sparse(CLASS_80));
    pool_release_used(slabs[0], 4096);
    assert_null(hak_pool_acquire_sparse(CLASS_80)); /* resident, and of another class */
    hak_slab_t *same = hak_pool_acquire_sparse(CLASS_64);
    assert_ptr_equal(same, slabs[0]);
    pool_release_used(same, 4096);
    assert_true(hak_pool_trim());
    hak_slab_t *given_back = hak_pool_acquire_sparse(CLASS_80);
    assert_ptr_equal(given_back, slabs[0]);
    assert_int_equal(given_back->dirty_pages, 0);
    pool_release(given_back);
    for (unsigned i = 1; i < HAK_SLOTS; i++) {
        pool_release(slabs[i]);
    }
}

static void pool_acquire_of_a_grown_heap_asks_for_huge_pages(void **state) {
    (void)state;
    hak_slab_t *first = hak_pool_acquire(CLASS_64, false);
    assert_int_equal(fake_os.huge_wishes[HAK_HUGE_PLEASE], 0);
    pool_release(first);
    assert_true(hak_pool_trim());
    hak_slab_t *slab = hak_pool_acquire(CLASS_64, true);
    assert_int_equal(fake_os.huge_wishes[HAK_HUGE_PLEASE], 1);
    assert_int_equal(slab->dirty_pages, HAK_SLOT_DIRTY_PAGES); /* one touch, and all is resident */
    pool_release(slab);
    hak_options.thp = 0;
    assert_true(hak_pool_trim());
    slab = hak_pool_acquire(CLASS_64, true);
    assert_int_equal(fake_os.huge_wishes[HAK_HUGE_PLEASE], 1);
    pool_release(slab);
}

/* Maps so many SuperSlabs for a grown heap and unmaps them again. Returns how many huge pages were
 * asked for. */
static unsigned huge_pages_asked_for(unsigned superslabs) {
    static hak_slab_t *slabs[600];
    unsigned before = fake_os.huge_wishes[HAK_HUGE_PLEASE];
    assert_true(superslabs <= 600);
    for (unsigned i = 0; i < superslabs; i++) {
        slabs[i] = hak_pool_acquire(CLASS_64, true);
        for (unsigned k = 1; k < HAK_SLOTS; k++) { /* all of it, or the next one would be there */
            (void)hak_pool_acquire(CLASS_64, false);
        }
    }
    unsigned asked = fake_os.huge_wishes[HAK_HUGE_PLEASE] - before;
    for (unsigned i = 0; i < superslabs; i++) {
        hak_superslab_t *ss = hak_slab_superslab(slabs[i]);
        for (unsigned k = 0; k < HAK_SLOTS; k++) {
            pool_release(&ss->slabs[k]);
        }
    }
    assert_true(hak_pool_trim());
    return asked;
}

static void pool_acquire_does_without_huge_pages_after_a_dear_one(void **state) {
    (void)state;
    fake_os.populate_us = 300;
    assert_int_equal(huge_pages_asked_for(3), 3);
    fake_os.populate_us = 5000;
    assert_int_equal(huge_pages_asked_for(17), 1);
    assert_int_equal(huge_pages_asked_for(33), 1);
    assert_int_equal(huge_pages_asked_for(65 + 129 + 257 + 30), 4); /* 256 without at most, */
    assert_int_equal(huge_pages_asked_for(256 - 29 + 1), 1);
    fake_os.populate_us = 300;
    assert_int_equal(huge_pages_asked_for(256), 0);
    assert_int_equal(huge_pages_asked_for(20), 20); /* one that was not dear ends that, */
    fake_os.populate_us = 5000;
    assert_int_equal(huge_pages_asked_for(17), 1); /* and the next that is begins anew */
    assert_int_equal(huge_pages_asked_for(1), 1);
    fake_os_fail(FAKE_POPULATE, 1, true); /* it takes as long, but nothing can be told */
    hak_pool.huge_skips = 0;
    assert_int_equal(huge_pages_asked_for(20), 20);
    hak_options.thp = 1;
    assert_int_equal(huge_pages_asked_for(40), 40);
}

static void pool_dear_huge_page_counts_once_for_all_who_asked_meanwhile(void **state) {
    (void)state;
    hak_slots_note_huge_page(true);
    assert_int_equal(hak_pool.huge_skips, 16);
    hak_slots_note_huge_page(true);
    hak_slots_note_huge_page(false);
    assert_int_equal(hak_pool.huge_skips, 16);
    fake_os.populate_us = 5000;
    assert_int_equal(huge_pages_asked_for(16 + 1 + 32), 1);
}

static void pool_trim_of_a_part_declines_huge_pages(void **state) {
    (void)state;
    hak_slab_t *kept = hak_pool_acquire(CLASS_64, true);
    hak_slab_t *slab = hak_pool_acquire(CLASS_64, true);
    assert_ptr_equal(hak_slab_superslab(slab), hak_slab_superslab(kept));
    pool_release(slab);
    assert_int_equal(fake_os.huge_wishes[HAK_HUGE_NEVER], 0);
    assert_true(hak_pool_trim());
    assert_int_equal(fake_os.huge_wishes[HAK_HUGE_NEVER], 1);
    slab = hak_pool_acquire(CLASS_64, true);
    assert_ptr_equal(hak_slab_superslab(slab), hak_slab_superslab(kept));
    assert_int_equal(slab->dirty_pages, 0);
    hak_slab_t *never_used = hak_pool_acquire(CLASS_64, true); /* but there since the first touch */
    assert_ptr_equal(hak_slab_superslab(never_used), hak_slab_superslab(kept));
    assert_int_equal(never_used->dirty_pages, HAK_SLOT_DIRTY_PAGES);
    pool_release(never_used);
    pool_release(slab);
    pool_release(kept);
    assert_true(hak_pool_trim());
    assert_int_equal(fake_os.huge_wishes[HAK_HUGE_NEVER], 1);
}

static void pool_shed_gives_back_the_oldest(void **state) {
    (void)state;
    hak_slab_t *a = pool_acquire(CLASS_64);
    hak_slab_t *b = pool_acquire(CLASS_64);
    hak_slab_t *c = pool_acquire(CLASS_64);
    pool_release(a);
    pool_release(b);
    hak_pool_shed(HAK_SLOT_BYTES / 2);
    assert_int_equal(a->state, HAK_SLOT_UNUSED);
    assert_int_equal(b->state, HAK_SLOT_EMPTY);
    hak_pool_shed(SIZE_MAX);
    assert_int_equal(b->state, HAK_SLOT_UNUSED);
    assert_int_equal(pool_gauges().retained_bytes, 0);
    pool_release(c);
}

static void pool_acquire_wide_classes_take_aligned_runs(void **state) {
    (void)state;
    hak_slab_t *one = pool_acquire(CLASS_64);
    hak_slab_t *two = pool_acquire(CLASS_16K);
    hak_slab_t *four = pool_acquire(CLASS_32K);
    assert_int_equal(one->index, 0);
    assert_int_equal(two->slots, 2);
    assert_int_equal(two->index % 2, 0);
    assert_int_equal(four->slots, 4);
    assert_int_equal(four->index % 4, 0);
    assert_int_equal(pool_gauges().slots_active, 7);
    for (size_t i = 0; i < 4; i++) {
        char *block = hak_slab_base(four) + i * HAK_SLOT_BYTES + 100;
        assert_int_equal(hak_map_tag(block), hak_tag_of_class(CLASS_32K));
        assert_ptr_equal(hak_slab_of(block, CLASS_32K), four);
    }
    pool_release(one);
    pool_release(two);
    pool_release(four);
}

static void pool_acquire_wide_without_run_maps_superslab(void **state) {
    (void)state;
    hak_slab_t *slabs[HAK_SLOTS];
    pool_fill_superslab(slabs, CLASS_64);
    for (unsigned i = 0; i < HAK_SLOTS; i += 2) { /* half is EMPTY, no two neighbours */
        pool_release(slabs[i]);
    }
    hak_slab_t *two = pool_acquire(CLASS_16K);
    assert_true(hak_slab_superslab(two) != hak_slab_superslab(slabs[0]));
    assert_int_equal(hak_counters.superslabs_mapped, 2);
    pool_release(two);
    for (unsigned i = 1; i < HAK_SLOTS; i += 2) {
        pool_release(slabs[i]);
    }
}

static void pool_acquire_wide_joins_empty_slots_of_narrow_classes(void **state) {
    (void)state;
    hak_slab_t *slabs[HAK_SLOTS];
    pool_fill_superslab(slabs, CLASS_64);
    for (unsigned i = 8; i < 12; i++) {
        pool_release(slabs[i]);
    }
    hak_slab_t *four = pool_acquire(CLASS_32K);
    assert_ptr_equal(four, slabs[8]);
    assert_int_equal(pool_gauges().slots_empty, 0);
    assert_int_equal(pool_gauges().retained_bytes, 0);
    pool_release(four);
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        if (i < 8 || i >= 12) {
            pool_release(slabs[i]);
        }
    }
}

static void pool_acquire_narrow_cuts_empty_wide_slab(void **state) {
    (void)state;
    hak_slab_t *wide[8];
    for (int i = 0; i < 8; i++) {
        wide[i] = pool_acquire(CLASS_32K);
    }
    assert_int_equal(pool_gauges().superslabs_now, 1);
    pool_release(wide[3]);
    assert_int_equal(pool_gauges().slots_empty, 4);
    hak_slab_t *narrow = pool_acquire(CLASS_64);
    assert_int_equal(narrow->index / 4, wide[3]->index / 4);
    assert_int_equal(narrow->slots, 1);
    assert_int_equal(pool_gauges().slots_empty, 3);
    assert_int_equal(pool_gauges().retained_bytes, 3 * HAK_SLOT_BYTES);
    hak_slab_t *pair = pool_acquire(CLASS_16K); /* of what is left, two lie side by side */
    assert_ptr_equal(hak_slab_superslab(pair), hak_slab_superslab(narrow));
    assert_int_equal(pool_gauges().slots_empty, 1);
    pool_release(pair);
    pool_release(narrow);
    for (int i = 0; i < 8; i++) {
        if (i != 3) {
            pool_release(wide[i]);
        }
    }
}

static void pool_acquire_without_memory_is_null(void **state) {
    (void)state;
    fake_os_fail(FAKE_MAP_AT, 1, true);
    assert_null(pool_acquire(CLASS_64));
    assert_null(pool_acquire(CLASS_32K));
    assert_int_equal(pool_gauges().superslabs_now, 0);
    fake_os_reset();
    hak_slab_t *slab = pool_acquire(CLASS_64);
    assert_non_null(slab);
    pool_release(slab);
}

static void pool_acquire_without_memory_still_serves_what_is_there(void **state) {
    (void)state;
    hak_slab_t *slabs[HAK_SLOTS];
    slabs[0] = pool_acquire(CLASS_64);
    fake_os_fail(FAKE_ANY, 1, true);
    for (unsigned i = 1; i < HAK_SLOTS; i++) {
        slabs[i] = pool_acquire(CLASS_64);
        assert_non_null(slabs[i]);
    }
    assert_null(pool_acquire(CLASS_64));
    pool_release(slabs[9]);
    slabs[9] = pool_acquire(CLASS_80);
    assert_non_null(slabs[9]);
    fake_os_reset();
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        pool_release(slabs[i]);
    }
}

static void pool_acquire_taken_addresses_are_stepped_over(void **state) {
    (void)state;
    fake_os.map_at_failure = HAK_MAP_TAKEN;
    fake_os_fail(FAKE_MAP_AT, 1, false);
    hak_slab_t *slab = pool_acquire(CLASS_64);
    assert_non_null(slab);
    assert_int_equal(fake_os_calls(FAKE_MAP_AT), 2);
    pool_release(slab);
}

static void pool_acquire_with_debug_option_traces_each_stage(void **state) {
    (void)state;
    hak_options.ss_acquire_debug = 1;
    fake_os_capture(true);
    hak_slab_t *a = pool_acquire(CLASS_64);
    hak_slab_t *b = pool_acquire(CLASS_64);
    pool_release(a);
    a = pool_acquire(CLASS_64);
    char expected[512];
    void *base = hak_slab_superslab(a)->base;
    snprintf(expected, sizeof expected,
             "[SP_ACQUIRE_STAGE3] class=3 new SuperSlab (ss=%p from_lru=0)\n"
             "[SP_ACQUIRE_STAGE2] class=3 using UNUSED slot (ss=%p slab=1)\n"
             "[SP_ACQUIRE_STAGE1] class=3 reusing EMPTY slot (ss=%p slab=0)\n",
             base, base, base);
    assert_string_equal(fake_os.text, expected);
    pool_release(a);
    pool_release(b);
}

#define CASE(name) cmocka_unit_test_setup(name, pool_case_set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(pool_acquire_first_maps_superslab),
        CASE(pool_acquire_second_takes_unused_slot_of_same_superslab),
        CASE(pool_acquire_after_release_reuses_empty_slot_of_class),
        CASE(pool_acquire_of_class_takes_last_released_first),
        CASE(pool_acquire_other_class_takes_empty_slot_before_mapping),
        CASE(pool_acquire_with_full_superslab_maps_another),
        CASE(pool_acquire_prefers_fullest_superslab),
        CASE(pool_acquire_takes_resident_memory_first),
        CASE(pool_acquire_sparse_takes_no_resident_memory_of_others),
        CASE(pool_acquire_of_a_grown_heap_asks_for_huge_pages),
        CASE(pool_acquire_does_without_huge_pages_after_a_dear_one),
        CASE(pool_dear_huge_page_counts_once_for_all_who_asked_meanwhile),
        CASE(pool_trim_of_a_part_declines_huge_pages),
        CASE(pool_shed_gives_back_the_oldest),
        CASE(pool_acquire_wide_classes_take_aligned_runs),
        CASE(pool_acquire_wide_without_run_maps_superslab),
        CASE(pool_acquire_wide_joins_empty_slots_of_narrow_classes),
        CASE(pool_acquire_narrow_cuts_empty_wide_slab),
        CASE(pool_acquire_without_memory_is_null),
        CASE(pool_acquire_without_memory_still_serves_what_is_there),
        CASE(pool_acquire_taken_addresses_are_stepped_over),
        CASE(pool_acquire_with_debug_option_traces_each_stage),
    };
    return cmocka_run_group_tests(tests, pool_case_set_up_group, NULL);
}
