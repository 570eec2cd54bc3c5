/* test_heap.c: refill order, intervals and reserves, one thread. */
#include "alloc_fast.h"
#include "heap_case.h"
#include "large.h"
#include "os.h"
#include "remote_queue.h"

#define BIG 8192 /* the widest class of one slot: 8 blocks a slab, carved one at a time */

UNIT_CHILD(heap_get_first_call_makes_an_owned_heap) {
    CHECK(hak_tls_heap == HAK_HEAP_NONE);
    hak_heap_t *heap = hak_heap_get();
    CHECK(heap != NULL && heap == hak_tls_heap && heap == hak_heap_get());
    CHECK(heap->state == HAK_HEAP_OWNED);
    CHECK(hak_heap_count(&(size_t){0}) == 1);
    CHECK(orphan_count() == 0);
}

UNIT_CHILD(heap_refill_first_one_carves_a_small_batch) {
    void *p = hak_heap_refill(hak_heap_get(), hak_class_of(64));
    hak_slab_t *slab = slab_of(p);
    CHECK(p == hak_slab_base(slab));
    CHECK(slab->carved == 8);
    CHECK(own_blocks() == 7);
    CHECK(!hak_block_is_stamped(p));
    CHECK(hak_load_relaxed(&slab->owner) == hak_tls_heap);
}

/* Few blocks are made ahead of need, and yet few refills are needed for many. */
UNIT_CHILD(heap_refill_of_fresh_memory_is_a_share_of_what_is_out) {
    for (unsigned live = 1; live <= 3000; live++) {
        CHECK(hak_malloc(64) != NULL);
        CHECK(own_shelf(64)->out <= live + hak_max(live / 8, 8));
    }
    CHECK(tallied(refills) < 80);
}

UNIT_CHILD(heap_refill_from_free_lists_is_a_whole_batch) {
    void *blocks[1000];
    allocate(blocks, 1000, 64);
    for (unsigned i = 1; i < 1000; i++) {
        hak_free(blocks[i]);
    }
    hak_heap_trim();
    uint64_t refills = tallied(refills);
    uint32_t interval = own_bin(64)->interval;
    CHECK(interval >= 128 && slab_of(blocks[0])->free_count >= 512);
    allocate(blocks, 512, 64);
    CHECK(tallied(refills) - refills <= 512 / 128);
}

/* Room that free blocks leave is no reason to make more. */
UNIT_CHILD(heap_refill_that_found_free_blocks_carves_none) {
    void *blocks[1000];
    allocate(blocks, 1000, 64);
    for (unsigned i = 0; i < 1000; i += 20) {
        hak_free(blocks[i]);
    }
    hak_heap_trim();
    uint64_t carved = tallied(carved_blocks);
    for (unsigned i = 0; i < 50; i++) {
        CHECK(hak_malloc(64) != NULL);
    }
    CHECK(tallied(carved_blocks) == carved);
}

/* Of a class it never had, a heap may need a page: it leaves a whole EMPTY slot to others. */
UNIT_CHILD(heap_first_slab_of_a_class_leaves_resident_slots_alone) {
    void *blocks[2000];
    allocate(blocks, 2000, 64);
    for (unsigned i = 0; i < 2000; i++) {
        hak_free(blocks[i]);
    }
    void *keeps_the_superslab = hak_malloc(1000);
    hak_heap_trim();
    size_t empty = figures().stats.slots_empty;
    CHECK(empty != 0);
    void *first = hak_malloc(96);
    CHECK(figures().stats.slots_empty == empty);
    void *more[1000]; /* and a second slab takes one */
    allocate(more, 1000, 96);
    CHECK(figures().stats.slots_empty < empty);
    CHECK(first != NULL && keeps_the_superslab != NULL);
}

