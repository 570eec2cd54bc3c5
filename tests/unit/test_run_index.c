/* test_run_index.c: bins of free runs against a model that looks at all of them. */
#include "run_index.h"

#define RUNS 600

#include "run_model.h"

static hak_run_index_t bins;

static void check_sums(void) {
    size_t pages = 0, dirty = 0;
    assert_true(hak_run_index_is_valid(&bins, &pages, &dirty));
    model_check_sums(pages, dirty);
}

/* All powers of two are as likely, so that every bin has its turn. */
static size_t some_pages(uint64_t *seed, unsigned most_bits) {
    size_t pages = (size_t)1 << unit_below(seed, most_bits);
    return pages + unit_below(seed, pages);
}

static void toggle(size_t i, uint64_t *seed, unsigned most_bits) {
    if (listed[i]) {
        hak_run_index_remove(&bins, &runs[i]);
    } else {
        runs[i] = (hak_run_t){.start = (i + 1) << 30, .pages = some_pages(seed, most_bits)};
        runs[i].dirty_pages = unit_below(seed, runs[i].pages + 1);
        hak_run_index_insert(&bins, &runs[i]);
    }
    listed[i] = !listed[i];
}

/* So many of the runs are in use, on average all or few: bins between are filled or empty. */
static void play(uint64_t seed, unsigned steps, size_t in_use, unsigned most_bits) {
    for (unsigned step = 0; step < steps; step++) {
        toggle(unit_below(&seed, in_use), &seed, most_bits);
        size_t want = some_pages(&seed, most_bits + 1);
        assert_ptr_equal(hak_run_index_find(&bins, want), model_find(want));
        if (step % 256 == 0) {
            check_sums();
        }
    }
    for (size_t i = 0; i < RUNS; i++) {
        if (listed[i]) {
            toggle(i, &seed, most_bits);
        }
    }
    check_sums();
    assert_null(hak_run_index_find(&bins, 1));
}

static void run_index_many_runs_agree_with_model(void **state) {
    (void)state;
    play(1, 20000, RUNS, 12);
}

static void run_index_few_runs_agree_with_model(void **state) {
    (void)state;
    play(2, 20000, 6, 12);
}

static void run_index_runs_of_any_size_agree_with_model(void **state) {
    (void)state;
    play(3, 20000, 60, 36);
}

/* Sizes next to each other, at the borders of bins and at the last one. */
static void run_index_finds_the_next_larger_run(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 40; bits++) {
        for (size_t below = 0; below < 3; below++) {
            size_t pages = ((size_t)1 << bits) + 1 - below;
            if (pages == 0) {
                continue;
            }
            hak_run_t fits = {.start = 1 << 20, .pages = pages};
            hak_run_t larger = {.start = 1 << 21, .pages = pages + 1};
            hak_run_index_insert(&bins, &larger);
            assert_ptr_equal(hak_run_index_find(&bins, pages), &larger);
            hak_run_index_insert(&bins, &fits);
            assert_ptr_equal(hak_run_index_find(&bins, pages), &fits);
            assert_ptr_equal(hak_run_index_find(&bins, pages + 1), &larger);
            assert_null(hak_run_index_find(&bins, pages + 2));
            hak_run_index_remove(&bins, &larger);
            assert_null(hak_run_index_find(&bins, pages + 1));
            hak_run_index_remove(&bins, &fits);
        }
    }
}

static void run_index_is_valid_detects_damage(void **state) {
    (void)state;
    size_t pages = 0, dirty = 0;
    hak_run_t run = {.start = 1 << 20, .pages = 100};
    hak_run_index_insert(&bins, &run);
    assert_true(hak_run_index_is_valid(&bins, &pages, &dirty));
    run.pages = 1000; /* of another bin */
    assert_false(hak_run_index_is_valid(&bins, &pages, &dirty));
    run.pages = 100;
    hak_run_index_t before = bins;
    bins.filled = 0;
    assert_false(hak_run_index_is_valid(&bins, &pages, &dirty));
    bins = before;
    bins.filled |= 1;
    assert_false(hak_run_index_is_valid(&bins, &pages, &dirty));
    bins = before;
    hak_run_index_remove(&bins, &run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_index_many_runs_agree_with_model),
        cmocka_unit_test(run_index_few_runs_agree_with_model),
        cmocka_unit_test(run_index_runs_of_any_size_agree_with_model),
        cmocka_unit_test(run_index_finds_the_next_larger_run),
        cmocka_unit_test(run_index_is_valid_detects_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
