/* test_heap_threads.c: remote frees, exits, orphans, adoption, late calls, fork. */
#include "heap_case.h"

#include "home.h"
#include "os.h"
#include "remote_queue.h"

#define BIG 8192 /* one slot, 8 blocks a slab */

static void *nothing(void *argument) {
    return argument;
}

UNIT_CHILD(heap_remote_free_goes_home_in_batches) {
    static void *blocks[100];
    allocate(blocks, 100, 64);
    in_thread(thread_frees, &(work_t){blocks, 100, 0});
    CHECK(tallied(remote_blocks) == 100);
    CHECK(tallied(remote_batches) <= 3); /* at most two intervals and the exit */
    hak_heap_trim();
    CHECK(slots_active() == 0);
    CHECK(live_blocks() == 0);
}

UNIT_CHILD(heap_remote_free_to_a_sleeping_owner_is_helped) {
    static void *blocks[8 * 40];
    allocate(blocks, 8 * 40, BIG);
    CHECK(slots_active() == 40);
    in_thread(thread_frees, &(work_t){blocks, 8 * 40, 0});
    CHECK(tallied(helped) != 0); /* the owner did nothing */
    CHECK(slots_active() <= HAK_ASLEEP_SLOTS);
}

/* ---- Slabs that wait ---- */

#define SMALL 512

/* Of the small class there is a slab with room, and of the big one as many as blocks / 8. */
static void allocate_big(void **blocks, size_t count) {
    hak_options.common = 0;
    (void)hak_malloc(SMALL);
    allocate(blocks, count, BIG);
    CHECK(own_blocks() <= 1);
}

static void refill_small(void) {
    uint64_t before = tallied(refills);
    while (tallied(refills) == before) {
        CHECK(hak_malloc(SMALL) != NULL);
    }
}

/* One block of each slab from first on. */
static void free_elsewhere(void **blocks, size_t first, size_t slabs) {
    void *chosen[8];
    for (size_t i = 0; i < slabs; i++) {
        chosen[i] = blocks[8 * (first + i)];
    }
    in_thread(thread_frees, &(work_t){chosen, slabs, 0});
}

UNIT_CHILD(heap_refill_leaves_queues_of_other_classes) {
    static void *blocks[8];
    allocate_big(blocks, 8);
    hak_slab_t *slab = slab_of(blocks[0]);
    in_thread(thread_frees, &(work_t){blocks, 6, 0});
    refill_small();
    CHECK(hak_tls_heap->waiting_slots == 1 && own_shelf(BIG)->waiting == slab);
    CHECK(hak_remote_first(slab, blocks[0]) != NULL && slab->free_count == 0);
    CHECK(hak_heap_is_valid());
    in_thread(thread_frees, &(work_t){blocks + 6, 1, 0}); /* while it waits */
    CHECK(hak_load_relaxed(&hak_tls_heap->ready) == NULL);
    CHECK(slab_of(hak_malloc(BIG)) == slab); /* all seven came */
    CHECK(hak_tls_heap->waiting_slots == 0 && own_shelf(BIG)->waiting == NULL);
    CHECK(hak_remote_first(slab, blocks[0]) == NULL && slab->free_count == 0);
    CHECK(chain_length(own_bin(BIG)->head) == 6);
    CHECK(hak_heap_is_valid());
}

UNIT_CHILD(heap_refill_of_few_takes_no_whole_queue) {
    static void *blocks[100];
    hak_options.refill = 4;
    allocate(blocks, 100, 64);
    in_thread(thread_frees, &(work_t){blocks, 100, 0});
    CHECK(hak_malloc(64) != NULL);
    CHECK(own_blocks() <= 3);
    CHECK(hak_heap_is_valid());
}

/* Where an interval is short: a queue is the slab's, not the bin's. */
UNIT_CHILD(heap_queue_of_too_many_comes_home) {
    static void *blocks[64];
    hak_options.common = 0;
    allocate(blocks, 63, 1024);
    hak_slab_t *slab = slab_of(blocks[0]);
    CHECK(hak_load_relaxed(&slab->carved) == 63);
    own_bin(1024)->interval = 4;
    own_shelf(1024)->refilled = 0; /* so that the interval stays as it is */
    in_thread(thread_frees, &(work_t){blocks, 40, 0});
    CHECK(hak_remote_count(hak_load_relaxed(&slab->remote)) == 40);
    CHECK(hak_malloc(1024) != NULL); /* 40 are more than eight intervals */
    CHECK(own_blocks() < 32 && slab->free_count >= 8);
    CHECK(hak_heap_is_valid());
}