UNIT_CHILD(heap_refill_free_list_comes_before_carving) {
    void *blocks[5];
    allocate(blocks, 5, BIG);
    hak_slab_t *slab = slab_of(blocks[0]);
    hak_heap_trim(); /* what the last batch brought too much goes home */
    unsigned carved = slab->carved;
    hak_free(blocks[1]);
    hak_free(blocks[3]);
    hak_heap_trim();
    unsigned home = slab->free_count;
    CHECK(home == carved - 3);
    for (unsigned i = 0; i < home; i++) {
        CHECK(slab_of(hak_malloc(BIG)) == slab);
        CHECK(slab->carved == carved);
    }
}

UNIT_CHILD(heap_refill_remote_queue_comes_before_free_list) {
    void *blocks[8];
    allocate(blocks, 8, BIG);
    hak_slab_t *slab = slab_of(blocks[0]);
    CHECK(slab == slab_of(blocks[7]) && slab->carved == 8);
    hak_free(blocks[2]);
    hak_heap_trim();
    CHECK(slab->free_count == 1 && slab->free == blocks[2]);
    in_thread(thread_frees, &(work_t){&blocks[5], 1, 0});
    CHECK(slab->remote != 0 && slab->free_count == 1);
    CHECK(hak_malloc(BIG) == blocks[5]);
    CHECK(slab->remote == 0);
    CHECK(hak_malloc(BIG) == blocks[2]);
}

UNIT_CHILD(heap_refill_own_slabs_come_before_the_pool) {
    void *blocks[12];
    allocate(blocks, 12, BIG);
    hak_slab_t *full = slab_of(blocks[0]);
    hak_slab_t *open = slab_of(blocks[8]);
    CHECK(full == slab_of(blocks[7]) && open == slab_of(blocks[11]) && open != full);
    hak_free(blocks[0]);
    hak_free(blocks[4]);
    hak_free(blocks[6]);
    hak_heap_trim();
    uint64_t acquisitions = pool_acquisitions();
    for (int i = 0; i < 3; i++) { /* the fuller one first */
        CHECK(slab_of(hak_malloc(BIG)) == full);
    }
    for (int i = 0; i < 4; i++) {
        CHECK(slab_of(hak_malloc(BIG)) == open);
    }
    CHECK(pool_acquisitions() == acquisitions);
    hak_slab_t *third = slab_of(hak_malloc(BIG));
    CHECK(third != full && third != open);
    CHECK(pool_acquisitions() == acquisitions + 1);
}

UNIT_CHILD(heap_trim_last_block_home_releases_the_slab) {
    void *blocks[100];
    allocate(blocks, 100, 256);
    CHECK(slots_active() == 1);
    release(blocks, 100);
    CHECK(slots_active() == 1); /* still in the bin */
    hak_heap_trim();
    CHECK(slots_active() == 0);
    CHECK(own_blocks() == 0);
    CHECK(hak_counters.released_slabs == 1);
    CHECK(hak_pool_is_valid());
}

/* A slab that went and came again knows a second free of a block that is not carved yet. */
static void check_stamps(size_t count, size_t size) {
    void *blocks[200];
    hak_options.common = 0;
    allocate(blocks, count, size);
    const hak_slab_t *slab = slab_of(blocks[0]);
    release(blocks, count);
    hak_heap_trim();
    CHECK(slab->state == HAK_SLOT_EMPTY && slab->dirty_pages > 0);
    for (size_t i = 0; i < count; i++) {
        bool is_first = (char *)blocks[i] < hak_slab_base(slab) + 64 * hak_class_stride(slab->cls);
        CHECK(hak_block_is_stamped(blocks[i]) == !is_first);
    }
    CHECK(slab_of(hak_malloc(size)) == slab);
    unsigned carved = hak_load_relaxed(&slab->carved);
    CHECK(carved < count);
    for (size_t i = 0; i < count; i++) {
        CHECK(hak_slab_holds(slab, blocks[i]) || hak_block_is_stamped(blocks[i]));
    }
}

