/* test_address_map.c: claiming and releasing addresses, tags, records, metadata. */
#include "address_map.h"

#include <sys/mman.h>

#include "fake_os.h"
#include "freelist.h"
#include "stats.h"

#define UNIT HAK_SUPERSLAB_BYTES

static char *claim(size_t units, hak_area_t area) {
    char *p = hak_map_claim(units * UNIT, UNIT, area);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % UNIT, 0);
    return p;
}

static void release(void *p, size_t units) {
    assert_true(hak_map_release(p, units * UNIT));
}

UNIT_CHILD(map_init_without_memory_fails_and_may_be_repeated) {
    fake_os_install();
    fake_os_fail(FAKE_MAP, 1, false);
    CHECK(!hak_map_init());
    CHECK(hak_map.slot_count == 0);
    CHECK(hak_map_tag(&fake_os) == HAK_TAG_NONE);
    CHECK(hak_map_init());
    CHECK(hak_map_init()); /* once is enough */
    CHECK(fake_os_calls(FAKE_MAP) == 2);
    CHECK(hak_map.slot_count == hak_map.unit_count * HAK_SLOTS);
    CHECK(hak_stamp % 2 == 1);
}

static void map_tag_of_any_address_is_none(void **state) {
    (void)state;
    int local;
    assert_int_equal(hak_map_tag(NULL), HAK_TAG_NONE);
    assert_int_equal(hak_map_tag(&local), HAK_TAG_NONE);
    assert_int_equal(hak_map_tag(&hak_map), HAK_TAG_NONE);
    assert_int_equal(hak_map_tag((void *)UINTPTR_MAX), HAK_TAG_NONE);
    assert_int_equal(hak_map_tag((void *)((uintptr_t)1 << 63)), HAK_TAG_NONE);
}

static void map_claim_gives_zero_memory_to_use(void **state) {
    (void)state;
    char *p = claim(2, HAK_AREA_SUPERSLAB);
    assert_int_equal(p[0], 0);
    assert_int_equal(p[2 * UNIT - 1], 0);
    memset(p, 1, 2 * UNIT);
    release(p, 2);
}

/* The first ones lie in front of the large runs, the others far behind; what is free in front is
 * taken first. Hardened, no two lie side by side. */
static void check_superslabs_near_and_far(size_t step) {
    enum { NEAR = 32, COUNT = NEAR + 3 };
    char *first = NULL, *claims[COUNT];
    char *large = claim(1, HAK_AREA_LARGE);
    for (size_t i = 0; i < COUNT; i++) {
        claims[i] = claim(1, HAK_AREA_SUPERSLAB);
        first = first == NULL ? claims[i] : first;
        CHECK(i == 0 || claims[i] >= claims[i - 1] + step * UNIT);
        bool far = claims[i] > large + 64 * UNIT;
        CHECK(far ? i >= NEAR / step : claims[i] + step * UNIT <= large);
    }
    CHECK(claims[COUNT - 1] > large + 64 * UNIT);
    CHECK(large <= first + (NEAR + 2) * UNIT);
    CHECK(claim(1, HAK_AREA_LARGE) == large + UNIT);
    release(claims[5], 1);
    CHECK(claim(1, HAK_AREA_SUPERSLAB) == claims[5]);
    CHECK(claim(1, HAK_AREA_SUPERSLAB) > claims[COUNT - 1]);
    release(large, 1);
    CHECK(claim(1, HAK_AREA_LARGE) == large);
}

UNIT_CHILD(map_superslabs_lie_in_front_of_large_runs) {
    CHECK(hak_map_init());
    check_superslabs_near_and_far(1);
}

UNIT_CHILD(map_superslabs_are_spread_if_so_told) {
    CHECK(hak_map_init());
    hak_map.spread = true;
    check_superslabs_near_and_far(2);
}