UNIT_CHILD(heap_what_waits_comes_home_before_a_new_slab) {
    static void *blocks[8];
    allocate_big(blocks, 8);
    in_thread(thread_frees, &(work_t){blocks, 8, 0});
    refill_small();
    CHECK(own_shelf(BIG)->waiting != NULL && own_shelf(BIG)->slab_count == 1);
    CHECK(hak_malloc(SMALL / 2) != NULL); /* the first of its class */
    CHECK(own_shelf(BIG)->waiting == NULL && own_shelf(BIG)->slab_count == 0);
    CHECK(hak_heap_is_valid());
}

static uint32_t clock_ms = 1000000;

static uint32_t own_clock_ms(void) {
    return clock_ms;
}

UNIT_CHILD(heap_nothing_waits_for_long) {
    static void *blocks[8 * 4];
    hak_os.now_ms = own_clock_ms;
    allocate_big(blocks, 8 * 4);
    free_elsewhere(blocks, 0, 2);
    refill_small();
    CHECK(hak_tls_heap->waiting_slots == 2);
    clock_ms += HAK_AWAKE_MS - 1;
    free_elsewhere(blocks, 2, 1);
    refill_small();
    CHECK(hak_tls_heap->waiting_slots == 3);
    clock_ms += 1;
    refill_small();
    CHECK(hak_tls_heap->waiting_slots == 0);
    for (size_t i = 0; i < 3; i++) {
        CHECK(slab_of(blocks[8 * i])->free_count == 1);
    }
    CHECK(hak_heap_is_valid());
}

UNIT_CHILD(heap_no_more_waits_than_so_many_slots) {
    static void *blocks[8 * HAK_AWAKE_SLOTS];
    hak_os.now_ms = own_clock_ms;
    allocate_big(blocks, 8 * HAK_AWAKE_SLOTS);
    for (size_t i = 0; i + 2 < HAK_AWAKE_SLOTS / 2; i += 2) {
        free_elsewhere(blocks, i, 2);
        refill_small();
        CHECK(hak_tls_heap->waiting_slots == i + 2);
    }
    free_elsewhere(blocks, HAK_AWAKE_SLOTS / 2 - 2, 2);
    refill_small();
    CHECK(hak_tls_heap->waiting_slots == 0);
    CHECK(tallied(helped) == 0);
    CHECK(hak_heap_is_valid());
}

UNIT_CHILD(heap_is_valid_sees_slabs_that_wait_wrongly) {
    static void *blocks[8];
    allocate_big(blocks, 8);
    in_thread(thread_frees, &(work_t){blocks, 6, 0});
    refill_small();
    hak_heap_t *heap = hak_tls_heap;
    hak_shelf_t *shelf = own_shelf(BIG);
    hak_slab_t *slab = shelf->waiting;
    CHECK(hak_heap_is_valid());
    heap->waiting_slots++;
    CHECK(!hak_heap_is_valid());
    heap->waiting_slots--;
    shelf->waiting = NULL;
    own_shelf(SMALL)->waiting = slab;
    CHECK(!hak_heap_is_valid());
    own_shelf(SMALL)->waiting = NULL;
    shelf->waiting = slab;
    hak_store_relaxed(&slab->ready_next, slab); /* runs in a circle */
    CHECK(!hak_heap_is_valid());
    hak_store_relaxed(&slab->ready_next, NULL);
    CHECK(hak_heap_is_valid());
}

/* However awake: so much is too much. */
UNIT_CHILD(heap_owner_that_is_awake_is_helped_with_many) {
    static void *blocks[8 * (HAK_AWAKE_SLOTS + 1)];
    hak_os.now_ms = own_clock_ms;
    allocate_big(blocks, 8 * (HAK_AWAKE_SLOTS + 1));
    free_elsewhere(blocks, HAK_AWAKE_SLOTS, 1);
    refill_small(); /* it looks, and one slab waits */
    for (size_t i = 0; i + 8 < HAK_AWAKE_SLOTS; i += 8) {
        free_elsewhere(blocks, i, 8);
    }
    CHECK(tallied(helped) == 0);
    free_elsewhere(blocks, HAK_AWAKE_SLOTS - 8, 8);
    CHECK(tallied(helped) != 0);
    CHECK(hak_tls_heap->waiting_slots == 0);
    CHECK(hak_heap_is_valid());
}