UNIT_CHILD(heap_slab_that_goes_leaves_its_stamps_and_finds_them_again) {
    check_stamps(8, 6530);
    check_stamps(6, 20000);
    check_stamps(200, 128);
}

/* What malloc had read when a signal handler came in between, which emptied the slab. */
static void pop_of_a_slab_that_went(void *unused) {
    (void)unused;
    void *blocks[8];
    allocate(blocks, 8, 6530);
    release(blocks, 2);
    hak_bin_t *bin = own_bin(6530);
    void *head = bin->head;
    release(blocks + 2, 6);
    hak_heap_trim();
    CHECK(bin->head == NULL && hak_map_tag(head) == HAK_TAG_EMPTY);
    (void)hak_bin_pop(bin, head);
}

static void heap_pop_from_a_slab_that_went_is_found_out(void **state) {
    char text[512];
    (void)state;
    int status = unit_child(pop_of_a_slab_that_went, NULL, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "free list is corrupt: it leads to "));
}

static void waves(size_t count, size_t size, unsigned rounds) {
    static void *blocks[4000];
    for (unsigned round = 0; round < rounds; round++) {
        allocate(blocks, count, size);
        release(blocks, count);
    }
}

UNIT_CHILD(heap_waves_of_1000_settle_at_zero_drains) {
    waves(1000, 64, 50);
    uint64_t drains = tallied(drains);
    uint64_t refills = tallied(refills);
    waves(1000, 64, 500);
    CHECK(tallied(drains) == drains);
    CHECK(tallied(refills) == refills);
}

UNIT_CHILD(heap_waves_of_16_byte_blocks_settle_at_zero_drains) {
    waves(1000, 16, 50);
    uint64_t drains = tallied(drains);
    waves(1000, 16, 500);
    CHECK(tallied(drains) == drains);
}

UNIT_CHILD(heap_interval_over_sends_the_idle_reserve_home) {
    void *blocks[20];
    allocate(blocks, 20, 1024);
    hak_heap_trim();
    hak_slab_t *slab = slab_of(blocks[0]);
    unsigned home = slab->free_count;
    own_shelf(1024)->seen = true; /* or the first of all intervals would go on */
    release(blocks, 6);
    hak_bins_interval_over(hak_tls_heap, hak_class_of(1024));
    release(blocks + 6, 7);
    CHECK(slab->free_count == home);
    hak_bins_interval_over(hak_tls_heap, hak_class_of(1024)); /* the first six lay idle */
    CHECK(slab->free_count == home + 6);
    CHECK(own_blocks() == 7 && own_bin(1024)->head == NULL);
    CHECK(tallied(drained_blocks) == home + 6);
}

UNIT_CHILD(heap_free_of_many_keeps_at_most_two_intervals) {
    static void *blocks[50000];
    allocate(blocks, 50000, 64);
    for (size_t i = 0; i < 50000; i++) {
        hak_free(blocks[i]);
        CHECK(own_bin(64)->interval <= 1024);
    }
    CHECK(own_blocks() <= 2 * 1024);
    CHECK(tallied(drains) != 0);
    CHECK(slots_active() <= 4);
}

/* What is freed is allocated at once: the bin neither grows nor empties. Returns the widest bound,
 * in intervals. */
static size_t keep_pace(size_t size, size_t intervals) {
    const hak_bin_t *bin = own_bin(size);
    size_t widest = 0;
    for (size_t i = 0; i < intervals * bin->interval; i++) {
        hak_free(hak_malloc(size));
        widest = hak_max(widest, bin->head_most > 0 ? (size_t)bin->head_most : 0);
    }
    return widest / bin->interval;
}

