/* test_armor_refused.c: a system that refuses: no memory, no mappings, no purge. Nothing is lost,
 * and all can be had again. */
#include "armor_case.h"

#include "armor_slab.h"
#include "readable.h"

#define COUNT 200 /* more than a SuperSlab */

static const uint8_t classes[] = {CLASS_32K, 0, CLASS_16K, CLASS_80, 40, 1};

static int set_up_group(void **state) {
    return readable_start() ? pool_case_set_up_group(state) : -1;
}

/* ---- The nth call fails
 * ---------------------------------------------------------------------------- */

static char *blocks[COUNT];

static unsigned class_of_block(unsigned i) {
    return classes[i % UNIT_LENGTH(classes)];
}

static size_t size_of_block(unsigned i) {
    return (hak_class_stride(class_of_block(i)) - 1) / (1 + i % 3);
}

static unsigned take_blocks(void) {
    unsigned missing = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        if (blocks[i] == NULL) {
            blocks[i] = armor_try(class_of_block(i), size_of_block(i));
            if (blocks[i] != NULL) {
                memset(blocks[i], (int)i, size_of_block(i));
            }
            missing += blocks[i] == NULL;
        }
    }
    return missing;
}

static void give_blocks(unsigned from, unsigned step) {
    for (unsigned i = from; i < COUNT; i += step) {
        if (blocks[i] != NULL) {
            size_t size = size_of_block(i);
            CHECK(armor_size(blocks[i], class_of_block(i)) == size);
            CHECK((uint8_t)blocks[i][0] == (uint8_t)i);
            CHECK(memcmp(blocks[i], blocks[i] + 1, size - 1) == 0);
            armor_free(blocks[i], class_of_block(i));
            blocks[i] = NULL;
        }
    }
}

typedef struct {
    fake_entry_t entry;
    unsigned n;
    bool rest;
} refusal_t;

#define PASSED 77 /* as an exit status: the course made fewer calls */

/* In a process of its own: what a SuperSlab has once is had anew each time. */
static void take_course(void *argument) {
    const refusal_t *refusal = argument;
    armor_start(false);
    fake_os_fail(refusal->entry, refusal->n, refusal->rest);
    (void)take_blocks();
    give_blocks(0, 2);
    (void)take_blocks();
    give_blocks(0, 1);
    (void)hak_armor_trim();
    (void)hak_pool_trim();
    (void)take_blocks();
    unsigned calls = fake_os_calls(refusal->entry);
    CHECK(hak_armor_is_valid() && hak_pool_is_valid());
    fake_os_fail(refusal->entry, 0, false);
    CHECK(take_blocks() == 0);
    CHECK(hak_armor_is_valid() && hak_pool_is_valid());
    give_blocks(0, 1);
    armor_assert_at_rest();
    (void)hak_pool_trim();
    CHECK(pool_gauges().superslabs_now == 0);
    _exit(calls < refusal->n ? PASSED : 0);
}

static void refuse_each_call(fake_entry_t entry, bool rest) {
    int status = 0;
    for (unsigned n = 1; status == 0; n++) {
        char text[1024];
        refusal_t refusal = {entry, n, rest};
        status = unit_child(take_course, &refusal, text, sizeof text);
        if (status != 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != PASSED)) {
            print_error("entry %d, call %u, rest %d: status %#x: %s\n", (int)entry, n, rest,
                        (unsigned)status, text);
            assert_int_equal(status, 0);
        }
    }
}

static void armor_operations_nth_call_fails_lose_nothing(void **state) {
    static const fake_entry_t entries[] = {FAKE_MAP_AT,   FAKE_MAP,     FAKE_UNMAP, FAKE_PURGE,
                                           FAKE_POPULATE, FAKE_PROTECT, FAKE_ANY};
    (void)state;
    for (unsigned i = 0; i < UNIT_LENGTH(entries); i++) {
        refuse_each_call(entries[i], false);
        refuse_each_call(entries[i], true);
    }
}

/* ---- One by one
 * ------------------------------------------------------------------------------------- */