/* An owner that looked a moment ago will look again; one that did not is asleep. */
UNIT_CHILD(heap_owner_that_is_awake_is_not_helped) {
    static void *blocks[8 * 8];
    hak_os.now_ms = own_clock_ms;
    allocate_big(blocks, 8 * 8);
    free_elsewhere(blocks, 0, 1);
    refill_small();
    free_elsewhere(blocks, 1, 5);
    CHECK(tallied(helped) == 0);
    CHECK(slab_of(blocks[0])->free_count == 0);
    clock_ms += HAK_AWAKE_MS;
    free_elsewhere(blocks, 6, 1);
    CHECK(tallied(helped) != 0);
    for (size_t i = 0; i < 7; i++) {
        CHECK(slab_of(blocks[8 * i])->free_count == 1); /* what waited came home, too */
    }
    CHECK(hak_tls_heap->waiting_slots == 0);
    CHECK(hak_heap_is_valid());
}

/* ---- What a thread that only frees holds back, before it ends ---- */

#define MANY (64 * 124) /* of 512 bytes: 64 slabs */

static void shuffle(void **blocks, size_t count) {
    uint64_t state = 1;
    for (size_t i = count - 1; i > 0; i--) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        size_t j = (size_t)(state >> 33) % (i + 1);
        void *p = blocks[i];
        blocks[i] = blocks[j];
        blocks[j] = p;
    }
}

/* A block that lives on keeps the end from being seen, not the slabs from going home. */
UNIT_CHILD(heap_free_of_many_but_one_leaves_few_slabs) {
    static void *blocks[MANY];
    allocate(blocks, MANY, 512);
    shuffle(blocks + 1, MANY - 1);
    CHECK(slots_active() == 64);
    for (size_t i = 1; i < MANY; i++) {
        hak_free(blocks[i]);
    }
    CHECK(slots_active() <= 3);
    hak_free(blocks[0]);
}

typedef struct {
    work_t work;
    size_t held;    /* out: blocks in the bins, */
    bool scattered; /* and whether they are taken for scattered ones */
} taker_t;

static void *takes(void *argument) {
    taker_t *taker = argument;
    thread_frees(&taker->work);
    taker->held = own_blocks();
    taker->scattered = own_shelf(taker->work.size)->scattered != 0;
    CHECK(hak_heap_is_valid());
    return NULL;
}

UNIT_CHILD(heap_remote_frees_at_random_are_not_held_back) {
    static void *blocks[MANY];
    allocate(blocks, MANY, 512);
    CHECK(slots_active() == 64);
    shuffle(blocks, MANY);
    taker_t taker = {.work = {blocks, MANY / 2, 512}};
    in_thread(takes, &taker);
    CHECK(taker.scattered);
    CHECK(taker.held <= 8);
    CHECK(tallied(drains) <= MANY / 2 / 4);
}

UNIT_CHILD(heap_remote_frees_at_random_of_many_classes_are_held_back_together) {
    enum { EACH = 4096, SOME = 6 }; /* 32 slabs of a class at least */
    static void *blocks[SOME * EACH];
    for (size_t i = 0; i < SOME; i++) {
        allocate(&blocks[i * EACH], EACH, 512 + 64 * i);
    }
    shuffle(blocks, SOME * EACH);
    taker_t taker = {.work = {blocks, SOME * EACH / 2, 512}};
    in_thread(takes, &taker);
    CHECK(taker.held <= 24);
}

UNIT_CHILD(heap_remote_frees_in_order_are_gathered) {
    static void *blocks[MANY];
    allocate(blocks, MANY, 512);
    taker_t taker = {.work = {blocks, MANY, 512}};
    in_thread(takes, &taker);
    CHECK(!taker.scattered);
    CHECK(tallied(remote_batches) <= MANY / 16);
}

static void *takes_at_random_then_in_order(void *argument) {
    taker_t *taker = argument;
    takes(argument);
    CHECK(taker->scattered);
    void **more = taker->work.blocks + taker->work.count;
    taker->work = (work_t){more, 2 * MANY, 512};
    return takes(argument);
}

UNIT_CHILD(heap_remote_frees_in_order_after_some_at_random_are_gathered_again) {
    static void *blocks[3 * MANY];
    allocate(blocks, 3 * MANY, 512);
    shuffle(blocks, MANY);
    taker_t taker = {.work = {blocks, MANY, 512}};
    in_thread(takes_at_random_then_in_order, &taker);
    CHECK(!taker.scattered);
}