/* How many intervals a bin, of which some blocks are always there, waits before it is set apart. */
static unsigned longest_wait(size_t size) {
    void *blocks[7]; /* less than an interval: none goes home */
    unsigned longest = 0;
    allocate(blocks, 7, size);
    release(blocks, 7);
    const hak_bin_t *bin = own_bin(size);
    (void)keep_pace(size, 50); /* the interval is as wide as it gets, and the bin is calm */
    for (size_t i = 0; i < 50 * bin->interval; i++) {
        hak_free(hak_malloc(size));
        longest = (unsigned)hak_max(longest, own_shelf(size)->waited);
    }
    return longest;
}

UNIT_CHILD(heap_a_bin_that_is_needed_waits_longer_but_not_for_more_than_a_mib) {
    CHECK(longest_wait(200) == 3);
    CHECK(longest_wait(16384) == 3);
    CHECK(longest_wait(32768) == 2);
    CHECK(own_bin(32768)->interval * 32768 == 512 << 10);
    hak_options.tiny_cap /= 2;
    CHECK(longest_wait(16384) == 2);
    CHECK(longest_wait(32768) == 1);
    CHECK(longest_wait(200) == 3);
}

/* The bin grows by so many intervals, but its reserve keeps coming back. Returns how many blocks
 * that took. */
static size_t grow_bin(void **blocks, size_t size, size_t intervals) {
    size_t interval = own_bin(size)->interval;
    for (size_t i = 0; i < intervals; i++) {
        release(blocks + i * interval, interval);
        (void)keep_pace(size, 1);
    }
    return intervals * interval;
}

UNIT_CHILD(heap_counts_that_find_no_excess_become_rare_until_one_does) {
    static void *blocks[10000];
    allocate(blocks, 10000, 200);
    const hak_shelf_t *shelf = own_shelf(200);
    release(blocks, 50);
    (void)keep_pace(200, 100); /* the interval is as wide as it gets */
    size_t interval = own_bin(200)->interval;
    size_t most = ((size_t)2 << 20) / (interval * hak_class_stride(hak_class_of(200)));
    CHECK(shelf->in_vain == 3 && most > 16 && most < 64);
    size_t widest = keep_pace(200, 200);
    CHECK(shelf->in_vain == 3 && widest >= most - 1 && widest <= most);
    uint64_t drains = tallied(drains);
    (void)grow_bin(blocks + 50, 200, 3);
    CHECK(shelf->in_vain == 3 && own_blocks() > 3 * interval);
    for (size_t i = 0; i < most && shelf->in_vain == 3; i++) {
        (void)keep_pace(200, 1);
    }
    CHECK(shelf->in_vain == 0 && shelf->drains == 0); /* no reserve was idle */
    CHECK(tallied(drains) == drains + 1 && own_blocks() <= 2 * interval);
    (void)keep_pace(200, 200);
    CHECK(shelf->in_vain == 3);
    for (size_t i = 5000; i < 10000 && shelf->drains == 0; i++) {
        hak_free(blocks[i]);
    }
    CHECK(shelf->in_vain == 0 && shelf->drains == 1); /* one was */
    (void)keep_pace(200, 400);
    CHECK(shelf->in_vain == 3);
    own_shelf(200)->rare = 1;
    (void)keep_pace(200, most);
    CHECK(shelf->in_vain == 3 && keep_pace(200, 100) == HAK_BIN_EXCESS);
    hak_heap_trim();
    CHECK(shelf->in_vain == 0);
}

/* In the middle of a drain, as a signal handler may. */
static void *freed_in_between;

static void free_in_between(int fd, const char *text, size_t bytes) {
    (void)fd, (void)text, (void)bytes;
    hak_free(freed_in_between);
    freed_in_between = NULL;
}

UNIT_CHILD(heap_count_keeps_what_a_signal_handler_frees_meanwhile) {
    static void *blocks[4000];
    allocate(blocks, 4000, 64);
    (void)keep_pace(64, 40);
    size_t interval = own_bin(64)->interval;
    (void)grow_bin(blocks, 64, 3);
    CHECK(own_blocks() > 3 * interval);
    size_t live = live_blocks();
    freed_in_between = hak_malloc(64);
    hak_options.tiny_sll_drain_debug = true;
    hak_os.write = free_in_between;
    (void)keep_pace(64, 40);
    CHECK(freed_in_between == NULL && own_blocks() < 3 * interval);
    hak_options.tiny_sll_drain_debug = false;
    CHECK(live_blocks() == live);
}

