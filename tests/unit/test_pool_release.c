/* test_pool_release.c: the LRU, the bound, decay, trim, and a system that refuses. */
#include "pool_case.h"

/* Acquires count SuperSlabs' worth of slabs of CLASS_64. */
static hak_slab_t *slabs[16][HAK_SLOTS];

static void fill_superslabs(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        pool_fill_superslab(slabs[i], CLASS_64);
    }
}

/* Uses bytes of each slab of the SuperSlab and releases them all. */
static void release_superslab(unsigned which, size_t bytes) {
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        pool_release_used(slabs[which][i], bytes);
    }
}

static void pool_release_last_slab_enters_lru(void **state) {
    (void)state;
    hak_slab_t *a = pool_acquire(CLASS_64);
    hak_slab_t *b = pool_acquire(CLASS_64);
    pool_release(a);
    assert_int_equal(pool_gauges().superslabs_in_lru, 0);
    pool_release(b);
    assert_int_equal(pool_gauges().superslabs_in_lru, 1);
    assert_int_equal(pool_gauges().superslabs_now, 1);
    assert_int_equal(pool_gauges().slots_empty, 2);
    assert_int_equal(pool_gauges().retained_bytes, 2 * HAK_SLOT_BYTES);
}

static void pool_acquire_from_lru_maps_nothing(void **state) {
    (void)state;
    hak_slab_t *slab = pool_acquire(CLASS_64);
    char *base = hak_slab_base(slab);
    base[0] = 'h';
    pool_release(slab);
    slab = pool_acquire(CLASS_80);
    assert_int_equal(hak_counters.superslabs_mapped, 1);
    assert_int_equal(hak_counters.superslabs_from_lru, 1);
    assert_int_equal(hak_counters.stage3, 2);
    assert_int_equal(pool_gauges().superslabs_in_lru, 0);
    assert_ptr_equal(hak_slab_base(slab), base); /* resident memory first */
    assert_int_equal(base[0], 'h');
    pool_release(slab);
}

static void pool_acquire_from_lru_leaves_other_slots_empty(void **state) {
    (void)state;
    hak_slab_t *wide = pool_acquire(CLASS_32K);
    hak_slab_t *narrow = pool_acquire(CLASS_64);
    pool_release(wide);
    pool_release(narrow);
    hak_slab_t *slab = pool_acquire(CLASS_64);
    assert_int_equal(pool_gauges().slots_empty, 4);
    assert_int_equal(pool_gauges().retained_bytes, 4 * HAK_SLOT_BYTES);
    pool_release(slab);
}

static void pool_release_beyond_lru_max_unmaps_oldest(void **state) {
    (void)state;
    hak_options.lru_max = 2;
    fill_superslabs(3);
    hak_superslab_t *first = hak_slab_superslab(slabs[0][0]);
    char *base = first->base;
    for (unsigned i = 0; i < 3; i++) {
        release_superslab(i, 64);
    }
    assert_int_equal(pool_gauges().superslabs_in_lru, 2);
    assert_int_equal(pool_gauges().superslabs_now, 2);
    assert_true(pool_gauges().superslabs_peak >= 3);
    assert_int_equal(hak_counters.superslabs_returned, 1);
    assert_int_equal(fake_os_calls(FAKE_UNMAP), 1);
    assert_false(first->mapped);
    assert_int_equal(hak_map_tag(base), HAK_TAG_RETURNED);
}

static void pool_release_with_lru_max_0_unmaps_at_once(void **state) {
    (void)state;
    hak_options.lru_max = 0;
    hak_slab_t *slab = pool_acquire(CLASS_64);
    pool_release_used(slab, 64);
    assert_int_equal(pool_gauges().superslabs_now, 0);
    assert_int_equal(hak_counters.superslabs_returned, 1);
}

static void pool_release_beyond_bound_purges_oldest_first(void **state) {
    (void)state;
    hak_options.retain = 1; /* 16 slots */
    hak_options.retain_share = 0;
    fill_superslabs(1);
    for (unsigned i = 0; i < 16; i++) {
        pool_release(slabs[0][i]);
    }
    assert_int_equal(hak_counters.purge_calls, 0);
    assert_int_equal(pool_gauges().retained_bytes, MIB);
    pool_release(slabs[0][16]);
    assert_int_equal(hak_counters.purge_calls, 1);
    assert_int_equal(hak_counters.purged_kib, 64);
    assert_int_equal(slabs[0][0]->state, HAK_SLOT_UNUSED);
    assert_int_equal(hak_map_tag(hak_slab_base(slabs[0][0])), HAK_TAG_RETURNED);
    assert_int_equal(slabs[0][1]->state, HAK_SLOT_EMPTY);
    assert_int_equal(pool_gauges().retained_bytes, MIB);
    for (unsigned i = 17; i < HAK_SLOTS; i++) {
        pool_release(slabs[0][i]);
        assert_true(pool_gauges().retained_bytes <= pool_gauges().bound_bytes);
    }
}