static void *takes_at_random_then_allocates(void *argument) {
    taker_t *taker = argument;
    takes(argument);
    CHECK(taker->scattered);
    for (size_t i = 0; i < 16; i++) {
        CHECK(hak_malloc(taker->work.size) != NULL);
    }
    CHECK(own_shelf(taker->work.size)->scattered == 0);
    CHECK(own_shelf(taker->work.size)->recycles);
    return NULL;
}

UNIT_CHILD(heap_refill_ends_the_haste_of_scattered_frees) {
    static void *blocks[MANY];
    allocate(blocks, MANY, 512);
    shuffle(blocks, MANY);
    taker_t taker = {.work = {blocks, MANY / 2, 512}};
    in_thread(takes_at_random_then_allocates, &taker);
}

UNIT_CHILD(heap_frees_of_own_blocks_at_random_are_not_scattered) {
    static void *blocks[MANY];
    allocate(blocks, MANY, 512);
    shuffle(blocks, MANY);
    taker_t taker = {.work = {blocks, MANY, 512}};
    takes(&taker);
    CHECK(!taker.scattered);
    CHECK(slots_active() == 0);
}

typedef struct {
    void *blocks[70]; /* of 1,024 bytes: 63 fill a slab */
} circle_t;

/* A block that is in a bin already, its stamp gone, is freed again: its chain comes back to it. */
static void *frees_in_a_circle(void *argument) {
    circle_t *circle = argument;
    unsigned cls = hak_class_of(1024);
    hak_free(circle->blocks[0]);
    hak_free(circle->blocks[69]);
    memset((char *)circle->blocks[0] + sizeof(void *), 0, sizeof(void *));
    hak_free(circle->blocks[0]);
    hak_heap_t *heap = hak_tls_heap;
    CHECK(slab_of(circle->blocks[0]) != slab_of(circle->blocks[69]));
    CHECK(hak_bins_reserve(&heap->shelves[cls]) == NULL);
    hak_lock(&heap->lock);
    (void)hak_home_send_each_locked(heap, cls, hak_take(&hak_heap_bin(heap, cls)->head));
    hak_unlock(&heap->lock);
    return NULL;
}

static void send_a_circle(void *unused) {
    circle_t circle;
    (void)unused;
    allocate(circle.blocks, 70, 1024);
    in_thread(frees_in_a_circle, &circle);
}

static void heap_circle_of_scattered_blocks_is_noticed(void **state) {
    char text[4096];
    (void)state;
    int status = unit_child(send_a_circle, NULL, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "double free: a block came home twice"));
}

UNIT_CHILD(heap_exit_makes_an_orphan) {
    void *blocks[3];
    void *own = hak_malloc(1);
    in_thread(thread_allocates, &(work_t){blocks, 3, 100});
    CHECK(orphan_count() == 1);
    CHECK(hak_heap_count(&(size_t){0}) == 2);
    CHECK(live_blocks() == 4);
    CHECK(((unsigned char *)blocks[2])[99] == 0x5A);
    hak_free(own);
    release(blocks, 3);
}

UNIT_CHILD(heap_exit_without_live_blocks_keeps_no_slab) {
    void *blocks[300];
    work_t work = {blocks, 300, 200};
    (void)hak_heap_get();
    hak_options.common = 0;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, thread_allocates, &work) == 0);
    pthread_join(thread, NULL);
    CHECK(slots_active() == 1);
    in_thread(thread_frees, &work); /* by the very heap: the new thread took it over */
    CHECK(slots_active() == 0);
    CHECK(hak_heap_count(&(size_t){0}) == 2);
}

UNIT_CHILD(heap_of_new_thread_is_an_orphan_taken_over_whole) {
    void *blocks[3];
    (void)hak_heap_get();
    for (int i = 0; i < 200; i++) {
        in_thread(thread_allocates, &(work_t){blocks, 3, 64});
    }
    CHECK(hak_heap_count(&(size_t){0}) == 2);
    CHECK(orphan_count() == 1);
    CHECK(slots_active() == 1); /* 600 blocks of 64 bytes: one slab */
    CHECK(live_blocks() == 600);
}

