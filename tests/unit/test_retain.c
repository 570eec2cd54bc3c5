/* test_retain.c: the bound on freed memory, and how it moves with time. */
#include "retain.h"

#include "unit.h"

#define MIB ((size_t)1 << 20)

static int set_up(void **state) {
    (void)state;
    hak_options.retain = 4;
    hak_options.retain_share = 10;
    hak_options.decay_ms = 1000;
    return 0;
}

static void retain_bound_with_little_live_is_the_minimum(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 0};
    assert_int_equal(hak_retain_bound(&r), 4 * MIB);
    r.live_bytes = 30 * MIB;
    assert_int_equal(hak_retain_bound(&r), 4 * MIB);
}

static void retain_bound_with_much_live_is_the_share(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 1000 * MIB};
    assert_int_equal(hak_retain_bound(&r), 100 * MIB);
    r.boost_bytes = 7 * MIB;
    assert_int_equal(hak_retain_bound(&r), 107 * MIB);
}

static void retain_bound_of_all_there_can_be_does_not_overflow(void **state) {
    (void)state;
    hak_options.retain_share = 100;
    hak_retain_t r = {.live_bytes = (size_t)1 << 47};
    assert_true(hak_retain_bound(&r) <= r.live_bytes);
    assert_true(hak_retain_bound(&r) > r.live_bytes - 200);
}

static void retain_excess_at_the_bound_is_0(void **state) {
    (void)state;
    hak_retain_t r = {.retained_bytes = 4 * MIB};
    assert_int_equal(hak_retain_excess(&r, 5), 0);
    r.retained_bytes += 4096;
    assert_int_equal(hak_retain_excess(&r, 5), 4096);
}

static void retain_excess_with_options_0_is_everything(void **state) {
    (void)state;
    hak_options.retain = 0;
    hak_options.retain_share = 0;
    hak_retain_t r = {.retained_bytes = 12345, .live_bytes = 100 * MIB};
    assert_int_equal(hak_retain_excess(&r, 5), 12345);
}

static void retain_wanted_back_in_time_grows_the_boost(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 100 * MIB};
    hak_retain_wanted_back(&r, 2 * MIB, 2 * MIB, 5000, 6000);
    assert_int_equal(r.boost_bytes, 2 * 2 * MIB);
    assert_int_equal(r.boost_ms, 6000);
    hak_retain_wanted_back(&r, 3 * MIB, 3 * MIB, 6000, 6500);
    assert_int_equal(r.boost_bytes, 2 * (2 + 3) * MIB);
}

static void retain_wanted_back_too_late_changes_nothing(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 100 * MIB};
    hak_retain_wanted_back(&r, 2 * MIB, 2 * MIB, 5000, 6001);
    assert_int_equal(r.boost_bytes, 0);
}

static void retain_wanted_back_again_and_again_is_bounded(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 100 * MIB};
    for (int i = 0; i < 100; i++) {
        hak_retain_wanted_back(&r, 2 * MIB, 2 * MIB, 5000, 5001);
    }
    assert_int_equal(r.boost_bytes, 25 * MIB + 4 * MIB);
}

static void retain_excess_after_the_decay_time_halves_the_boost(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 100 * MIB};
    hak_retain_wanted_back(&r, 4 * MIB, 4 * MIB, 5000, 5000);
    (void)hak_retain_excess(&r, 6000);
    assert_int_equal(r.boost_bytes, 8 * MIB); /* not older than the decay time, yet */
    (void)hak_retain_excess(&r, 6001);
    assert_int_equal(r.boost_bytes, 4 * MIB);
    (void)hak_retain_excess(&r, 6002); /* once for each time that passes */
    assert_int_equal(r.boost_bytes, 4 * MIB);
    (void)hak_retain_excess(&r, 7002);
    assert_int_equal(r.boost_bytes, 2 * MIB);
}

static void retain_boost_halves_once_for_each_decay_time(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 100 * MIB, .boost_bytes = 16 * MIB, .boost_ms = 1000};
    (void)hak_retain_excess(&r, 4500);
    assert_int_equal(r.boost_bytes, 2 * MIB);
    r = (hak_retain_t){.live_bytes = 100 * MIB, .boost_bytes = 16 * MIB, .boost_ms = 1000};
    (void)hak_retain_excess(&r, 1000 + 3600 * 1000);
    assert_int_equal(r.boost_bytes, 0);
}

