/* test_slab.c: carving, taking, giving, draining; what a broken chain of links leads to. */
#include "slab.h"

#include "pool_case.h"
#include "remote_queue.h"

#define CLASS_4K 52 /* 4 KiB, one slot, 16 blocks */

static hak_slab_t *slab;

static hak_chain_t take(unsigned want) {
    hak_chain_t chain = {NULL, NULL, 0};
    unsigned taken = hak_slab_take(slab, want, &chain);
    assert_int_equal(taken, chain.count);
    unsigned count = 0;
    void *last = NULL;
    for (void *block = chain.head; block != NULL; block = hak_block_next(block)) {
        assert_true(hak_slab_holds(slab, block));
        assert_true(hak_block_is_stamped(block));
        last = block;
        count++;
    }
    assert_int_equal(count, chain.count);
    assert_ptr_equal(last, chain.tail);
    assert_true(hak_slab_is_valid(slab));
    return chain;
}

static void give(hak_chain_t chain) {
    hak_slab_give(slab, chain.head, chain.tail, chain.count);
    assert_true(hak_slab_is_valid(slab));
}

static char *block_at(unsigned index) {
    return hak_slab_base(slab) + index * hak_class_stride(slab->cls);
}

static void slab_take_from_fresh_slab_carves_in_order(void **state) {
    (void)state;
    hak_chain_t chain = take(5);
    assert_int_equal(chain.count, 5);
    assert_int_equal(slab->carved, 5);
    assert_int_equal(slab->free_count, 0);
    unsigned i = 0;
    for (char *block = chain.head; block != NULL; block = hak_block_next(block)) {
        assert_ptr_equal(block, block_at(i++));
    }
    chain = take(3);
    assert_ptr_equal(chain.head, block_at(5));
}

static void slab_take_of_every_fresh_class_carves_at_most_a_page(void **state) {
    (void)state;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        slab = hak_pool_acquire(cls, false);
        unsigned all = 0;
        unsigned got;
        while ((got = take(1000).count) != 0) {
            assert_true(got == 1 || got * hak_class_stride(cls) <= 4096);
            all += got;
        }
        assert_int_equal(all, hak_class_info[cls].capacity);
        assert_false(hak_slab_has_room(slab));
        pool_case_release(slab, NULL);
        hak_pool_trim();
    }
}

static void slab_take_of_resident_memory_carves_all_that_is_wanted(void **state) {
    (void)state;
    while (slab->carved < 5 * 64) { /* pages 0 to 4 */
        (void)take(64);
    }
    pool_case_release(slab, NULL);
    slab = hak_pool_acquire(CLASS_64, false);
    assert_int_equal(slab->carved, 0);
    assert_int_equal(take(200).count, 200);
    assert_int_equal(take(200).count, 120); /* the end of what is resident */
    assert_int_equal(take(200).count, 64);
}

static void slab_populate_makes_pages_resident_at_one_go(void **state) {
    (void)state;
    (void)take(64);
    hak_slab_populate(slab, 4096); /* one page is left to a fault */
    assert_int_equal(fake_os_calls(FAKE_POPULATE), 0);
    hak_slab_populate(slab, 3 * 4096);
    assert_int_equal(fake_os_calls(FAKE_POPULATE), 1);
    assert_int_equal(slab->dirty_pages, 4);
    assert_int_equal(take(1000).count, 3 * 64);
    hak_slab_populate(slab, 1 << 20);
    assert_int_equal(slab->dirty_pages, 16); /* not beyond the slab */
    hak_slab_populate(slab, 1 << 20);
    assert_int_equal(fake_os_calls(FAKE_POPULATE), 2); /* all is resident */
}

static void slab_populate_refused_is_not_tried_again(void *unused) {
    (void)unused;
    fake_os_fail(FAKE_POPULATE, 1, true);
    hak_slab_populate(slab, 8 * 4096);
    CHECK(slab->dirty_pages == 0);
    hak_slab_populate(slab, 8 * 4096);
    CHECK(fake_os_calls(FAKE_POPULATE) == 1);
}

static void slab_populate_refused_changes_nothing(void **state) {
    (void)state;
    unit_assert_succeeds(slab_populate_refused_is_not_tried_again, NULL);
}