static void pool_release_purge_gives_back_that_slot_only(void **state) {
    (void)state;
    hak_options.retain = 0;
    hak_options.retain_share = 0;
    hak_slab_t *a = pool_acquire(CLASS_64);
    hak_slab_t *b = pool_acquire(CLASS_64);
    hak_slab_t *c = pool_acquire(CLASS_64);
    memset(hak_slab_base(a), 1, HAK_SLOT_BYTES);
    memset(hak_slab_base(b), 2, HAK_SLOT_BYTES);
    memset(hak_slab_base(c), 3, HAK_SLOT_BYTES);
    pool_release(b);
    assert_int_equal(hak_slab_base(a)[HAK_SLOT_BYTES - 1], 1);
    assert_int_equal(hak_slab_base(b)[0], 0);
    assert_int_equal(hak_slab_base(b)[HAK_SLOT_BYTES - 1], 0);
    assert_int_equal(hak_slab_base(c)[0], 3);
    pool_release(a);
    pool_release(c);
}

static void pool_release_partly_used_slab_counts_used_pages(void **state) {
    (void)state;
    hak_slab_t *a = pool_acquire(CLASS_64);
    hak_slab_t *b = pool_acquire(CLASS_32K);
    pool_release_used(a, 3 * 4096 + 64);
    assert_int_equal(pool_gauges().retained_bytes, 4 * 4096);
    pool_release_used(b, 3 * 32768);
    assert_int_equal(pool_gauges().retained_bytes, 4 * 4096 + 3 * 32768);
}

static void pool_release_live_share_widens_bound(void **state) {
    (void)state;
    hak_options.retain = 0;
    hak_options.retain_share = 50;
    fill_superslabs(2);
    for (unsigned i = 0; i < 16; i++) {
        pool_release(slabs[0][i]);
    }
    assert_int_equal(hak_counters.purge_calls, 0); /* 16 kept, 48 live */
    for (unsigned i = 16; i < HAK_SLOTS; i++) {
        pool_release(slabs[0][i]);
        assert_true(pool_gauges().retained_bytes <= pool_gauges().bound_bytes);
    }
    assert_true(hak_counters.purge_calls + hak_counters.superslabs_returned != 0);
    release_superslab(1, 64);
}

static void pool_acquire_of_purged_memory_soon_grows_bound(void **state) {
    (void)state;
    hak_options.retain = 1;
    hak_options.retain_share = 0;
    fill_superslabs(1);
    for (unsigned i = 0; i < 20; i++) {
        pool_release(slabs[0][i]);
    }
    assert_int_equal(hak_counters.purge_calls, 4);
    size_t before = pool_gauges().bound_bytes;
    for (unsigned i = 0; i < 20; i++) {
        slabs[0][i] = pool_acquire(CLASS_64);
    }
    assert_int_equal(pool_gauges().bound_bytes, before + 2 * 4 * HAK_SLOT_BYTES);
    release_superslab(0, 64);
}

static void pool_acquire_of_purged_memory_late_keeps_bound(void **state) {
    (void)state;
    hak_options.retain = 1;
    hak_options.retain_share = 0;
    fill_superslabs(1);
    for (unsigned i = 0; i < 20; i++) {
        pool_release(slabs[0][i]);
    }
    size_t before = pool_gauges().bound_bytes;
    fake_os.now_ms += hak_options.decay_ms + 1;
    for (unsigned i = 0; i < 20; i++) {
        slabs[0][i] = pool_acquire(CLASS_64);
    }
    assert_int_equal(pool_gauges().bound_bytes, before);
    release_superslab(0, 64);
}

static void pool_release_after_decay_time_purges_what_is_old(void **state) {
    (void)state;
    hak_slab_t *keep = pool_acquire(CLASS_64);
    hak_slab_t *a = pool_acquire(CLASS_64);
    hak_slab_t *b = pool_acquire(CLASS_64);
    hak_slab_t *c = pool_acquire(CLASS_64);
    pool_release(a);
    fake_os.now_ms += hak_options.decay_ms;
    pool_release(b);
    assert_int_equal(a->state, HAK_SLOT_EMPTY); /* not older than the decay time, yet */
    fake_os.now_ms += 1;
    pool_release(c);
    assert_int_equal(a->state, HAK_SLOT_UNUSED);
    assert_int_equal(b->state, HAK_SLOT_EMPTY);
    assert_int_equal(hak_counters.purge_calls, 1);
    pool_release(keep);
}