/* Another thread may have read the clock a tick later. */
static void retain_excess_a_tick_earlier_keeps_the_boost(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 400 * MIB, .boost_bytes = 64 * MIB, .boost_ms = 1004};
    (void)hak_retain_excess(&r, 1000);
    assert_int_equal(r.boost_bytes, 64 * MIB);
}

/* What another tier keeps is given back by that tier. */
static void retain_own_excess_leaves_out_what_others_keep(void **state) {
    (void)state;
    hak_retain_t r = {.retained_bytes = 10 * MIB};
    hak_share_t share = {.retained_bytes = 7 * MIB};
    assert_int_equal(hak_retain_own_excess(&r, &share, 5), 3 * MIB);
    share.retained_bytes = 2 * MIB;
    assert_int_equal(hak_retain_own_excess(&r, &share, 5), 0);
    share.retained_bytes = 10 * MIB;
    assert_int_equal(hak_retain_own_excess(&r, &share, 5), 6 * MIB);
}

static void retain_boost_decays_to_nothing(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 100 * MIB};
    uint32_t now = 1000;
    hak_retain_wanted_back(&r, 8 * MIB, 8 * MIB, now, now);
    for (int i = 0; i < 13; i++) {
        now += 1001;
        (void)hak_retain_excess(&r, now);
    }
    assert_int_equal(r.boost_bytes, 0);
}

static void retain_over_peak_tells_what_kept_memory_can_make_up_for(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 10 * MIB};
    assert_int_equal(hak_retain_over_peak(&r), 0); /* nothing is kept: the peak rises */
    assert_int_equal(r.peak_bytes, 10 * MIB);
    r.live_bytes = 7 * MIB;
    r.retained_bytes = 3 * MIB;
    assert_int_equal(hak_retain_over_peak(&r), 0);
    r.live_bytes = 9 * MIB;
    assert_int_equal(hak_retain_over_peak(&r), 2 * MIB);
    assert_int_equal(r.peak_bytes, 10 * MIB);
    r.live_bytes = 20 * MIB; /* more than can go */
    assert_int_equal(hak_retain_over_peak(&r), 3 * MIB);
    assert_int_equal(r.peak_bytes, 20 * MIB);
}

static void retain_over_peak_leaves_the_boost(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 10 * MIB, .retained_bytes = 4 * MIB, .peak_bytes = 10 * MIB,
                      .boost_bytes = 3 * MIB};
    assert_int_equal(hak_retain_over_peak(&r), MIB);
    assert_int_equal(r.peak_bytes, 10 * MIB);
}

static void retain_over_peak_leaves_a_little_of_what_was_wanted_back(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 100 * MIB, .retained_bytes = 4 * MIB, .peak_bytes = 10 * MIB};
    hak_retain_t pulsing = r;
    pulsing.boost_bytes = 20 * MIB;
    assert_int_equal(hak_retain_over_peak(&r), 4 * MIB);
    assert_int_equal(hak_retain_over_peak(&pulsing), 4 * MIB - HAK_SPARE_BYTES);
}

/* As far as live and kept memory are below their peak; boost and a quarter of live at most. */
static void retain_bound_at_a_low_of_a_program_that_pulses_is_wider(void **state) {
    (void)state;
    static const struct {
        size_t live, boost, wider;
    } cases[] = {{200, 50, 0}, {180, 50, 2}, {160, 50, 24}, {100, 50, 25}, {100, 50, 25},
                 {100, 9, 9},  {40, 50, 10}, {0, 50, 0},    {220, 50, 0},  {100, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hak_retain_t r = {.live_bytes = cases[i].live * MIB, .boost_bytes = cases[i].boost * MIB};
        size_t bound = hak_retain_bound(&r);
        r.peak_bytes = 200 * MIB;
        size_t wider = hak_retain_bound(&r) - bound;
        assert_in_range(wider, cases[i].wider * MIB, cases[i].wider * MIB + 99);
    }
}

static void retain_boost_falls_with_what_is_live(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 100 * MIB};
    for (int i = 0; i < 100; i++) {
        hak_retain_wanted_back(&r, MIB, MIB, 5000, 5001);
    }
    r.live_bytes = 0;
    assert_int_equal(hak_retain_bound(&r), (4 + HAK_PULSE_RETAINS * 4 + 4) * MIB);
    r.live_bytes = 100 * MIB;
    assert_int_equal(hak_retain_bound(&r), (10 + 25 + 4) * MIB);
}

