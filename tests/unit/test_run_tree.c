/* test_run_tree.c: the treap of free runs against a model that looks at all of them. */
#include "run_tree.h"

#define RUNS 2000

#include "run_model.h"

static hak_run_t *tree;

static void check_sums(void) {
    size_t pages = 0, dirty = 0;
    assert_true(hak_run_tree_is_valid(tree, &pages, &dirty));
    model_check_sums(pages, dirty);
}

static void toggle(size_t i, uint64_t *seed, size_t most_pages) {
    if (listed[i]) {
        hak_run_tree_remove(&tree, &runs[i]);
        assert_null(runs[i].left);
        assert_null(runs[i].right);
    } else {
        runs[i] = (hak_run_t){.start = (i + 1) << 24, .pages = 1 + unit_below(seed, most_pages)};
        runs[i].dirty_pages = unit_below(seed, runs[i].pages + 1);
        hak_run_tree_insert(&tree, &runs[i]);
    }
    listed[i] = !listed[i];
}

static void play(uint64_t seed, unsigned steps, size_t most_pages) {
    tree = NULL;
    memset(listed, 0, sizeof listed);
    for (unsigned step = 0; step < steps; step++) {
        toggle(unit_below(&seed, RUNS), &seed, most_pages);
        size_t want = 1 + unit_below(&seed, most_pages + 2);
        assert_ptr_equal(hak_run_tree_find(tree, want), model_find(want));
        if (step % 256 == 0) {
            check_sums();
        }
    }
    check_sums();
    for (size_t i = 0; i < RUNS; i++) {
        if (listed[i]) {
            toggle(i, &seed, most_pages);
        }
    }
    assert_null(tree);
}

static void run_tree_random_sizes_agree_with_model(void **state) {
    (void)state;
    play(1, 20000, 100000);
}

static void run_tree_few_sizes_agree_with_model(void **state) {
    (void)state;
    play(2, 20000, 5); /* equal sizes: the lowest address decides */
}

static void run_tree_find_in_empty_tree_is_null(void **state) {
    (void)state;
    assert_null(hak_run_tree_find(NULL, 1));
}

static void run_tree_find_larger_than_all_is_null(void **state) {
    (void)state;
    hak_run_t run = {.start = 4096, .pages = 7};
    hak_run_t *one = NULL;
    hak_run_tree_insert(&one, &run);
    assert_ptr_equal(hak_run_tree_find(one, 7), &run);
    assert_null(hak_run_tree_find(one, 8));
    hak_run_tree_remove(&one, &run);
    assert_null(one);
}

static unsigned depth(const hak_run_t *node) {
    if (node == NULL) {
        return 0;
    }
    unsigned left = depth(node->left);
    unsigned right = depth(node->right);
    return 1 + (left > right ? left : right);
}

static void run_tree_insert_in_order_stays_shallow(void **state) {
    (void)state;
    hak_run_t *sorted = NULL;
    for (size_t i = 0; i < RUNS; i++) { /* neighbours by address, all of one size: the worst case */
        runs[i] = (hak_run_t){.start = 0x10000000 + i * 0x20000, .pages = 16};
        hak_run_tree_insert(&sorted, &runs[i]);
    }
    assert_true(depth(sorted) < 50); /* 2,000 runs: 11 at best */
}

static void run_tree_is_valid_detects_damage(void **state) {
    (void)state;
    size_t pages = 0;
    size_t dirty = 0;
    hak_run_t *small = NULL;
    for (size_t i = 0; i < 20; i++) {
        runs[i] = (hak_run_t){.start = (i + 1) << 21, .pages = i + 1};
        hak_run_tree_insert(&small, &runs[i]);
    }
    assert_true(hak_run_tree_is_valid(small, &pages, &dirty));
    assert_int_equal(pages, 210);
    runs[5].live = true;
    assert_false(hak_run_tree_is_valid(small, &pages, &dirty));
    runs[5].live = false;
    runs[5].pages = 1000;
    assert_false(hak_run_tree_is_valid(small, &pages, &dirty));
    runs[5].pages = 6;
    runs[7].zero = true;
    runs[7].dirty_pages = 1;
    assert_false(hak_run_tree_is_valid(small, &pages, &dirty));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_tree_random_sizes_agree_with_model),
        cmocka_unit_test(run_tree_few_sizes_agree_with_model),
        cmocka_unit_test(run_tree_find_in_empty_tree_is_null),
        cmocka_unit_test(run_tree_find_larger_than_all_is_null),
        cmocka_unit_test(run_tree_insert_in_order_stays_shallow),
        cmocka_unit_test(run_tree_is_valid_detects_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