static void pool_release_after_decay_time_unmaps_old_superslab(void **state) {
    (void)state;
    fill_superslabs(2);
    release_superslab(0, 64);
    assert_int_equal(pool_gauges().superslabs_in_lru, 1);
    fake_os.now_ms += hak_options.decay_ms + 1;
    pool_release(slabs[1][0]);
    assert_int_equal(pool_gauges().superslabs_in_lru, 0);
    assert_int_equal(hak_counters.superslabs_returned, 1);
    for (unsigned i = 1; i < HAK_SLOTS; i++) {
        pool_release(slabs[1][i]);
    }
}

static void pool_trim_gives_back_all_but_active(void **state) {
    (void)state;
    fill_superslabs(2);
    release_superslab(0, 64);
    for (unsigned i = 1; i < HAK_SLOTS; i++) {
        pool_release_used(slabs[1][i], 64);
    }
    assert_true(hak_pool_trim());
    assert_true(hak_pool_is_valid());
    assert_int_equal(pool_gauges().retained_bytes, 0);
    assert_int_equal(pool_gauges().slots_empty, 0);
    assert_int_equal(pool_gauges().slots_active, 1);
    assert_int_equal(pool_gauges().superslabs_now, 1);
    assert_false(hak_pool_trim()); /* nothing is left */
    pool_release(slabs[1][0]);
}

static void pool_release_unmap_refused_keeps_superslab_for_reuse(void **state) {
    (void)state;
    hak_options.lru_max = 0;
    fake_os_fail(FAKE_UNMAP, 1, true);
    hak_slab_t *slab = pool_acquire(CLASS_64);
    memset(hak_slab_base(slab), 1, HAK_SLOT_BYTES);
    pool_release(slab);
    assert_int_equal(pool_gauges().superslabs_now, 1);
    assert_int_equal(pool_gauges().superslabs_in_lru, 1);
    assert_int_equal(pool_gauges().retained_bytes, 0); /* purged in its stead */
    assert_int_equal(fake_os_calls(FAKE_PURGE), 1);
    assert_int_equal(hak_slab_base(slab)[5], 0);
    hak_slab_t *again = pool_acquire(CLASS_32K);
    assert_ptr_equal(hak_slab_superslab(again), hak_slab_superslab(slab));
    assert_int_equal(hak_counters.superslabs_mapped, 1);
    fake_os_reset();
    pool_release(again);
    assert_int_equal(fake_os_calls(FAKE_UNMAP), 0); /* not offered again at once */
    assert_int_equal(pool_gauges().superslabs_now, 1);
    pool_release(pool_acquire(CLASS_32K));
    assert_int_equal(pool_gauges().superslabs_now, 0);
    assert_int_equal(fake_os_calls(FAKE_UNMAP), 1);
}

static void pool_trim_unmap_refused_ends(void **state) {
    (void)state;
    fill_superslabs(3);
    for (unsigned i = 0; i < 3; i++) {
        release_superslab(i, 64);
    }
    fake_os_fail(FAKE_UNMAP, 1, true);
    hak_pool_trim();
    assert_true(hak_pool_is_valid());
    assert_int_equal(pool_gauges().superslabs_now, 3);
    assert_int_equal(pool_gauges().retained_bytes, 0);
    fake_os_reset();
    assert_true(hak_pool_trim());
    assert_int_equal(pool_gauges().superslabs_now, 0);
}

static void pool_release_purge_refused_is_counted_and_not_repeated(void **state) {
    (void)state;
    hak_options.retain = 0;
    hak_options.retain_share = 0;
    hak_slab_t *keep = pool_acquire(CLASS_64);
    hak_slab_t *slab = pool_acquire(CLASS_64);
    fake_os_fail(FAKE_PURGE, 1, true);
    pool_release(slab);
    assert_int_equal(hak_counters.purge_failures, 1);
    assert_int_equal(hak_counters.purged_kib, 0);
    assert_int_equal(fake_os_calls(FAKE_PURGE), 1);
    assert_int_equal(pool_gauges().retained_bytes, 0);
    assert_int_equal(slab->state, HAK_SLOT_UNUSED);
    slab = pool_acquire(CLASS_64);
    assert_non_null(slab);
    pool_release_used(slab, 0);
    pool_release_used(keep, 0);
}