static void retain_single_large_block_may_pulse(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 0};
    hak_retain_wanted_back(&r, 20 * MIB, 20 * MIB, 5000, 5001);
    assert_true(hak_retain_bound(&r) >= 20 * MIB);
    hak_retain_wanted_back(&r, 1000 * MIB, 1000 * MIB, 5000, 5001);
    assert_true(hak_retain_bound(&r) <= HAK_PULSE_MAX_BYTES + 8 * MIB);
    (void)hak_retain_excess(&r, 6100);
    assert_true(hak_retain_bound(&r) <= 16 * MIB);
    (void)hak_retain_excess(&r, 56100);
    assert_int_equal(hak_retain_bound(&r), 4 * MIB);
}

static void retain_wide_blocks_that_pulse_may_keep_several(void **state) {
    (void)state;
    hak_retain_t r = {.live_bytes = 240 * MIB};
    for (int i = 0; i < 100; i++) {
        hak_retain_wanted_back(&r, 20 * MIB, 20 * MIB, 5000, 5001);
    }
    assert_int_equal(hak_retain_boost(&r), (HAK_PULSES_KEPT * 20 + 4) * MIB);
    r.live_bytes = 50 * MIB; /* never more than is live */
    assert_int_equal(hak_retain_boost(&r), (50 + 4) * MIB);
    r.live_bytes = 0;
    assert_int_equal(hak_retain_boost(&r), (20 + 4) * MIB);
}

static void retain_clock_that_wraps_is_understood(void **state) {
    (void)state;
    uint32_t before = UINT32_MAX - 100;
    assert_false(hak_retain_is_older(before, before));
    assert_false(hak_retain_is_older(before, before + 1000)); /* 899 */
    assert_true(hak_retain_is_older(before, before + 1001));
    hak_retain_t r = {.live_bytes = 100 * MIB};
    hak_retain_wanted_back(&r, MIB, MIB, before, before + 500);
    assert_int_equal(r.boost_bytes, 2 * MIB);
    (void)hak_retain_excess(&r, before + 1400);
    assert_int_equal(r.boost_bytes, 2 * MIB);
    (void)hak_retain_excess(&r, before + 1501);
    assert_int_equal(r.boost_bytes, 1 * MIB);
}

static void retain_decay_0_is_over_after_a_millisecond(void **state) {
    (void)state;
    hak_options.decay_ms = 0;
    assert_false(hak_retain_is_older(7, 7));
    assert_true(hak_retain_is_older(7, 8));
}

#define CASE(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(retain_bound_with_little_live_is_the_minimum),
        CASE(retain_bound_with_much_live_is_the_share),
        CASE(retain_bound_of_all_there_can_be_does_not_overflow),
        CASE(retain_excess_at_the_bound_is_0),
        CASE(retain_excess_with_options_0_is_everything),
        CASE(retain_wanted_back_in_time_grows_the_boost),
        CASE(retain_wanted_back_too_late_changes_nothing),
        CASE(retain_wanted_back_again_and_again_is_bounded),
        CASE(retain_excess_after_the_decay_time_halves_the_boost),
        CASE(retain_boost_halves_once_for_each_decay_time),
        CASE(retain_excess_a_tick_earlier_keeps_the_boost),
        CASE(retain_own_excess_leaves_out_what_others_keep),
        CASE(retain_boost_decays_to_nothing),
        CASE(retain_over_peak_tells_what_kept_memory_can_make_up_for),
        CASE(retain_over_peak_leaves_the_boost),
        CASE(retain_over_peak_leaves_a_little_of_what_was_wanted_back),
        CASE(retain_bound_at_a_low_of_a_program_that_pulses_is_wider),
        CASE(retain_boost_falls_with_what_is_live),
        CASE(retain_single_large_block_may_pulse),
        CASE(retain_wide_blocks_that_pulse_may_keep_several),
        CASE(retain_clock_that_wraps_is_understood),
        CASE(retain_decay_0_is_over_after_a_millisecond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