static void slab_take_does_not_touch_what_it_did_not_carve(void **state) {
    (void)state;
    (void)take(7);
    for (char *p = block_at(7); p < hak_slab_base(slab) + HAK_SLOT_BYTES; p++) {
        assert_int_equal(*p, 0);
    }
}

static void slab_take_free_blocks_come_before_carved_ones(void **state) {
    (void)state;
    hak_chain_t a = take(6);
    hak_chain_t b = take(2);
    give(a);
    assert_int_equal(slab->free_count, 6);
    assert_int_equal(take(4).count, 4);
    assert_int_equal(slab->free_count, 2);
    assert_int_equal(take(4).count, 2); /* what is free; carving comes with the next call */
    assert_int_equal(slab->carved, 8);
    assert_int_equal(take(1).count, 1);
    assert_int_equal(slab->carved, 9);
    assert_true(hak_slab_holds(slab, b.head));
}

static void slab_take_appends_to_the_chain(void **state) {
    (void)state;
    hak_chain_t chain = take(3);
    char *third = chain.tail;
    assert_int_equal(hak_slab_take(slab, 4, &chain), 4);
    assert_int_equal(chain.count, 7);
    assert_ptr_equal(hak_block_next(third), block_at(3));
    assert_ptr_equal(chain.head, block_at(0));
    assert_null(hak_block_next(chain.tail));
}

static void slab_give_last_in_is_first_out(void **state) {
    (void)state;
    hak_chain_t all = take(4);
    void *blocks[4] = {all.head, hak_block_next(all.head), NULL, all.tail};
    blocks[2] = hak_block_next(blocks[1]);
    for (int i = 0; i < 4; i++) {
        hak_slab_give(slab, blocks[i], blocks[i], 1);
        assert_true(hak_slab_is_valid(slab));
    }
    assert_true(hak_slab_all_home(slab));
    for (int i = 3; i >= 0; i--) {
        assert_ptr_equal(take(1).head, blocks[i]);
    }
}

static void slab_give_and_take_keep_the_tail(void **state) {
    (void)state;
    hak_chain_t a = take(3);
    hak_chain_t b = take(3);
    give(a);
    give(b); /* b, a */
    assert_ptr_equal(slab->tail, a.tail);
    hak_chain_t all = take(100);
    assert_int_equal(all.count, 6);
    assert_ptr_equal(all.head, b.head);
    assert_ptr_equal(all.tail, a.tail);
    assert_null(slab->free);
    assert_null(slab->tail);
}

static void slab_has_room_until_the_last_block_is_out(void **state) {
    (void)state;
    slab = hak_pool_acquire(CLASS_4K, false);
    for (unsigned i = 0; i < 16; i++) {
        assert_true(hak_slab_has_room(slab));
        assert_int_equal(take(3).count, 1); /* a page at a time */
    }
    assert_false(hak_slab_has_room(slab));
    assert_int_equal(take(1).count, 0);
    hak_block_set_stamp(block_at(3));
    hak_slab_give(slab, block_at(3), block_at(3), 1);
    assert_true(hak_slab_has_room(slab));
    assert_false(hak_slab_all_home(slab));
}

static void slab_holds_starts_of_carved_blocks_only(void **state) {
    (void)state;
    (void)take(5);
    char *base = hak_slab_base(slab);
    for (size_t offset = 0; offset < HAK_SLOT_BYTES; offset++) {
        bool starts = offset % 64 == 0 && offset < 5 * 64;
        assert_true(hak_slab_holds(slab, base + offset) == starts);
    }
    assert_false(hak_slab_holds(slab, base - 64));
    assert_false(hak_slab_holds(slab, base + HAK_SLOT_BYTES));
    assert_false(hak_slab_holds(slab, NULL));
    assert_false(hak_slab_holds(slab, (void *)(UINTPTR_MAX - 63)));
}

