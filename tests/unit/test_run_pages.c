/* test_run_pages.c: the bits of pages against arrays of bytes. */
#include "run_pages.h"

#include "unit.h"

#define PAGES ((size_t)2000)

static uintptr_t start;
static bool resident[PAGES], begins[PAGES + 1];

static int set_up(void **state) {
    (void)state;
    if (!hak_map_init()) {
        return -1;
    }
    hak_run_table_init();
    if (!hak_pages_init()) {
        return -1;
    }
    /* No memory need be there; across the borders of words and chunks of bits. */
    start = HAK_WINDOW_LOW + HAK_SUPERSLAB_BYTES * 64 * 10 - 1005 * hak_page_bytes();
    if (!hak_pages_add(start, PAGES)) {
        return -1;
    }
    hak_pages_note_moved(start, PAGES);
    memset(resident, 0, sizeof resident);
    memset(begins, 0, sizeof begins);
    begins[0] = begins[PAGES] = true;
    return 0;
}

static uintptr_t at(size_t page) {
    return start + (page << hak_page_shift);
}

static size_t count_of(const bool *bits, size_t from, size_t to) {
    size_t count = 0;
    for (; from < to; from++) {
        count += bits[from];
    }
    return count;
}

static size_t next_of(const bool *bits, size_t from, size_t to, bool wanted) {
    while (from < to && bits[from] != wanted) {
        from++;
    }
    return from;
}

static void check_all(size_t from, size_t to) {
    assert_int_equal(hak_pages_count(at(from), to - from), count_of(resident, from, to));
    assert_int_equal(hak_pages_next(at(from), at(to), true), at(next_of(resident, from, to, true)));
    assert_int_equal(hak_pages_next(at(from), at(to), false),
                     at(next_of(resident, from, to, false)));
    if (from < to) {
        assert_int_equal(hak_pages_mapping_end(at(from), at(to)),
                         at(next_of(begins, from + 1, to, true)));
    }
}

static void pages_random_ranges_agree_with_arrays(void **state) {
    (void)state;
    uint64_t seed = 7;
    size_t elsewhere = hak_pages_mappings() - 2;
    for (unsigned step = 0; step < 20000; step++) {
        size_t from = unit_below(&seed, PAGES + 1);
        size_t most = unit_below(&seed, 2) ? 70 : PAGES;
        size_t to = hak_min(PAGES, from + unit_below(&seed, most));
        switch (unit_below(&seed, 4)) {
        case 0:
            hak_pages_set(at(from), to - from, true);
            memset(&resident[from], 1, to - from);
            break;
        case 1:
            hak_pages_set(at(from), to - from, false);
            memset(&resident[from], 0, to - from);
            break;
        case 2:
            if (from < to) {
                hak_pages_note_moved(at(from), to - from);
                memset(&begins[from], 0, to - from);
                begins[from] = begins[to] = true;
            }
            break;
        default:
            check_all(from, to);
        }
    }
    check_all(0, PAGES);
    assert_int_equal(hak_pages_mappings(), elsewhere + count_of(begins, 0, PAGES + 1));
}

static void pages_of_a_new_range_are_not_resident(void **state) {
    (void)state;
    hak_pages_set(at(0), PAGES, true);
    hak_pages_note_moved(at(100), 100);
    assert_true(hak_pages_add(at(50), 500));
    assert_int_equal(hak_pages_count(at(0), PAGES), PAGES - 500);
    assert_int_equal(hak_pages_mapping_end(at(0), at(PAGES)), at(PAGES));
    hak_pages_note_moved(at(10), 40);
    assert_true(hak_pages_add(at(50), 500)); /* what was moved still ends where it did */
    assert_int_equal(hak_pages_mapping_end(at(10), at(PAGES)), at(50));
}

static void pages_of_an_unmapped_range_are_no_mappings(void **state) {
    (void)state;
    size_t before = hak_pages_mappings();
    hak_pages_note_moved(at(100), 100);
    hak_pages_note_moved(at(300), 100);
    assert_int_equal(hak_pages_mappings(), before + 4);
    hak_pages_drop(at(0), PAGES);
    assert_int_equal(hak_pages_mappings(), before - 1);
    assert_int_equal(hak_pages_count(at(0), PAGES), 0);
}

#define CASE(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(pages_of_a_new_range_are_not_resident),
        CASE(pages_of_an_unmapped_range_are_no_mappings),
        CASE(pages_random_ranges_agree_with_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
