/* test_large_random.c: random allocation, freeing, resizing and moving against a model.
 *
 * The first and last words of every page of a live block hold the block's number, so blocks that
 * overlap, lose pages or are said to be zero and are not, are found. Nothing else is mapped in
 * this process, so at any time the mapped bytes are the live ones and the free ones.
 */
#include "large_case.h"

#define BLOCKS_MAX 120

typedef struct {
    char *start;
    size_t bytes; /* usable */
    uint64_t number;
} block_t;

static block_t blocks[BLOCKS_MAX];
static size_t count, live_bytes;
static uint64_t number;

static void mark(const block_t *b, size_t from) {
    for (size_t at = from; at < b->bytes; at += PAGE) {
        *(uint64_t *)(void *)(b->start + at) = b->number + at;
        *(uint64_t *)(void *)(b->start + at + PAGE - 8) = ~b->number - at;
    }
}

static bool is_marked(const char *start, size_t bytes, uint64_t wanted) {
    for (size_t at = 0; at < bytes; at += PAGE) {
        if (*(const uint64_t *)(const void *)(start + at) != wanted + at ||
            *(const uint64_t *)(const void *)(start + at + PAGE - 8) != ~wanted - at) {
            return false;
        }
    }
    return true;
}

static bool is_zero(const char *start, size_t bytes) {
    for (size_t at = 0; at < bytes; at += PAGE) {
        if (*(const uint64_t *)(const void *)(start + at) != 0 ||
            *(const uint64_t *)(const void *)(start + at + PAGE - 8) != 0) {
            return false;
        }
    }
    return true;
}

/* Mostly runs inside a unit, sometimes across some, rarely giants. */
static size_t random_size(uint64_t *seed) {
    size_t dice = unit_below(seed, 100);
    if (dice < 35) { /* 9 to 12 pages: often as many as one that waits has */
        return 8 * PAGE + 1 + unit_below(seed, 4 * PAGE);
    }
    size_t most = dice < 70 ? 300 * 1024 : dice < 95 ? 2 * MIB : dice < 99 ? 8 * MIB : 40 * MIB;
    return 1 + unit_below(seed, most);
}

static size_t random_align(uint64_t *seed) {
    return unit_below(seed, 4) == 0 ? (size_t)1 << unit_below(seed, 24) : 1;
}

static bool add(size_t size, size_t align) {
    bool zero;
    char *p = number % 2 != 0 ? hak_large_alloc(size, align, &zero)
                              : hak_large_alloc_resident(size, align, &zero);
    if (p == NULL) {
        return false;
    }
    assert_int_equal((uintptr_t)p % align, 0);
    block_t *b = &blocks[count++];
    *b = (block_t){p, hak_round_up(size, PAGE), ++number << 32};
    live_bytes += b->bytes;
    assert_int_equal(hak_large_usable(p), b->bytes);
    assert_true(!zero || is_zero(p, b->bytes));
    mark(b, 0);
    return true;
}

static void drop(size_t which) {
    block_t b = blocks[which];
    assert_true(is_marked(b.start, b.bytes, b.number));
    assert_true(hak_large_free(b.start));
    live_bytes -= b.bytes;
    blocks[which] = blocks[--count];
}

static void resize(size_t which, size_t size) {
    block_t *b = &blocks[which];
    size_t before = b->bytes;
    if (!hak_large_resize(b->start, size)) {
        assert_int_equal(hak_large_usable(b->start), before);
        return;
    }
    b->bytes = hak_round_up(size, PAGE);
    live_bytes += b->bytes - before;
    assert_int_equal(hak_large_usable(b->start), b->bytes);
    size_t kept = hak_round_down(hak_min(before, size), PAGE); /* what is behind size may change */
    assert_true(is_marked(b->start, kept, b->number));
    mark(b, kept);
}

/* The last block becomes the new place of another. */
static void move(size_t which, uint64_t *seed) {
    size_t bytes = blocks[which].bytes;
    if (count == BLOCKS_MAX || !add(bytes + unit_below(seed, MIB), 1)) {
        return;
    }
    block_t *to = &blocks[count - 1];
    if (!hak_large_move(to->start, blocks[which].start)) {
        assert_true(is_marked(blocks[which].start, bytes, blocks[which].number));
        mark(to, 0); /* it may have lost its pages */
        return;
    }
    assert_true(is_marked(to->start, bytes, blocks[which].number));
    live_bytes -= bytes;
    mark(to, 0);
    blocks[which] = *to;
    count--;
}