static void slab_drain_remote_takes_all_of_the_queue(void **state) {
    (void)state;
    hak_chain_t a = take(4);
    hak_chain_t b = take(2);
    assert_true(hak_remote_push(slab, a));
    assert_false(hak_remote_push(slab, b));
    assert_int_equal(hak_slab_drain_remote(slab), 6);
    assert_int_equal(slab->free_count, 6);
    assert_int_equal(slab->remote, 0);
    assert_ptr_equal(slab->free, b.head);
    assert_ptr_equal(slab->tail, a.tail);
    assert_true(hak_slab_all_home(slab));
    assert_true(hak_slab_is_valid(slab));
}

/* The chain as it came, the slab's own books as they were. */
static void slab_receive_leaves_the_free_list_alone(void **state) {
    (void)state;
    hak_chain_t a = take(4);
    hak_chain_t b = take(2);
    hak_chain_t c = take(1);
    give(c);
    assert_true(hak_remote_push(slab, a));
    assert_false(hak_remote_push(slab, b));
    hak_chain_t got = hak_slab_receive(slab);
    assert_int_equal(got.count, 6);
    assert_ptr_equal(got.head, b.head);
    assert_ptr_equal(got.tail, a.tail);
    assert_int_equal(slab->remote, 0);
    assert_int_equal(slab->free_count, 1);
    assert_ptr_equal(slab->free, c.head);
    assert_true(hak_slab_is_valid(slab));
}

/* What came in one piece and is half of what is wanted, or more, goes as it came. */
static void slab_take_follows_the_last_batch(void **state) {
    (void)state;
    hak_chain_t a = take(8);
    hak_chain_t b = take(6);
    give(a);
    give(b);
    hak_chain_t got = take(10); /* six are enough of ten */
    assert_int_equal(got.count, 6);
    assert_ptr_equal(got.head, b.head);
    assert_ptr_equal(got.tail, b.tail);
    assert_null(hak_block_next(got.tail));
    assert_true(hak_slab_is_valid(slab));
    give(got);
    assert_int_equal(take(13).count, 13); /* but not of thirteen: those are counted */
    assert_true(hak_slab_is_valid(slab));
    assert_int_equal(slab->free_count, 1);
}

/* Blocks of four slots, the second such slab of its SuperSlab: places are those of its window. */
static void slab_take_follows_a_batch_in_a_wide_slab(void **state) {
    (void)state;
    unsigned cls = hak_class_of(32768);
    (void)hak_pool_acquire(cls, false);
    slab = hak_pool_acquire(cls, false);
    hak_chain_t blocks[4];
    for (int i = 0; i < 4; i++) {
        blocks[i] = take(1);
    }
    give(blocks[0]);
    assert_true(hak_remote_push(slab, blocks[1]));
    assert_false(hak_remote_push(slab, blocks[2]));
    assert_ptr_equal(hak_remote_first(slab, (char *)blocks[3].head + 32767), blocks[2].head);
    assert_int_equal(hak_slab_drain_remote(slab), 2);
    hak_chain_t chain = blocks[3]; /* what is taken is appended */
    assert_int_equal(hak_slab_take(slab, 2, &chain), 2);
    assert_ptr_equal(hak_block_next(blocks[3].head), blocks[2].head);
    assert_ptr_equal(chain.tail, blocks[1].head);
    assert_null(hak_block_next(chain.tail));
    assert_ptr_equal(slab->free, blocks[0].head);
    assert_true(hak_slab_is_valid(slab));
}

static void slab_take_of_a_part_of_a_batch_leaves_the_rest_of_it(void **state) {
    (void)state;
    hak_chain_t a = take(3);
    hak_chain_t b = take(8);
    give(a);
    give(b);
    assert_int_equal(take(5).count, 5);
    assert_int_equal(slab->batch_count, 3);
    assert_true(hak_slab_is_valid(slab));
    hak_chain_t rest = take(4);
    assert_int_equal(rest.count, 3);
    assert_ptr_equal(rest.tail, b.tail);
    assert_ptr_equal(slab->free, a.head);
    assert_int_equal(slab->batch_count, 0);
    assert_true(hak_slab_is_valid(slab));
}