UNIT_CHILD(heap_all_classes_together_stay_within_the_heaps_bound) {
    static void *blocks[4000];
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        size_t size = hak_class_stride(cls); /* of one for alignment only: the next one's blocks */
        size_t count = hak_min(UNIT_LENGTH(blocks), (256 << 10) / size);
        for (int round = 0; round < 30; round++) {
            allocate(blocks, count, size);
            release(blocks, count);
        }
    }
    CHECK(hak_tls_heap->grown_bytes <= (size_t)HAK_HEAP_BINS_KIB << 10);
}

UNIT_CHILD(heap_interval_of_a_pulse_follows_and_shrinks_again) {
    waves(1000, 64, 50);
    uint32_t wide = own_bin(64)->interval;
    CHECK(wide >= 500);
    /* Drains without a refill in between: a program that only frees, block by block from new slabs. */
    static void *blocks[60000];
    allocate(blocks, UNIT_LENGTH(blocks), 64);
    release(blocks, UNIT_LENGTH(blocks));
    CHECK(own_bin(64)->interval < wide);
}

/* One wide block for each 600 narrow ones, all freed later on: its class becomes rare. */
static void seldom_wide(void) {
    static void *blocks[600];
    static void *wide[16];
    for (int round = 0; round < 1000; round++) {
        void **one = &wide[round % 16];
        hak_free(*one);
        *one = hak_malloc(4096);
        allocate(blocks, 600, 64);
        release(blocks, 600);
    }
    CHECK(own_bin(4096)->interval == 2);
    CHECK(own_bin(64)->interval >= 128); /* narrow ones are not looked at so */
}

static uint32_t start_of_wide(void) {
    hak_free(hak_malloc(4096)); /* from here on there is a heap */
    uint32_t start = own_bin(4096)->interval;
    CHECK(start >= 4);
    return start;
}

UNIT_CHILD(heap_a_class_of_wide_blocks_that_is_rare_holds_few) {
    uint32_t start = start_of_wide();
    seldom_wide();
    for (int round = 0; round < 200; round++) {
        void *wide[32];
        allocate(wide, 32, 4096);
        release(wide, 32);
    }
    CHECK(own_bin(4096)->interval >= start); /* not rare any more */
    CHECK(hak_tls_heap->grown_bytes <= (size_t)HAK_HEAP_BINS_KIB << 10);
}

UNIT_CHILD(heap_a_class_that_was_rare_is_refilled_and_drained_as_at_first) {
    static void *wide[400];
    uint32_t start = start_of_wide();
    seldom_wide();
    allocate(wide, 400, 4096);
    CHECK(own_bin(4096)->interval == start);
    seldom_wide();
    release(wide, 400);
    CHECK(own_bin(4096)->interval >= start);
}

UNIT_CHILD(heap_one_long_interval_makes_no_class_rare) {
    void *wide[64];
    static void *blocks[1024];
    uint32_t start = start_of_wide();
    for (int round = 0; round < 20; round++) {
        for (int wave = 0; wave < 8; wave++) { /* the class is not in use */
            allocate(blocks, 1024, 64);
            release(blocks, 1024);
        }
        allocate(wide, 64, 4096);
        release(wide, 64);
        CHECK(own_bin(4096)->interval >= start);
    }
}

UNIT_CHILD(heap_interval_over_leaves_a_short_bin_alone) {
    void *blocks[8];
    allocate(blocks, 8, BIG);
    release(blocks, 4);
    void *head = own_bin(BIG)->head;
    hak_bins_interval_over(hak_tls_heap, hak_class_of(BIG));
    CHECK(own_bin(BIG)->head == head && hak_bins_reserve(own_shelf(BIG)) == NULL);
    CHECK(own_bin(BIG)->room > 0);
}

