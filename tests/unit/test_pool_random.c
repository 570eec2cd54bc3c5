/* test_pool_random.c: acquire and release at random against a model that knows what is live.
 *
 * Each live slab has its number written into the first word of each of its pages that count as
 * carved; a slab given out twice, or memory given back under a live slab, changes one of them.
 */
#include "pool_case.h"

#define LIVE_MAX 200
#define PAGE 4096

typedef struct {
    hak_slab_t *slab;
    unsigned cls;
    size_t used; /* bytes */
    uint64_t number;
} live_t;

static live_t live[LIVE_MAX];
static size_t live_count, live_slots;
static uint64_t number;

static void write_pages(const live_t *l) {
    for (size_t at = 0; at < l->used; at += PAGE) {
        *(uint64_t *)(void *)(hak_slab_base(l->slab) + at) = l->number;
    }
}

static void check_pages(const live_t *l) {
    for (size_t at = 0; at < l->used; at += PAGE) {
        assert_int_equal(*(uint64_t *)(void *)(hak_slab_base(l->slab) + at), l->number);
    }
}

static void check_slab(const hak_slab_t *slab, unsigned cls) {
    unsigned slots = hak_class_info[cls].slots;
    assert_int_equal(slab->cls, cls);
    assert_int_equal(slab->slots, slots);
    assert_int_equal(slab->index % slots, 0);
    assert_null(slab->owner);
    assert_null(slab->free);
    assert_int_equal(slab->free_count + slab->carved, 0);
    for (unsigned i = 0; i < slots; i++) {
        const char *slot = hak_slab_base(slab) + i * HAK_SLOT_BYTES;
        assert_int_equal(hak_map_tag(slot), hak_tag_of_class(cls));
        assert_ptr_equal(hak_slab_of(slot, cls), slab);
    }
}

static void acquire(unsigned cls, uint64_t *seed) {
    hak_slab_t *slab = hak_pool_acquire(cls, false);
    assert_non_null(slab);
    check_slab(slab, cls);
    live_t *l = &live[live_count++];
    size_t capacity = hak_class_info[cls].capacity;
    size_t blocks = unit_below(seed, 3) == 0 ? capacity : unit_below(seed, capacity + 1);
    *l = (live_t){slab, cls, blocks * hak_class_stride(cls), ++number};
    live_slots += slab->slots;
    write_pages(l);
}

static void release(size_t which) {
    live_t l = live[which];
    check_pages(&l);
    live_slots -= l.slab->slots;
    uint16_t count = (uint16_t)(l.used / hak_class_stride(l.cls));
    hak_store_relaxed(&l.slab->carved, count);
    l.slab->free_count = count;
    hak_pool_release(l.slab);
    live[which] = live[--live_count];
}

/* Few classes most of the time, so that stage 1 has its chance; wide ones in between. */
static unsigned random_class(uint64_t *seed) {
    size_t dice = unit_below(seed, 8);
    return dice < 4   ? (unsigned)unit_below(seed, 4)
           : dice < 6 ? (unsigned)unit_below(seed, 56)
                      : 56 + (unsigned)unit_below(seed, 16);
}

static void check_gauges(void) {
    hak_pool_gauges_t gauges = pool_gauges();
    assert_int_equal(gauges.slots_active, live_slots);
    assert_int_equal(gauges.slots_active + gauges.slots_empty + gauges.slots_unused,
                     gauges.superslabs_now * HAK_SLOTS);
    assert_int_equal(gauges.superslabs_now,
                     hak_counters.superslabs_mapped - hak_counters.superslabs_returned);
    assert_true(gauges.retained_bytes <= gauges.slots_empty * HAK_SLOT_BYTES);
}

/* The number of live slabs swings, so that SuperSlabs come and go. */
static void run(uint64_t seed, unsigned steps) {
    size_t goal = LIVE_MAX / 2;
    for (unsigned step = 0; step < steps; step++) {
        if (step % 1000 == 0) {
            goal = unit_below(&seed, LIVE_MAX);
        }
        bool more = live_count == 0 || (live_count < LIVE_MAX &&
                                        unit_below(&seed, 100) < (live_count < goal ? 70 : 30));
        if (more) {
            acquire(random_class(&seed), &seed);
        } else {
            release(unit_below(&seed, live_count));
        }
        if (step % 64 == 0) {
            fake_os.now_ms += (uint32_t)unit_below(&seed, 100);
            check_gauges();
        }
        if (step % 10000 == 0) {
            hak_pool_trim();
        }
    }
    while (live_count > 0) {
        release(live_count - 1);
    }
    check_gauges();
    hak_pool_trim();
    assert_true(hak_pool_is_valid());
    assert_int_equal(pool_gauges().superslabs_now, 0);
    assert_int_equal(pool_gauges().retained_bytes, 0);
}

static void pool_random_100000_steps_agree_with_model(void **state) {
    (void)state;
    run(20240601, 100000);
    assert_true(hak_counters.stage1 != 0);
    assert_true(hak_counters.stage2 != 0);
    assert_true(hak_counters.superslabs_from_lru != 0);
    assert_true(hak_counters.superslabs_returned != 0);
}

static void pool_random_with_tight_bound_agrees_with_model(void **state) {
    (void)state;
    hak_options.retain = 0;
    hak_options.retain_share = 1;
    hak_options.lru_max = 1;
    run(77, 20000);
    assert_true(hak_counters.purge_calls != 0);
}

static void pool_random_unmap_refused_agrees_with_model(void **state) {
    (void)state;
    fake_os_fail(FAKE_UNMAP, 1, true);
    uint64_t seed = 99;
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 100; i++) {
            acquire(random_class(&seed), &seed);
        }
        while (live_count > 0) {
            release(unit_below(&seed, live_count));
        }
        check_gauges();
    }
    assert_int_equal(hak_counters.superslabs_returned, 0);
    assert_true(fake_os_calls(FAKE_UNMAP) > 0);
}

static void pool_random_purge_refused_agrees_with_model(void **state) {
    (void)state;
    hak_options.retain = 1;
    fake_os_fail(FAKE_PURGE, 1, true);
    run(5, 20000);
    assert_int_equal(hak_counters.purge_calls, hak_counters.purge_failures);
}

#define CASE(name) cmocka_unit_test_setup(name, pool_case_set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(pool_random_100000_steps_agree_with_model),
        CASE(pool_random_with_tight_bound_agrees_with_model),
        CASE(pool_random_unmap_refused_agrees_with_model),
        CASE(pool_random_purge_refused_agrees_with_model),
    };
    return cmocka_run_group_tests(tests, pool_case_set_up_group, NULL);
}