static void slab_is_valid_detects_damage(void **state) {
    (void)state;
    give(take(4));
    slab->free_count = 3;
    assert_false(hak_slab_is_valid(slab));
    slab->free_count = 5;
    assert_false(hak_slab_is_valid(slab));
    slab->free_count = 4;
    assert_true(hak_block_take_stamp(block_at(2)));
    assert_false(hak_slab_is_valid(slab));
    hak_block_set_stamp(block_at(2));
    assert_true(hak_slab_is_valid(slab));
    slab->batch_tail++;
    assert_false(hak_slab_is_valid(slab));
    slab->batch_tail--;
    slab->batch_count = 5;
    assert_false(hak_slab_is_valid(slab));
    slab->batch_count = 0;
    assert_true(hak_slab_is_valid(slab));
    slab->tail = block_at(1);
    assert_false(hak_slab_is_valid(slab));
}

/* ---- Damage that ends the program ------------------------------------------------------------ */

#define LINE 160

static void say_written_to(char line[LINE], const void *block) {
    snprintf(line, LINE,
             "hakmem: free list is corrupt: %p was written to after it was freed (class 3, "
             "64 bytes)\n",
             block);
}

static void take_two(void *argument) {
    (void)argument;
    hak_chain_t chain = {NULL, NULL, 0};
    (void)hak_slab_take(slab, 2, &chain);
    (void)hak_slab_take(slab, 2, &chain);
}

static void slab_take_of_overwritten_link_aborts(void **state) {
    (void)state;
    char line[LINE];
    give(take(8));
    hak_block_set_next(block_at(2), (void *)0x6261); /* the user's "ab" */
    say_written_to(line, block_at(2));
    unit_assert_aborts(take_two, NULL, line);
    hak_block_set_next(block_at(2), block_at(3) + 16); /* inside the slab, inside a block */
    unit_assert_aborts(take_two, NULL, line);
    hak_block_set_next(block_at(2), NULL);
    unit_assert_aborts(take_two, NULL, line);
}

static void drain(void *argument) {
    (void)argument;
    (void)hak_slab_drain_remote(slab);
}

static void drain_and_take_two(void *argument) {
    drain(argument);
    take_two(argument);
}

/* A queue is not walked. A changed link is noticed where a walk comes to it, the last one at once.
 */
static void slab_drain_remote_of_overwritten_link_aborts(void **state) {
    (void)state;
    char line[LINE];
    (void)hak_remote_push(slab, take(6));
    hak_block_set_next(block_at(1), (void *)0x6261626162610000);
    say_written_to(line, block_at(1));
    unit_assert_aborts(drain_and_take_two, NULL, line);
    hak_block_set_next(block_at(1), block_at(2));
    say_written_to(line, block_at(5));
    hak_block_set_next(block_at(5), (void *)0x6261626162610000);
    unit_assert_aborts(drain, NULL, line);
    hak_block_set_next(block_at(5), NULL);
    assert_true(hak_block_take_stamp(block_at(5)));
    unit_assert_aborts(drain, NULL, line);
}

/* By the count all are home; one is in use again. */
static void slab_drain_remote_of_all_but_one_in_use_aborts(void **state) {
    (void)state;
    char line[LINE];
    (void)hak_remote_push(slab, take(6));
    assert_true(hak_block_take_stamp(block_at(3)));
    say_written_to(line, block_at(3));
    unit_assert_aborts(drain, NULL, line);
}

/* The ends of a queue are blocks of the slab, and none of them is home already. */
static void slab_drain_remote_of_what_is_no_block_of_it_aborts(void **state) {
    (void)state;
    char line[LINE];
    hak_chain_t chain = take(6);
    void *beyond = block_at(6);
    hak_block_set_stamp(beyond);
    say_written_to(line, beyond);
    (void)hak_remote_push(slab, (hak_chain_t){beyond, chain.tail, 1});
    unit_assert_aborts(drain, NULL, line);
    (void)hak_remote_take(slab, beyond);
    (void)hak_remote_push(slab, (hak_chain_t){chain.head, beyond, 1});
    unit_assert_aborts(drain, NULL, line);
    (void)hak_remote_take(slab, beyond);
    say_written_to(line, block_at(5));
    hak_slab_give(slab, block_at(5), block_at(5), 1);
    (void)hak_remote_push(slab, (hak_chain_t){block_at(4), block_at(5), 2});
    unit_assert_aborts(drain, NULL, line);
}

static void take_eight(void *argument) {
    (void)argument;
    (void)take(8);
}