UNIT_CHILD(heap_block_is_free_finds_it_in_every_place) {
    unsigned cls = hak_class_of(BIG);
    void *blocks[8];
    allocate(blocks, 8, BIG);
    hak_slab_t *slab = slab_of(blocks[0]);
    CHECK(!hak_heap_block_is_free(blocks[0], cls));
    release(blocks, 5);
    CHECK(hak_heap_block_is_free(blocks[0], cls)); /* the last of five in the bin */
    hak_bins_interval_over(hak_tls_heap, cls);
    CHECK(own_bin(BIG)->head == NULL && hak_bins_reserve(own_shelf(BIG)) == blocks[4]);
    CHECK(hak_heap_block_is_free(blocks[0], cls));
    hak_heap_trim();
    CHECK(slab->free_count == 5);
    CHECK(hak_heap_block_is_free(blocks[0], cls));
    in_thread(thread_frees, &(work_t){&blocks[5], 1, 0});
    CHECK(hak_remote_first(slab, blocks[5]) == blocks[5]);
    CHECK(hak_heap_block_is_free(blocks[5], cls));
    CHECK(!hak_heap_block_is_free(blocks[6], cls));
}

/* A bin may hold one block of each of many slabs. Once it lies idle, fresh memory waits for it. */
UNIT_CHILD(heap_refill_empties_idle_bins_before_it_takes_fresh_memory) {
    enum { EACH = 63, EACH_OTHER = 124 }; /* blocks of 1,024 and 512 bytes that a slab holds */
    static void *blocks[60 * EACH_OTHER];
    allocate(blocks, 64 * EACH, 1024);
    CHECK(slots_active() == 64);
    hak_heap_trim();
    for (size_t i = 0; i < 64; i++) { /* one of each slab stays out of it until the end */
        for (size_t k = 1; k < EACH; k++) {
            hak_free(blocks[i * EACH + k]);
        }
    }
    hak_heap_trim();
    hak_free(hak_malloc(1024)); /* wanted back: no haste */
    for (size_t i = 1; i < 64; i++) { /* one stays live: no end of a burst */
        hak_free(blocks[i * EACH]); /* the last ones are in the bin and pin a slab each */
    }
    CHECK(slots_active() >= 16);
    size_t mapped = hak_counters.superslabs_mapped;
    void *last = blocks[0];
    allocate(blocks, 60 * EACH_OTHER, 512); /* 60 slabs of another class */
    CHECK(hak_counters.superslabs_mapped <= mapped + 1); /* the first look only remembers */
    CHECK(slots_active() < 70);
    release(blocks, 60 * EACH_OTHER);
    hak_free(last);
}

static void count_block(const void *block, unsigned cls, void *count) {
    CHECK(hak_block_is_stamped(block) && cls == hak_class_of(1024));
    *(size_t *)count += 1;
}

UNIT_CHILD(heap_class_is_open_from_its_first_refill) {
    void *blocks[20];
    CHECK(hak_malloc(64) != NULL);
    CHECK(own_shelf(1024)->batch == 0); /* nobody has looked at it yet */
    allocate(blocks, 20, 1024);
    CHECK(own_shelf(1024)->batch != 0 && hak_heap_is_valid());
    own_shelf(1024)->seen = true;
    release(blocks, 6);
    hak_bins_interval_over(hak_tls_heap, hak_class_of(1024));
    CHECK(hak_bins_reserve(own_shelf(1024)) != NULL && hak_heap_is_valid());
    hak_store_relaxed(&hak_tls_heap->open[0], 0);
    CHECK(!hak_heap_is_valid());
}