static void pool_prewarm_maps_ahead_of_need(void **state) {
    (void)state;
    hak_pool_prewarm(3);
    assert_true(hak_pool_is_valid());
    assert_int_equal(hak_counters.superslabs_mapped, 3);
    assert_int_equal(pool_gauges().superslabs_in_lru, 3);
    assert_int_equal(pool_gauges().retained_bytes, 0);
    fake_os_fail(FAKE_ANY, 1, true);
    fill_superslabs(3);
    assert_null(pool_acquire(CLASS_64));
    fake_os_reset();
    for (unsigned i = 0; i < 3; i++) {
        release_superslab(i, 64);
    }
}

static void pool_prewarm_without_memory_maps_what_it_can(void **state) {
    (void)state;
    fake_os_fail(FAKE_MAP_AT, 3, true);
    hak_pool_prewarm(5);
    assert_true(hak_pool_is_valid());
    assert_int_equal(pool_gauges().superslabs_now, 2);
}

static void pool_release_above_clean_superslabs_keeps_bound(void **state) {
    (void)state;
    hak_options.retain_share = 0;
    hak_pool_prewarm(6);
    fill_superslabs(4);
    for (unsigned i = 0; i < 4; i++) {
        release_superslab(i, HAK_SLOT_BYTES);
    }
    assert_true(pool_gauges().retained_bytes <= pool_gauges().bound_bytes);
}

static void each_slab_counts(hak_slab_t *slab, void *context) {
    ((unsigned *)context)[slab->cls]++;
}

static void pool_each_slab_visits_active_ones_once(void **state) {
    (void)state;
    unsigned seen[HAK_CLASSES] = {0};
    hak_slab_t *a = pool_acquire(CLASS_64);
    hak_slab_t *b = pool_acquire(CLASS_32K);
    hak_slab_t *c = pool_acquire(CLASS_64);
    pool_release(c);
    hak_pool_each_slab(each_slab_counts, seen);
    assert_int_equal(seen[CLASS_64], 1);
    assert_int_equal(seen[CLASS_32K], 1);
    pool_release(a);
    pool_release(b);
}

static void pool_release_with_debug_option_traces(void **state) {
    (void)state;
    hak_slab_t *a = pool_acquire(CLASS_64);
    hak_slab_t *b = pool_acquire(CLASS_64);
    hak_options.ss_free_debug = 1;
    fake_os_capture(true);
    pool_release(b);
    char expected[256];
    snprintf(expected, sizeof expected,
             "[SP_SLOT_RELEASE] ss=%p slab_idx=1 class=3 used=0 (marking EMPTY)\n"
             "[SP_SLOT_FREELIST] class=3 pushed slot count=1 active_slots=1/32\n",
             (void *)hak_slab_superslab(b)->base);
    assert_string_equal(fake_os.text, expected);
    pool_release(a);
}

#define CASE(name) cmocka_unit_test_setup(name, pool_case_set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(pool_release_last_slab_enters_lru),
        CASE(pool_acquire_from_lru_maps_nothing),
        CASE(pool_acquire_from_lru_leaves_other_slots_empty),
        CASE(pool_release_beyond_lru_max_unmaps_oldest),
        CASE(pool_release_with_lru_max_0_unmaps_at_once),
        CASE(pool_release_beyond_bound_purges_oldest_first),
        CASE(pool_release_purge_gives_back_that_slot_only),
        CASE(pool_release_partly_used_slab_counts_used_pages),
        CASE(pool_release_live_share_widens_bound),
        CASE(pool_acquire_of_purged_memory_soon_grows_bound),
        CASE(pool_acquire_of_purged_memory_late_keeps_bound),
        CASE(pool_release_after_decay_time_purges_what_is_old),
        CASE(pool_release_after_decay_time_unmaps_old_superslab),
        CASE(pool_trim_gives_back_all_but_active),
        CASE(pool_release_unmap_refused_keeps_superslab_for_reuse),
        CASE(pool_trim_unmap_refused_ends),
        CASE(pool_release_purge_refused_is_counted_and_not_repeated),
        CASE(pool_prewarm_maps_ahead_of_need),
        CASE(pool_prewarm_without_memory_maps_what_it_can),
        CASE(pool_release_above_clean_superslabs_keeps_bound),
        CASE(pool_each_slab_visits_active_ones_once),
        CASE(pool_release_with_debug_option_traces),
    };
    return cmocka_run_group_tests(tests, pool_case_set_up_group, NULL);
}