static void slab_take_of_a_batch_whose_end_was_overwritten_aborts(void **state) {
    (void)state;
    char line[LINE];
    hak_chain_t a = take(4);
    hak_chain_t b = take(6);
    give(a);
    give(b);
    say_written_to(line, b.tail);
    hak_block_set_next(b.tail, (void *)0x6261626162610000);
    unit_assert_aborts(take_eight, NULL, line);
    hak_block_set_next(b.tail, a.head);
    assert_true(hak_block_take_stamp(b.tail));
    unit_assert_aborts(take_eight, NULL, line);
}

static void slab_drain_remote_of_a_ring_aborts(void **state) {
    (void)state;
    char text[512];
    (void)hak_remote_push(slab, take(4));
    hak_block_set_next(block_at(3), block_at(0));
    int status = unit_child(drain, NULL, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "hakmem: free list is corrupt: "));
}

static void say_too_many(char *line, const void *block) {
    snprintf(line, LINE,
             "hakmem: double free: more blocks came home than went out, near %p (class 3, 64 "
             "bytes)\n",
             block);
}

static void give_one_too_many(void *block) {
    hak_slab_give(slab, block, block, 1);
}

static void slab_give_more_than_went_out_aborts(void **state) {
    (void)state;
    char line[LINE];
    give(take(4));
    say_too_many(line, block_at(1));
    unit_assert_aborts(give_one_too_many, block_at(1), line);
}

static void receive(void *unused) {
    (void)unused;
    (void)hak_slab_receive(slab);
}

/* Two blocks were carved, one of them is home; the queue says that it holds both. */
static void slab_receive_of_more_than_went_out_aborts(void **state) {
    (void)state;
    char line[LINE];
    hak_chain_t a = take(1);
    hak_chain_t b = take(1);
    give(b);
    assert_true(hak_remote_push(slab, (hak_chain_t){a.head, a.tail, 2}));
    say_too_many(line, a.head);
    unit_assert_aborts(receive, NULL, line);
}

static int set_up(void **state) {
    int result = pool_case_set_up(state);
    slab = hak_pool_acquire(CLASS_64, false);
    return result != 0 || slab == NULL;
}

/* The pool checks that a slab is at rest; these ones are not. */
static int tear_down(void **state) {
    (void)state;
    hak_store_relaxed(&slab->remote, 0);
    return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(slab_take_from_fresh_slab_carves_in_order),
        CASE(slab_take_of_every_fresh_class_carves_at_most_a_page),
        CASE(slab_take_of_resident_memory_carves_all_that_is_wanted),
        CASE(slab_populate_makes_pages_resident_at_one_go),
        CASE(slab_populate_refused_changes_nothing),
        CASE(slab_take_does_not_touch_what_it_did_not_carve),
        CASE(slab_take_free_blocks_come_before_carved_ones),
        CASE(slab_take_appends_to_the_chain),
        CASE(slab_give_last_in_is_first_out),
        CASE(slab_give_and_take_keep_the_tail),
        CASE(slab_has_room_until_the_last_block_is_out),
        CASE(slab_holds_starts_of_carved_blocks_only),
        CASE(slab_drain_remote_takes_all_of_the_queue),
        CASE(slab_receive_leaves_the_free_list_alone),
        CASE(slab_take_follows_the_last_batch),
        CASE(slab_take_follows_a_batch_in_a_wide_slab),
        CASE(slab_take_of_a_part_of_a_batch_leaves_the_rest_of_it),
        CASE(slab_is_valid_detects_damage),
        CASE(slab_take_of_overwritten_link_aborts),
        CASE(slab_drain_remote_of_overwritten_link_aborts),
        CASE(slab_drain_remote_of_all_but_one_in_use_aborts),
        CASE(slab_drain_remote_of_what_is_no_block_of_it_aborts),
        CASE(slab_take_of_a_batch_whose_end_was_overwritten_aborts),
        CASE(slab_drain_remote_of_a_ring_aborts),
        CASE(slab_give_more_than_went_out_aborts),
        CASE(slab_receive_of_more_than_went_out_aborts),
    };
    return cmocka_run_group_tests(tests, pool_case_set_up_group, NULL);
}