UNIT_CHILD(heap_each_bin_block_visits_head_and_reserve) {
    void *blocks[40];
    allocate(blocks, 40, 1024);
    hak_heap_trim();
    CHECK(own_blocks() == 0);
    release(blocks, 6);
    hak_bins_interval_over(hak_tls_heap, hak_class_of(1024));
    release(blocks + 6, 3);
    size_t blocks_in_bins = 0;
    hak_lock_everything();
    bool whole = hak_heap_each_bin_block_locked(count_block, &blocks_in_bins);
    hak_unlock_everything();
    CHECK(whole && blocks_in_bins == 9 && own_blocks() == 9);
}

UNIT_CHILD(heap_refill_takes_the_reserve_back_first) {
    void *blocks[8];
    allocate(blocks, 8, BIG);
    hak_heap_trim();
    release(blocks, 6); /* more than a short chain */
    hak_bins_interval_over(hak_tls_heap, hak_class_of(BIG));
    uint64_t refills = tallied(refills);
    for (size_t i = 6; i-- > 0;) {
        CHECK(hak_malloc(BIG) == blocks[i]);
    }
    CHECK(tallied(refills) == refills);
    CHECK(tallied(refills_reserve) == 1);
}

/* Intervals end at their largest or at their start, whatever steps lie between. */
UNIT_CHILD(heap_many_frees_of_any_class_leave_room_to_grow) {
    static void *blocks[4000];
    for (unsigned cls = 0; cls < hak_class_of(4096); cls++) {
        for (int round = 0; round < 20; round++) {
            allocate(blocks, 64, hak_class_stride(cls));
            release(blocks, 64);
        }
        allocate(blocks, 4000, hak_class_stride(cls));
        release(blocks, 4000);
    }
    CHECK(hak_tls_heap->grown_bytes <= (size_t)HAK_HEAP_BINS_KIB << 10);
    for (int round = 0; round < 200; round++) {
        allocate(blocks, 1000, 64);
        release(blocks, 1000);
    }
    CHECK(own_bin(64)->interval == 1024);
}

/* A burst ended with some blocks live; from then on allocations keep pace with frees. */
UNIT_CHILD(heap_few_blocks_that_come_and_go_are_no_end_of_a_burst) {
    static void *blocks[1200];
    for (unsigned live = 1; live <= 6; live++) {
        for (unsigned many = 1085; many < 1100; many++) {
            allocate(blocks, many, 64);
            release(blocks + live, many - live);
            for (int i = 0; i < 3000; i++) {
                hak_free(hak_malloc(64));
            }
            CHECK(own_shelf(64)->room_start >= 16);
            release(blocks, live);
        }
    }
}

/* The bound falls with what is live: then the tier goes without that keeps, not the one that frees. */
UNIT_CHILD(heap_free_of_a_large_block_gives_back_what_slabs_keep) {
    enum { MANY = 16000 };
    static void *blocks[MANY];
    void *large = hak_malloc((size_t)400 << 20);
    CHECK(large != NULL);
    allocate(blocks, MANY, 1024);
    void *stay = hak_malloc(1024);
    release(blocks, MANY);
    CHECK(figures().stats.retained_bytes > (size_t)8 << 20);
    hak_free(large);
    CHECK(figures().stats.retained_bytes <= (size_t)4 << 20);
    hak_free(stay);
}

UNIT_CHILD(heap_release_of_slabs_gives_back_what_the_large_tier_keeps) {
    enum { MANY = 100000 };
    static void *blocks[MANY];
    allocate(blocks, MANY, 1024);
    char *large = hak_malloc((size_t)10 << 20);
    void *stay = hak_malloc((size_t)1 << 20);
    CHECK(large != NULL && stay != NULL);
    hak_free(large);
    CHECK(figures().stats.retained_bytes > (size_t)8 << 20);
    release(blocks, MANY);
    hak_large_gauges_t gauges;
    hak_large_gauges(&gauges);
    CHECK(gauges.retained_bytes == 0);
    hak_free(stay);
}

