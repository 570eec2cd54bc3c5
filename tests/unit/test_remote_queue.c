/* test_remote_queue.c: the queue's transitions, and producers and a consumer that race. */
#include "remote_queue.h"

#include <pthread.h>

#include "unit.h"

#define PRODUCERS 4
#define SLABS 4
#define ROUNDS 200000

typedef struct {
    _Alignas(HAK_ALIGNMENT) uintptr_t next;
    uintptr_t stamp;
    unsigned producer, number;
} block_t;

static hak_slab_t slabs[SLABS];
static hak_slab_t *_Atomic ready;

/* A slab lies in one window, and so do these. */
static _Alignas(HAK_SLAB_BYTES_MAX) block_t window[HAK_SLAB_BYTES_MAX / sizeof(block_t)];
#define LAST (HAK_SLAB_BYTES_MAX / sizeof(block_t) - 1)

static void remote_push_on_empty_queue_asks_for_ready_push(void **state) {
    (void)state;
    assert_int_equal((uintptr_t)window % HAK_SLAB_BYTES_MAX, 0); /* old kernels load it elsewhere */
    block_t *a = &window[0];
    block_t *b = &window[LAST];
    hak_slab_t slab = {0};
    assert_true(hak_remote_push(&slab, (hak_chain_t){a, a, 1}));
    assert_false(hak_remote_push(&slab, (hak_chain_t){b, b, 1}));
    hak_chain_t queue = hak_remote_take(&slab, window);
    assert_ptr_equal(queue.head, b);
    assert_ptr_equal(hak_block_next(b), a);
    assert_ptr_equal(queue.tail, a);
    assert_null(hak_block_next(a));
    assert_int_equal(queue.count, 2);
    assert_null(hak_remote_take(&slab, window).head);
    assert_true(hak_remote_push(&slab, (hak_chain_t){a, a, 1})); /* empty once more */
    assert_ptr_equal(hak_remote_first(&slab, &window[LAST]), a);
    assert_ptr_equal(hak_remote_take(&slab, b).head, a);
}

static void remote_push_of_a_chain_keeps_its_order(void **state) {
    (void)state;
    block_t *blocks = &window[5];
    hak_slab_t slab = {0};
    (void)hak_remote_push(&slab, (hak_chain_t){&blocks[3], &blocks[3], 1});
    hak_block_set_next(&blocks[0], &blocks[1]);
    hak_block_set_next(&blocks[1], &blocks[2]);
    (void)hak_remote_push(&slab, (hak_chain_t){&blocks[0], &blocks[2], 3});
    hak_chain_t queue = hak_remote_take(&slab, window);
    assert_int_equal(queue.count, 4);
    assert_ptr_equal(queue.tail, &blocks[3]);
    void *block = queue.head;
    for (int i = 0; i < 4; i++) {
        assert_ptr_equal(block, &blocks[i]);
        block = hak_block_next(block);
    }
    assert_null(block);
}

/* As many as a slab can have, one by one. */
static void remote_queue_counts_a_whole_slab(void **state) {
    (void)state;
    hak_slab_t slab = {0};
    char *base = (char *)window;
    for (unsigned i = 0; i < HAK_SLAB_BYTES_MAX / HAK_ALIGNMENT; i++) {
        void *block = base + (size_t)i * HAK_ALIGNMENT;
        assert_int_equal(hak_remote_push(&slab, (hak_chain_t){block, block, 1}), i == 0);
    }
    hak_chain_t queue = hak_remote_take(&slab, base);
    assert_int_equal(queue.count, HAK_SLAB_BYTES_MAX / HAK_ALIGNMENT);
    assert_ptr_equal(queue.head, base + HAK_SLAB_BYTES_MAX - HAK_ALIGNMENT);
    assert_ptr_equal(queue.tail, base);
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

/* ---- A race ---------------------------------------------------------------------------------- */

/* A block goes back to its producer by this flag; what it holds in between tells whose it is. */
static _Alignas(HAK_SLAB_BYTES_MAX) block_t pool[PRODUCERS][64];
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
        hak_chain_t chain = {&pool[me][i], &pool[me][j], i != j ? 2 : 1};
        if (hak_remote_push(slab, chain)) {
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
        hak_chain_t queue = hak_remote_take(slab, pool);
        assert_int_not_equal(queue.count, 0); /* on the ready list means not empty */
        block_t *block = queue.head;
        unsigned seen = 0;
        while (block != NULL) {
            block_t *after = hak_block_next(block);
            assert_int_equal(after == NULL, block == queue.tail);
            seen++;
            unsigned producer = block->producer;
            size_t index = (size_t)(block - pool[producer]);
            assert_true(producer < PRODUCERS && index < 64);
            assert_true(hak_load_relaxed(&in_queue[producer][index])); /* once only */
            newest[producer] = block->number > newest[producer] ? block->number : newest[producer];
            hak_store_release(&in_queue[producer][index], false);
            block = after;
            count++;
        }
        assert_int_equal(seen, queue.count);
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
        cmocka_unit_test(remote_queue_counts_a_whole_slab),
        cmocka_unit_test(ready_list_takes_all_at_once),
        cmocka_unit_test(remote_queue_four_producers_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
