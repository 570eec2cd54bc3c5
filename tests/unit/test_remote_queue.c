/* test_remote_queue.c: the queue's transitions, and producers and a consumer that race. */
#include "remote_queue.h"

#include <pthread.h>

#include "unit.h"

#define PRODUCERS 4
#define SLABS 4
#define ROUNDS 200000

typedef struct {
    uintptr_t next, stamp;
    unsigned producer, number;
} block_t;

static hak_slab_t slabs[SLABS];
static hak_slab_t *_Atomic ready;

static void remote_push_on_empty_queue_asks_for_ready_push(void **state) {
    (void)state;
    block_t a = {0};
    block_t b = {0};
    hak_slab_t slab = {0};
    assert_true(hak_remote_push(&slab, &a, &a));
    assert_false(hak_remote_push(&slab, &b, &b));
    assert_ptr_equal(hak_remote_take(&slab), &b);
    assert_ptr_equal(hak_block_next(&b), &a);
    assert_null(hak_block_next(&a));
    assert_null(hak_remote_take(&slab));
    assert_true(hak_remote_push(&slab, &a, &a)); /* empty once more */
    assert_ptr_equal(hak_remote_take(&slab), &a);
}

static void remote_push_of_a_chain_keeps_its_order(void **state) {
    (void)state;
    block_t blocks[4] = {{0}};
    hak_slab_t slab = {0};
    (void)hak_remote_push(&slab, &blocks[3], &blocks[3]);
    hak_block_set_next(&blocks[0], &blocks[1]);
    hak_block_set_next(&blocks[1], &blocks[2]);
    (void)hak_remote_push(&slab, &blocks[0], &blocks[2]);
    void *block = hak_remote_take(&slab);
    for (int i = 0; i < 4; i++) {
        assert_ptr_equal(block, &blocks[i]);
        block = hak_block_next(block);
    }
    assert_null(block);
}

static void ready_list_takes_all_at_once(void **state) {
    (void)state;
    hak_slab_t three[3] = {{0}};
    assert_null(hak_ready_take_all(&ready));
    for (int i = 0; i < 3; i++) {
        hak_ready_push(&ready, &three[i]);
    }
    hak_slab_t *slab = hak_ready_take_all(&ready);
    for (int i = 2; i >= 0; i--) {
        assert_ptr_equal(slab, &three[i]);
        slab = hak_load_relaxed(&slab->ready_next);
    }
    assert_null(slab);
    assert_null(hak_ready_take_all(&ready));
}

/* ---- A race -------------------------------------------------------------------------------------- */

/* A block goes back to its producer by this flag; what it holds in between tells whose it is. */
static block_t pool[PRODUCERS][64];
static _Atomic bool in_queue[PRODUCERS][64];
static _Atomic unsigned ended;
static unsigned long pushed[PRODUCERS];

static void *produce(void *argument) {
    unsigned me = (unsigned)(uintptr_t)argument;
    uint64_t seed = me + 1;
    unsigned number = 0;
    while (number < ROUNDS) {
        unsigned i = (unsigned)unit_below(&seed, 64);
        unsigned j = (unsigned)unit_below(&seed, 64);
        if (hak_load_acquire(&in_queue[me][i]) || hak_load_acquire(&in_queue[me][j])) {
            hak_cpu_relax();
            continue;
        }
        hak_store_relaxed(&in_queue[me][i], true);
        hak_store_relaxed(&in_queue[me][j], true);
        pool[me][i].number = pool[me][j].number = ++number;
        pool[me][i].producer = pool[me][j].producer = me;
        if (i != j) { /* a chain of two */
            hak_block_set_next(&pool[me][i], &pool[me][j]);
        }
        pushed[me] += i != j ? 2 : 1;
        hak_slab_t *slab = &slabs[unit_below(&seed, SLABS)];
        if (hak_remote_push(slab, &pool[me][i], &pool[me][j])) {
            hak_ready_push(&ready, slab);
        }
    }
    hak_add_relaxed(&ended, 1);
    return NULL;
}

/* Takes slabs off the ready list first and empties their queues second. */
static unsigned long consume(unsigned newest[PRODUCERS]) {
    unsigned long count = 0;
    hak_slab_t *slab = hak_ready_take_all(&ready);
    while (slab != NULL) {
        hak_slab_t *next = hak_load_relaxed(&slab->ready_next);
        block_t *block = hak_remote_take(slab);
        assert_non_null(block); /* on the ready list means not empty */
        while (block != NULL) {
            block_t *after = hak_block_next(block);
            unsigned producer = block->producer;
            size_t index = (size_t)(block - pool[producer]);
            assert_true(producer < PRODUCERS && index < 64);
            assert_true(hak_load_relaxed(&in_queue[producer][index])); /* once only */
            newest[producer] = block->number > newest[producer] ? block->number : newest[producer];
            hak_store_release(&in_queue[producer][index], false);
            block = after;
            count++;
        }
        slab = next;
    }
    return count;
}

static void remote_queue_four_producers_lose_nothing(void **state) {
    (void)state;
    pthread_t threads[PRODUCERS];
    unsigned newest[PRODUCERS] = {0};
    unsigned long taken = 0;
    unsigned long all = 0;
    for (uintptr_t t = 0; t < PRODUCERS; t++) {
        assert_int_equal(pthread_create(&threads[t], NULL, produce, (void *)t), 0);
    }
    while (hak_load_acquire(&ended) < PRODUCERS) {
        taken += consume(newest);
    }
    for (unsigned t = 0; t < PRODUCERS; t++) {
        pthread_join(threads[t], NULL);
        all += pushed[t];
    }
    taken += consume(newest);
    assert_int_equal(taken, all);
    for (unsigned t = 0; t < PRODUCERS; t++) {
        assert_int_equal(newest[t], ROUNDS);
        for (unsigned i = 0; i < 64; i++) {
            assert_false(hak_load_relaxed(&in_queue[t][i]));
        }
    }
    for (unsigned i = 0; i < SLABS; i++) {
        assert_int_equal(slabs[i].remote, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remote_push_on_empty_queue_asks_for_ready_push),
        cmocka_unit_test(remote_push_of_a_chain_keeps_its_order),
        cmocka_unit_test(ready_list_takes_all_at_once),
        cmocka_unit_test(remote_queue_four_producers_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