UNIT_CHILD(heap_refill_adopts_an_orphans_slab) {
    void *blocks[3];
    (void)hak_heap_get();
    hak_options.common = 0;
    in_thread(thread_allocates, &(work_t){blocks, 3, 500});
    uint64_t acquisitions = pool_acquisitions();
    void *p = hak_malloc(500);
    CHECK(slab_of(p) == slab_of(blocks[0]));
    CHECK(slab_of(p)->owner == hak_tls_heap);
    CHECK(hak_counters.adopted_slabs == 1);
    CHECK(pool_acquisitions() == acquisitions);
    for (int i = 0; i < 3; i++) {
        CHECK(((unsigned char *)blocks[i])[499] == 0x5A);
    }
    hak_free(p);
    release(blocks, 3); /* own blocks by now */
    hak_heap_trim();
    CHECK(slots_active() == 0);
    CHECK(tallied(remote_batches) == 0);
}

/* ---- Slabs that all threads share ---- */

static void *takes_from_common(void *argument) {
    work_t *work = argument;
    thread_allocates(work);
    CHECK(slab_of(work->blocks[0])->owner->shared);
    CHECK(own_shelf(work->size)->slab_count == 0);
    CHECK(hak_heap_is_valid());
    return NULL;
}

UNIT_CHILD(heap_first_blocks_of_many_threads_share_a_slab) {
    static void *blocks[50][3];
    (void)hak_heap_get();
    for (int i = 0; i < 50; i++) {
        in_thread(takes_from_common, &(work_t){blocks[i], 3, 100});
        CHECK(slab_of(blocks[i][2]) == slab_of(blocks[0][0]));
    }
    CHECK(slots_active() == 1);
    CHECK(orphan_count() == 1 && hak_heap_count(&(size_t){0}) == 2); /* the common one is none */
    for (int i = 0; i < 50; i++) {
        release(blocks[i], 3);
    }
    hak_heap_trim();
    CHECK(slots_active() == 0 && live_blocks() == 0);
}

/* What others left of the common slabs is of use to who has slabs of his own. */
UNIT_CHILD(heap_adopts_common_slabs_but_for_one) {
    static void *blocks[100][3];
    void *own = hak_malloc(1024);
    for (int i = 0; i < 100; i++) { /* each has 3 and leaves them: five slabs */
        in_thread(takes_from_common, &(work_t){blocks[i], 3, 1024});
    }
    for (int i = 0; i < 100; i++) {
        release(blocks[i], 2);
    }
    hak_heap_trim();
    size_t slabs = slots_active();
    static void *more[120];
    allocate(more, 120, 1024);
    CHECK(slots_active() <= slabs);
    CHECK(hak_counters.adopted_slabs >= 2);
    CHECK(hak_heap_is_valid());
    hak_free(own);
}

static void *borrows_and_frees(void *unused) {
    void *blocks[20];
    allocate(blocks, 20, 64);
    release(blocks, 20);
    CHECK(slab_of(blocks[0])->owner->shared);
    CHECK(own_blocks() != 0); /* they are not taken for another thread's */
    allocate(blocks, 1, 64);
    CHECK(!own_shelf(64)->recycles && tallied(flushes) == 0);
    hak_free(blocks[0]);
    return unused;
}

UNIT_CHILD(heap_keeps_common_blocks_like_its_own) {
    (void)hak_heap_get();
    in_thread(borrows_and_frees, NULL);
}

static void *takes_a_page(void *argument) {
    void **blocks = argument;
    allocate(blocks, 41, 112); /* 4 KiB are 36 */
    CHECK(slab_of(blocks[35])->owner->shared);
    CHECK(slab_of(blocks[36])->owner == hak_tls_heap);
    CHECK(own_shelf(112)->borrowed == 36);
    void *wide = hak_malloc(4096);
    CHECK(slab_of(wide)->owner == hak_tls_heap);
    hak_free(wide);
    return NULL;
}

UNIT_CHILD(heap_takes_a_page_of_a_class_from_common_slabs_at_most) {
    static void *blocks[41];
    (void)hak_heap_get();
    in_thread(takes_a_page, blocks);
    release(blocks, 41);
    hak_heap_trim();
    CHECK(slots_active() == 0);
}

static void *finds_common_busy(void *unused) {
    void *shared = hak_malloc(100);
    hak_heap_t *common = slab_of(shared)->owner;
    CHECK(common->shared);
    hak_lock(&common->lock); /* as another thread might for long */
    void *own = hak_malloc(200);
    hak_unlock(&common->lock);
    CHECK(slab_of(own)->owner == hak_tls_heap);
    hak_free(shared);
    hak_free(own);
    return unused;
}