static void map_claims_do_not_overlap(void **state) {
    (void)state;
    char *claims[30];
    size_t before = hak_map.mapped_bytes;
    for (size_t i = 0; i < 30; i++) {
        claims[i] = claim(1 + i % 3, (hak_area_t)(i % 3));
        memset(claims[i], (int)i, (1 + i % 3) * UNIT);
    }
    for (size_t i = 0; i < 30; i++) {
        assert_int_equal(claims[i][0], i);
        assert_int_equal(claims[i][(1 + i % 3) * UNIT - 1], i);
    }
    assert_int_equal(hak_map.mapped_bytes - before, 60 * UNIT);
    for (size_t i = 0; i < 30; i++) {
        release(claims[i], 1 + i % 3);
    }
    assert_int_equal(hak_map.mapped_bytes, before);
}

static void map_claim_of_superslabs_goes_upwards_and_reuses_gaps(void **state) {
    (void)state;
    char *a = claim(1, HAK_AREA_SUPERSLAB);
    char *b = claim(1, HAK_AREA_SUPERSLAB);
    char *c = claim(1, HAK_AREA_SUPERSLAB);
    assert_ptr_equal(b, a + UNIT);
    assert_ptr_equal(c, b + UNIT);
    release(b, 1);
    assert_ptr_equal(claim(1, HAK_AREA_SUPERSLAB), b);
    release(a, 1);
    release(b, 1);
    release(c, 1);
}

static void map_claim_every_alignment_is_aligned(void **state) {
    (void)state;
    for (size_t align = UNIT; align <= 512 * UNIT; align *= 2) {
        char *one = claim(1, HAK_AREA_LARGE);
        char *p = hak_map_claim(3 * UNIT, align, HAK_AREA_LARGE);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % align, 0);
        release(p, 3);
        release(one, 1);
    }
}

static void map_claim_of_more_than_the_window_is_null(void **state) {
    (void)state;
    assert_null(hak_map_claim((hak_map.unit_count + 1) * UNIT, UNIT, HAK_AREA_GIANT));
    assert_null(hak_map_claim(UNIT, (size_t)1 << 62, HAK_AREA_LARGE));
}