static void check_sums(void) {
    hak_large_gauges_t gauges = large_gauges();
    assert_int_equal(gauges.live_blocks, count);
    assert_int_equal(gauges.live_bytes, live_bytes);
    assert_int_equal(gauges.live_bytes + gauges.free_bytes, hak_map.mapped_bytes);
    assert_true(gauges.retained_bytes <= gauges.free_bytes);
    assert_true(hak_large_is_valid());
}

static void run(uint64_t seed, unsigned steps) {
    for (unsigned step = 0; step < steps; step++) {
        size_t goal = 20 + (step / 2000) % 5 * 20; /* the number of blocks swings */
        size_t dice = unit_below(&seed, 100);
        if (count == 0 || (dice < 40 && count < goal)) {
            (void)add(random_size(&seed), random_align(&seed));
        } else if (dice < 75) {
            drop(unit_below(&seed, count));
        } else if (dice < 95) {
            size_t which = unit_below(&seed, count);
            resize(which, unit_below(&seed, 2) ? random_size(&seed)
                                               : 1 + unit_below(&seed, 2 * blocks[which].bytes));
        } else {
            move(unit_below(&seed, count), &seed);
        }
        fake_os.now_ms += (uint32_t)unit_below(&seed, 30);
        if (step % 16 == 0) {
            check_sums();
        }
        if (step % 5000 == 4999) {
            hak_large_trim();
        }
    }
    fake_os_reset();
    while (count > 0) {
        drop(count - 1);
    }
    check_sums();
}

static void large_random_50000_steps_agree_with_model(void **state) {
    (void)state;
    run(31, 50000);
    assert_true(hak_counters.large_grown != 0);
    assert_true(hak_counters.large_moved != 0);
    assert_true(hak_counters.taken_over_kib != 0);
    assert_true(hak_counters.unmap_calls != 0);
    assert_true(hak_counters.purge_calls != 0);
}

static void large_random_without_retention_agrees_with_model(void **state) {
    (void)state;
    hak_options.retain = 0;
    hak_options.retain_share = 0;
    run(32, 5000);
}

static void large_random_unmap_refused_agrees_with_model(void **state) {
    (void)state;
    hak_options.retain = 0;
    fake_os_fail(FAKE_UNMAP, 1, true);
    run(33, 3000);
}

static void large_random_purge_refused_agrees_with_model(void **state) {
    (void)state;
    hak_options.retain = 0;
    fake_os_fail(FAKE_PURGE, 1, true);
    run(34, 5000);
}

/* Every seventh call of any kind fails. */
static void large_random_some_calls_refused_agrees_with_model(void **state) {
    (void)state;
    uint64_t seed = 35;
    hak_options.retain = 1;
    for (unsigned round = 0; round < 2000; round++) {
        fake_os.map_at_failure = round % 2 ? HAK_MAP_TAKEN : HAK_MAP_NO_MEMORY;
        fake_os_fail(FAKE_ANY, 1 + (unsigned)unit_below(&seed, 7), round % 3 == 0);
        for (unsigned step = 0; step < 5; step++) {
            if (count < BLOCKS_MAX) {
                (void)add(random_size(&seed), random_align(&seed));
            }
            if (count > 60 || unit_below(&seed, 3) == 0) {
                drop(unit_below(&seed, count));
            }
            if (count > 0) {
                resize(unit_below(&seed, count), random_size(&seed));
            }
        }
        check_sums();
    }
    fake_os_reset();
    while (count > 0) {
        drop(count - 1);
    }
    check_sums();
}

#define CASE(name) cmocka_unit_test_setup(name, large_case_set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(large_random_50000_steps_agree_with_model),
        CASE(large_random_without_retention_agrees_with_model),
        CASE(large_random_unmap_refused_agrees_with_model),
        CASE(large_random_purge_refused_agrees_with_model),
        CASE(large_random_some_calls_refused_agrees_with_model),
    };
    return cmocka_run_group_tests(tests, large_case_set_up_group, NULL);
}