UNIT_CHILD(heap_does_not_wait_for_the_common_heap) {
    (void)hak_heap_get();
    in_thread(finds_common_busy, NULL);
    CHECK(slots_active() == 0 && live_blocks() == 0);
}

UNIT_CHILD(heap_common_is_no_orphan_of_a_fork) {
    void *blocks[3];
    (void)hak_heap_get();
    in_thread(takes_from_common, &(work_t){blocks, 3, 100});
    pid_t child = fork();
    if (child == 0) {
        CHECK(orphan_count() == 1);
        in_thread(takes_from_common, &(work_t){blocks, 3, 100});
        CHECK(hak_heap_is_valid());
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

UNIT_CHILD(heap_option_common_0_shares_nothing) {
    void *blocks[3];
    (void)hak_heap_get();
    hak_options.common = 0;
    in_thread(thread_allocates, &(work_t){blocks, 3, 100});
    CHECK(!slab_of(blocks[0])->owner->shared);
}

UNIT_CHILD(heap_free_of_an_orphans_last_block_releases_its_slab) {
    void *blocks[8];
    (void)hak_heap_get();
    in_thread(thread_allocates, &(work_t){blocks, 8, BIG});
    CHECK(slots_active() == 1);
    release(blocks, 7);
    hak_heap_trim();
    CHECK(slots_active() == 1);
    hak_free(blocks[7]);
    hak_heap_trim();
    CHECK(slots_active() == 0);
    CHECK(live_blocks() == 0);
}

UNIT_CHILD(heap_block_is_free_finds_it_in_another_threads_bin) {
    /* The child of a fork has other threads' bins as they were: here, one with a block. */
    void *blocks[8];
    allocate(blocks, 8, BIG);
    hak_bin_t *bin = own_bin(BIG);
    hak_free(blocks[3]);
    CHECK(bin->head == blocks[3]);
    hak_heap_t *mine = hak_tls_heap;
    hak_tls_heap = HAK_HEAP_NONE;
    CHECK(hak_heap_get() != mine); /* as another thread would see it */
    CHECK(hak_heap_block_is_free(blocks[3], hak_class_of(BIG)));
    CHECK(!hak_heap_block_is_free(blocks[4], hak_class_of(BIG)));
}

/* ---- Late in a thread's life ----------------------------------------------------------------- */

static pthread_key_t late_key;
static void *late_result;
static void *late_victim;

/* Comes back until the heap is gone, then allocates and frees as a late destructor may. */
static void late_destructor(void *rounds) {
    if (hak_tls_heap != HAK_HEAP_LATE) {
        CHECK((uintptr_t)rounds < 4);
        CHECK(pthread_setspecific(late_key, (char *)rounds + 1) == 0);
        return;
    }
    CHECK(hak_heap_get() == NULL);
    char *a = hak_malloc(64);
    char *b = hak_calloc(10, 1000);
    char *c = hak_malloc(100000);
    CHECK(a != NULL && b != NULL && c != NULL);
    memset(a, 1, 64);
    b = hak_realloc(b, 20000);
    CHECK(b != NULL && b[9999] == 0);
    CHECK(hak_usable_size(a) == 64);
    hak_free(b);
    hak_free(c);
    hak_free(late_victim);
    late_result = a;
}

static void *thread_with_late_destructor(void *argument) {
    CHECK(pthread_setspecific(late_key, argument) == 0);
    late_victim = hak_malloc(48);
    return NULL;
}

UNIT_CHILD(heap_late_calls_after_exit_work_and_leave_nothing) {
    CHECK(pthread_key_create(&late_key, late_destructor) == 0);
    (void)hak_heap_get();
    for (int i = 0; i < 50; i++) {
        late_result = NULL;
        in_thread(thread_with_late_destructor, (void *)1);
        CHECK(late_result != NULL);
        CHECK(((char *)late_result)[63] == 1);
        hak_free(late_result);
    }
    hak_heap_trim();
    CHECK(live_blocks() == 0);
    CHECK(slots_active() == 0);
    CHECK(hak_heap_count(&(size_t){0}) <= 2);
}

/* ---- Fork -------------------------------------------------------------------------------------- */

#define PARKED 4

static pthread_barrier_t parked, leave;
static void *parked_blocks[PARKED][20];

static void *park(void *argument) {
    void **blocks = argument;
    allocate(blocks, 20, BIG);
    for (int i = 0; i < 2; i++) { /* some stay in this thread's bin */
        hak_free(blocks[i]);
    }
    pthread_barrier_wait(&parked);
    pthread_barrier_wait(&leave);
    return NULL;
}

static void check_forked_child(void) {
    CHECK(hak_counters.forks == 1);
    CHECK(orphan_count() == PARKED);
    CHECK(hak_heap_count(&(size_t){0}) == PARKED + 1);
    for (int t = 0; t < PARKED; t++) {
        CHECK(((char *)parked_blocks[t][19])[BIG - 1] == 0x5A);
        for (int i = 2; i < 20; i++) {
            hak_free(parked_blocks[t][i]);
        }
    }
    hak_heap_trim();
    CHECK(live_blocks() == 0); /* what lay in the lost threads' bins came home, too */
    CHECK(slots_active() == 0);
    void *block = NULL;
    in_thread(thread_allocates, &(work_t){&block, 1, 64});
    hak_free(block);
    CHECK(hak_malloc(1000000) != NULL);
    CHECK(hak_pool_is_valid());
}

UNIT_CHILD(heap_fork_child_finds_locks_free_and_orphans) {
    pthread_t threads[PARKED];
    void *own = hak_malloc(100);
    pthread_barrier_init(&parked, NULL, PARKED + 1);
    pthread_barrier_init(&leave, NULL, PARKED + 1);
    for (int t = 0; t < PARKED; t++) {
        CHECK(pthread_create(&threads[t], NULL, park, parked_blocks[t]) == 0);
    }
    pthread_barrier_wait(&parked);
    pid_t child = fork();
    if (child == 0) {
        hak_free(own);
        check_forked_child();
        _exit(0);
    }
    CHECK(unit_wait(child, 20) == 0);
    CHECK(orphan_count() == 0); /* the parent saw nothing of it */
    pthread_barrier_wait(&leave);
    for (int t = 0; t < PARKED; t++) {
        pthread_join(threads[t], NULL);
    }
    CHECK(orphan_count() == PARKED);
    hak_free(own);
}

static void *park_with_full_slab(void *argument) {
    allocate(argument, 8, BIG);
    CHECK(own_blocks() == 0);
    pthread_barrier_wait(&parked);
    pthread_barrier_wait(&leave);
    return NULL;
}

/* What was freed remotely before the fork must find its way to the pool in the child, and from there,
 * where the pool keeps nothing, to the system: all locks must be free by then. */
UNIT_CHILD(heap_fork_child_returns_what_lost_threads_had_ready) {
    pthread_t thread;
    pthread_barrier_init(&parked, NULL, 2);
    pthread_barrier_init(&leave, NULL, 2);
    (void)hak_heap_get();
    CHECK(pthread_create(&thread, NULL, park_with_full_slab, parked_blocks[0]) == 0);
    pthread_barrier_wait(&parked);
    in_thread(thread_frees, &(work_t){parked_blocks[0], 8, 0});
    CHECK(slots_active() == 1); /* on the ready list of its owner */
    hak_options.lru_max = 0;
    pid_t child = fork();
    if (child == 0) {
        hak_heap_trim();
        CHECK(live_blocks() == 0);
        CHECK(slots_active() == 0);
        CHECK(figures().stats.superslabs_now == 0);
        CHECK(hak_malloc(10) != NULL);
        _exit(0);
    }
    CHECK(unit_wait(child, 10) == 0); /* SIGKILL: it hung */
    pthread_barrier_wait(&leave);
    pthread_join(thread, NULL);
}

UNIT_CHILD(heap_fork_after_a_thread_ended_keeps_one_orphan) {
    void *blocks[3];
    void *own = hak_malloc(1);
    in_thread(thread_allocates, &(work_t){blocks, 3, 64});
    pid_t child = fork();
    if (child == 0) {
        CHECK(orphan_count() == 1);
        release(blocks, 3);
        hak_free(own);
        hak_heap_trim();
        CHECK(live_blocks() == 0);
        in_thread(nothing, NULL);
        _exit(0);
    }
    CHECK(unit_wait(child, 20) == 0);
}

static _Atomic bool stop;

static void *hammer(void *argument) {
    uint64_t seed = (uintptr_t)argument;
    void *blocks[64] = {NULL};
    while (!hak_load_relaxed(&stop)) {
        size_t i = unit_below(&seed, 64);
        hak_free(blocks[i]);
        blocks[i] = hak_malloc(unit_below(&seed, 20) == 0 ? 50000 : unit_below(&seed, 3000));
        CHECK(blocks[i] != NULL);
    }
    release(blocks, 64);
    return NULL;
}

UNIT_CHILD(heap_fork_while_threads_hammer_never_hangs) {
    pthread_t threads[4];
    /* Here pthread_create() allocates from libc; preloaded, it would be what starts hakmem. */
    hak_free(hak_malloc(1));
    for (uintptr_t t = 0; t < 4; t++) {
        CHECK(pthread_create(&threads[t], NULL, hammer, (void *)(t + 1)) == 0);
    }
    for (int i = 0; i < 300; i++) {
        pid_t child = fork();
        if (child == 0) {
            void *blocks[50];
            allocate(blocks, 50, 100 + (size_t)i * 10);
            in_thread(thread_frees, &(work_t){blocks, 50, 0});
            hak_trim_all();
            CHECK(hak_pool_is_valid());
            _exit(0);
        }
        CHECK(unit_wait(child, 20) == 0);
    }
    hak_store_relaxed(&stop, true);
    for (int t = 0; t < 4; t++) {
        pthread_join(threads[t], NULL);
    }
    hak_heap_trim();
    CHECK(live_blocks() == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_remote_free_goes_home_in_batches),
        cmocka_unit_test(heap_refill_leaves_queues_of_other_classes),
        cmocka_unit_test(heap_refill_of_few_takes_no_whole_queue),
        cmocka_unit_test(heap_queue_of_too_many_comes_home),
        cmocka_unit_test(heap_what_waits_comes_home_before_a_new_slab),
        cmocka_unit_test(heap_nothing_waits_for_long),
        cmocka_unit_test(heap_no_more_waits_than_so_many_slots),
        cmocka_unit_test(heap_owner_that_is_awake_is_not_helped),
        cmocka_unit_test(heap_owner_that_is_awake_is_helped_with_many),
        cmocka_unit_test(heap_is_valid_sees_slabs_that_wait_wrongly),
        cmocka_unit_test(heap_remote_free_to_a_sleeping_owner_is_helped),
        cmocka_unit_test(heap_remote_frees_at_random_are_not_held_back),
        cmocka_unit_test(heap_remote_frees_at_random_of_many_classes_are_held_back_together),
        cmocka_unit_test(heap_remote_frees_in_order_are_gathered),
        cmocka_unit_test(heap_remote_frees_in_order_after_some_at_random_are_gathered_again),
        cmocka_unit_test(heap_refill_ends_the_haste_of_scattered_frees),
        cmocka_unit_test(heap_frees_of_own_blocks_at_random_are_not_scattered),
        cmocka_unit_test(heap_circle_of_scattered_blocks_is_noticed),
        cmocka_unit_test(heap_exit_makes_an_orphan),
        cmocka_unit_test(heap_exit_without_live_blocks_keeps_no_slab),
        cmocka_unit_test(heap_of_new_thread_is_an_orphan_taken_over_whole),
        cmocka_unit_test(heap_refill_adopts_an_orphans_slab),
        cmocka_unit_test(heap_free_of_many_but_one_leaves_few_slabs),
        cmocka_unit_test(heap_first_blocks_of_many_threads_share_a_slab),
        cmocka_unit_test(heap_adopts_common_slabs_but_for_one),
        cmocka_unit_test(heap_keeps_common_blocks_like_its_own),
        cmocka_unit_test(heap_takes_a_page_of_a_class_from_common_slabs_at_most),
        cmocka_unit_test(heap_does_not_wait_for_the_common_heap),
        cmocka_unit_test(heap_common_is_no_orphan_of_a_fork),
        cmocka_unit_test(heap_option_common_0_shares_nothing),
        cmocka_unit_test(heap_free_of_an_orphans_last_block_releases_its_slab),
        cmocka_unit_test(heap_block_is_free_finds_it_in_another_threads_bin),
        cmocka_unit_test(heap_late_calls_after_exit_work_and_leave_nothing),
        cmocka_unit_test(heap_fork_child_finds_locks_free_and_orphans),
        cmocka_unit_test(heap_fork_child_returns_what_lost_threads_had_ready),
        cmocka_unit_test(heap_fork_after_a_thread_ended_keeps_one_orphan),
        cmocka_unit_test(heap_fork_while_threads_hammer_never_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