static void map_claim_taken_address_is_stepped_over(void **state) {
    (void)state;
    char *a = claim(1, HAK_AREA_SUPERSLAB);
    void *foreign = mmap(a + UNIT + 4096, 4096, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ptr_equal(foreign, a + UNIT + 4096);
    char *b = claim(1, HAK_AREA_SUPERSLAB);
    assert_ptr_equal(b, a + 2 * UNIT);
    release(b, 1);
    release(a, 1);
    unsigned calls = fake_os_calls(FAKE_MAP_AT);
    assert_ptr_equal(claim(1, HAK_AREA_SUPERSLAB), a);
    assert_ptr_equal(claim(1, HAK_AREA_SUPERSLAB), b); /* what is taken is not asked for again */
    assert_int_equal(fake_os_calls(FAKE_MAP_AT), calls + 2);
    munmap(foreign, 4096);
    release(a, 1);
    release(b, 1);
}

static void map_claim_many_units_steps_over_foreign_memory(void **state) {
    (void)state;
    char *a = claim(1, HAK_AREA_LARGE);
    void *foreign = mmap(a + 5 * UNIT, 4096, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    char *b = hak_map_claim(16 * UNIT, UNIT, HAK_AREA_LARGE);
    assert_non_null(b);
    assert_true(b > (char *)foreign); /* of the same area */
    assert_true(fake_os_calls(FAKE_MAP_AT) < 20);
    munmap(foreign, 4096);
    release(a, 1);
    release(b, 16);
}

static void map_claim_many_taken_addresses_still_finds_one(void **state) {
    (void)state;
    static const size_t units[] = {1, 2, 7, 20};
    fake_os.map_at_failure = HAK_MAP_TAKEN;
    for (size_t i = 0; i < UNIT_LENGTH(units); i++) {
        fake_os_fail_range(FAKE_MAP_AT, 1, 50);
        char *p = claim(units[i], HAK_AREA_LARGE);
        assert_int_equal(fake_os_calls(FAKE_MAP_AT), 51);
        release(p, units[i]);
    }
}

static void map_claim_without_memory_is_null_at_once(void **state) {
    (void)state;
    size_t mapped = hak_map.mapped_bytes;
    fake_os_fail(FAKE_MAP_AT, 1, true);
    assert_null(hak_map_claim(UNIT, UNIT, HAK_AREA_SUPERSLAB));
    assert_null(hak_map_claim(20 * UNIT, UNIT, HAK_AREA_GIANT));
    assert_int_equal(fake_os_calls(FAKE_MAP_AT), 2); /* no other address would help */
    assert_int_equal(hak_map.mapped_bytes, mapped);
    fake_os_reset();
    release(claim(1, HAK_AREA_SUPERSLAB), 1);
}

static void map_claim_at_takes_exactly_this_address(void **state) {
    (void)state;
    char *a = claim(1, HAK_AREA_GIANT);
    assert_true(hak_map_claim_at(a + UNIT, 2 * UNIT));
    memset(a, 1, 3 * UNIT);
    assert_false(hak_map_claim_at(a + UNIT, UNIT));
    assert_false(hak_map_claim_at(a + 2 * UNIT, 2 * UNIT));
    release(a, 3); /* claims side by side can go together */
}

static void map_claim_at_failures_claim_nothing(void **state) {
    (void)state;
    char *a = claim(1, HAK_AREA_GIANT);
    size_t mapped = hak_map.mapped_bytes;
    fake_os_fail(FAKE_MAP_AT, 1, false);
    assert_false(hak_map_claim_at(a + UNIT, UNIT));
    assert_int_equal(hak_map.mapped_bytes, mapped);
    assert_true(hak_map_claim_at(a + UNIT, UNIT));
    void *end = (void *)(HAK_WINDOW_LOW + (hak_map.unit_count << HAK_SUPERSLAB_SHIFT));
    assert_false(hak_map_claim_at(end, UNIT));
    assert_false(hak_map_claim_at((char *)end - UNIT, 2 * UNIT));
    release(a, 2);
}

static void map_set_tags_and_record_are_read_back(void **state) {
    (void)state;
    char *p = claim(2, HAK_AREA_SUPERSLAB);
    int record;
    assert_null(hak_map_record(p));
    hak_map_set_record(p + UNIT, &record);
    hak_map_set_tags(p + UNIT, HAK_SLOTS, HAK_TAG_UNUSED);
    hak_map_set_tags(p + UNIT + 3 * HAK_SLOT_BYTES, 2, hak_tag_of_class(7));
    assert_null(hak_map_record(p + UNIT - 1));
    assert_ptr_equal(hak_map_record(p + UNIT + 12345), &record);
    assert_int_equal(hak_map_tag(p + UNIT + 3 * HAK_SLOT_BYTES - 1), HAK_TAG_UNUSED);
    assert_int_equal(hak_map_tag(p + UNIT + 3 * HAK_SLOT_BYTES), hak_tag_of_class(7));
    assert_int_equal(hak_map_tag(p + UNIT + 5 * HAK_SLOT_BYTES - 1), hak_tag_of_class(7));
    assert_int_equal(hak_map_tag(p + UNIT + 5 * HAK_SLOT_BYTES), HAK_TAG_UNUSED);
    release(p, 2);
}

static void map_set_tags_of_a_giant_covers_it_exactly(void **state) {
    (void)state;
    char *p = claim(40, HAK_AREA_GIANT);
    hak_map_set_tags(p, 40 * HAK_SLOTS, HAK_TAG_LARGE);
    assert_int_equal(hak_map_tag(p), HAK_TAG_LARGE);
    assert_int_equal(hak_map_tag(p + 20 * UNIT + 99), HAK_TAG_LARGE);
    assert_int_equal(hak_map_tag(p + 40 * UNIT - 1), HAK_TAG_LARGE);
    assert_int_equal(hak_map_tag(p + 40 * UNIT), HAK_TAG_NONE);
    release(p, 40);
}

static void map_release_leaves_tags_returned_and_no_record(void **state) {
    (void)state;
    char *p = claim(1, HAK_AREA_SUPERSLAB);
    hak_map_set_record(p, p);
    hak_map_set_tags(p, HAK_SLOTS, HAK_TAG_UNUSED);
    release(p, 1);
    for (size_t i = 0; i < HAK_SLOTS; i++) {
        assert_int_equal(hak_map_tag(p + i * HAK_SLOT_BYTES), HAK_TAG_RETURNED);
    }
    assert_null(hak_map_record(p));
}

static void map_release_refused_keeps_the_memory(void **state) {
    (void)state;
    char *p = claim(1, HAK_AREA_SUPERSLAB);
    size_t mapped = hak_map.mapped_bytes;
    hak_map_set_record(p, p);
    p[77] = 7;
    fake_os_fail(FAKE_UNMAP, 1, false);
    assert_false(hak_map_release(p, UNIT));
    assert_int_equal(p[77], 7);
    assert_ptr_equal(hak_map_record(p), p);
    assert_int_equal(hak_map.mapped_bytes, mapped);
    char *q = claim(1, HAK_AREA_SUPERSLAB); /* still taken */
    assert_true(q != p);
    release(p, 1);
    release(q, 1);
}

static void meta_alloc_is_zero_aligned_and_apart(void **state) {
    (void)state;
    uint64_t seed = 3;
    char *pieces[400];
    size_t sizes[400];
    for (size_t i = 0; i < 400; i++) {
        size_t align = (size_t)1 << unit_below(&seed, 13);
        sizes[i] = 1 + unit_below(&seed, 5000);
        pieces[i] = hak_meta_alloc(sizes[i], align);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % align, 0);
        for (size_t j = 0; j < sizes[i]; j++) {
            assert_int_equal(pieces[i][j], 0);
        }
        memset(pieces[i], (int)(i % 100 + 1), sizes[i]);
    }
    for (size_t i = 0; i < 400; i++) {
        assert_int_equal(pieces[i][0], i % 100 + 1);
        assert_int_equal(pieces[i][sizes[i] - 1], i % 100 + 1);
    }
}

static void meta_alloc_larger_than_a_step_works(void **state) {
    (void)state;
    char *p = hak_meta_alloc((size_t)3 << 20, 64);
    assert_non_null(p);
    memset(p, 1, (size_t)3 << 20);
}

static void meta_alloc_without_memory_is_null_and_recovers(void **state) {
    (void)state;
    size_t bytes = hak_map.meta_bytes;
    fake_os_fail(FAKE_MAP, 1, true);
    assert_null(hak_meta_alloc((size_t)1 << 20, 64));
    assert_int_equal(hak_map.meta_bytes, bytes);
    fake_os_reset();
    assert_non_null(hak_meta_alloc((size_t)1 << 20, 64));
    assert_int_equal(hak_map.meta_bytes, bytes + ((size_t)1 << 20));
}

static int set_up(void **state) {
    (void)state;
    fake_os_install();
    return hak_map_init() ? 0 : -1;
}

#define CASE(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_init_without_memory_fails_and_may_be_repeated),
        CASE(map_tag_of_any_address_is_none),
        CASE(map_claim_gives_zero_memory_to_use),
        CASE(map_superslabs_lie_in_front_of_large_runs),
        CASE(map_superslabs_are_spread_if_so_told),
        CASE(map_claims_do_not_overlap),
        CASE(map_claim_of_superslabs_goes_upwards_and_reuses_gaps),
        CASE(map_claim_every_alignment_is_aligned),
        CASE(map_claim_of_more_than_the_window_is_null),
        CASE(map_claim_taken_address_is_stepped_over),
        CASE(map_claim_many_units_steps_over_foreign_memory),
        CASE(map_claim_many_taken_addresses_still_finds_one),
        CASE(map_claim_without_memory_is_null_at_once),
        CASE(map_claim_at_takes_exactly_this_address),
        CASE(map_claim_at_failures_claim_nothing),
        CASE(map_set_tags_and_record_are_read_back),
        CASE(map_set_tags_of_a_giant_covers_it_exactly),
        CASE(map_release_leaves_tags_returned_and_no_record),
        CASE(map_release_refused_keeps_the_memory),
        CASE(meta_alloc_is_zero_aligned_and_apart),
        CASE(meta_alloc_larger_than_a_step_works),
        CASE(meta_alloc_without_memory_is_null_and_recovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