UNIT_CHILD(heap_refill_brings_no_more_than_the_option_says) {
    void *blocks[100];
    hak_options.refill = 3;
    for (size_t i = 0; i < 100; i++) {
        blocks[i] = hak_malloc(64);
        CHECK(own_blocks() <= 2);
    }
    CHECK(tallied(refills) == 34);
    hak_options.refill = 1;
    blocks[0] = hak_malloc(2000);
    CHECK(chain_length(own_bin(2000)->head) == 0);
    hak_options.refill = 0;
    uint64_t refills = tallied(refills);
    allocate(blocks, 100, 64);
    CHECK(tallied(refills) < refills + 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_get_first_call_makes_an_owned_heap),
        cmocka_unit_test(heap_refill_first_one_carves_a_small_batch),
        cmocka_unit_test(heap_refill_of_fresh_memory_is_a_share_of_what_is_out),
        cmocka_unit_test(heap_refill_from_free_lists_is_a_whole_batch),
        cmocka_unit_test(heap_refill_that_found_free_blocks_carves_none),
        cmocka_unit_test(heap_first_slab_of_a_class_leaves_resident_slots_alone),
        cmocka_unit_test(heap_refill_free_list_comes_before_carving),
        cmocka_unit_test(heap_refill_remote_queue_comes_before_free_list),
        cmocka_unit_test(heap_refill_own_slabs_come_before_the_pool),
        cmocka_unit_test(heap_trim_last_block_home_releases_the_slab),
        cmocka_unit_test(heap_slab_that_goes_leaves_its_stamps_and_finds_them_again),
        cmocka_unit_test(heap_pop_from_a_slab_that_went_is_found_out),
        cmocka_unit_test(heap_waves_of_1000_settle_at_zero_drains),
        cmocka_unit_test(heap_waves_of_16_byte_blocks_settle_at_zero_drains),
        cmocka_unit_test(heap_interval_over_sends_the_idle_reserve_home),
        cmocka_unit_test(heap_free_of_many_keeps_at_most_two_intervals),
        cmocka_unit_test(heap_a_bin_that_is_needed_waits_longer_but_not_for_more_than_a_mib),
        cmocka_unit_test(heap_counts_that_find_no_excess_become_rare_until_one_does),
        cmocka_unit_test(heap_count_keeps_what_a_signal_handler_frees_meanwhile),
        cmocka_unit_test(heap_all_classes_together_stay_within_the_heaps_bound),
        cmocka_unit_test(heap_interval_of_a_pulse_follows_and_shrinks_again),
        cmocka_unit_test(heap_a_class_of_wide_blocks_that_is_rare_holds_few),
        cmocka_unit_test(heap_a_class_that_was_rare_is_refilled_and_drained_as_at_first),
        cmocka_unit_test(heap_one_long_interval_makes_no_class_rare),
        cmocka_unit_test(heap_interval_over_leaves_a_short_bin_alone),
        cmocka_unit_test(heap_block_is_free_finds_it_in_every_place),
        cmocka_unit_test(heap_refill_empties_idle_bins_before_it_takes_fresh_memory),
        cmocka_unit_test(heap_class_is_open_from_its_first_refill),
        cmocka_unit_test(heap_each_bin_block_visits_head_and_reserve),
        cmocka_unit_test(heap_refill_takes_the_reserve_back_first),
        cmocka_unit_test(heap_many_frees_of_any_class_leave_room_to_grow),
        cmocka_unit_test(heap_few_blocks_that_come_and_go_are_no_end_of_a_burst),
        cmocka_unit_test(heap_free_of_a_large_block_gives_back_what_slabs_keep),
        cmocka_unit_test(heap_release_of_slabs_gives_back_what_the_large_tier_keeps),
        cmocka_unit_test(heap_refill_brings_no_more_than_the_option_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