/* Quarantines go on without a place: blocks go home at once. */
UNIT_CHILD(armor_free_without_memory_for_quarantine_goes_home) {
    armor_start(false);
    char *before = armor_alloc(CLASS_64, 10); /* all else is there */
    char *p = armor_alloc(CLASS_64, 10);
    while (hak_meta_alloc(64, 8) != NULL) {
        fake_os_fail(FAKE_MAP, 1, true);
    }
    armor_free(p, CLASS_64);
    CHECK(hak_armor_is_valid());
    unsigned tries = 0;
    while (armor_alloc(CLASS_64, 10) != p) {
        CHECK(++tries < 1000);
    }
    fake_os_reset();
    armor_free(before, CLASS_64);
    CHECK(hak_armor_is_valid());
}

/* Where the border of a slab is refused, all of its SuperSlab can be touched. */
UNIT_CHILD(armor_protect_refused_opens_the_superslab) {
    armor_start(false);
    char *one = armor_alloc(CLASS_32K, 100);
    char *base = hak_slab_superslab(hak_slab_of(one, CLASS_32K))->base;
    CHECK(!is_readable(base + HAK_SUPERSLAB_BYTES - 1));
    fake_os_fail(FAKE_PROTECT, 1, false);
    char *two = armor_alloc(CLASS_16K, 100);
    CHECK(is_readable(base + HAK_SUPERSLAB_BYTES - 1));
    fake_os_fail(FAKE_PROTECT, 1, true); /* and nothing can be closed */
    armor_free(one, CLASS_32K);
    armor_free(two, CLASS_16K);
    armor_assert_at_rest();
    CHECK(is_readable(one));
    one = armor_try(CLASS_32K, 100); /* nor opened, as far as anybody knows */
    CHECK(one == NULL && hak_armor_is_valid());
    fake_os_reset();
    armor_free(armor_alloc(CLASS_32K, 100), CLASS_32K);
    armor_assert_at_rest();
}

UNIT_CHILD(armor_open_all_makes_all_memory_accessible_for_good) {
    armor_start(false);
    char *one = armor_alloc(CLASS_32K, 100);
    char *end = hak_slab_superslab(hak_slab_of(one, CLASS_32K))->base + HAK_SUPERSLAB_BYTES;
    hak_arena_lock_all();
    CHECK(!hak_armor_slab_open_all_locked()); /* nothing was refused yet */
    hak_arena_unlock_all();
    char *two = armor_alloc(CLASS_16K, 100);
    fake_os_fail(FAKE_PROTECT, 1, false);
    armor_free(two, CLASS_16K);
    (void)hak_armor_trim(); /* refused here: it stays open */
    CHECK(is_readable(two) && !is_readable(end - 1));
    fake_os_reset();
    hak_arena_lock_all();
    CHECK(hak_armor_slab_open_all_locked() && !hak_armor_slab_open_all_locked());
    hak_arena_unlock_all();
    CHECK(is_readable(end - 1));
    CHECK(take_blocks() == 0 && hak_armor_is_valid());
    unsigned calls = fake_os_calls(FAKE_PROTECT);
    give_blocks(0, 1);
    armor_free(one, CLASS_32K);
    armor_assert_at_rest();
    CHECK(is_readable(one) && is_readable(two));
    CHECK(fake_os_calls(FAKE_PROTECT) == calls);
    (void)hak_pool_trim();
    one = armor_alloc(CLASS_32K, 100); /* a SuperSlab that comes later is open as well */
    CHECK(is_readable(hak_slab_superslab(hak_slab_of(one, CLASS_32K))->base + HAK_SUPERSLAB_BYTES -
                      1));
}

#define CASE(name) cmocka_unit_test_setup(name, pool_case_set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(armor_operations_nth_call_fails_lose_nothing),
        CASE(armor_free_without_memory_for_quarantine_goes_home),
        CASE(armor_protect_refused_opens_the_superslab),
        CASE(armor_open_all_makes_all_memory_accessible_for_good),
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
