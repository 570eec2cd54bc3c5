/* test_freelist_remote_race.c: the failure of DESIGN section 6, replayed with threads.
 *
 * A block was popped from a slab's free list while it also sat in the remote queue; the later drain
 * wrote a link over the user's data. So: an owner allocates, fills and keeps refilling from slabs
 * whose blocks other threads free at that very time. Each block is filled from start to end with
 * its own number and checked before it is freed, by whichever thread frees it: a block handed out
 * twice, or a link written over a live one, changes it.
 */
#include "heap_case.h"

#define RING 256
#define FREERS 2

typedef struct {
    uint64_t seed;
    size_t sizes[3];
    unsigned blocks; /* how many each round allocates */
} round_t;

typedef struct {
    _Atomic(void *) slots[RING]; /* blocks on their way from the owner to the freers */
    _Atomic unsigned done;       /* owners that have ended */
    _Atomic unsigned long freed;
    _Atomic unsigned long broken;
    unsigned owners;
} exchange_t;

static exchange_t exchange;
static _Atomic uint64_t next_number;

/* Word 0: the size; all words behind: the number. */
static void fill(void *block, size_t size, uint64_t number) {
    uint64_t *words = block;
    words[0] = size;
    for (size_t i = 1; i < size / 8; i++) {
        words[i] = number;
    }
}

static bool is_whole(const void *block) {
    const uint64_t *words = block;
    if (words[0] < 16 || words[0] > 4096) {
        return false;
    }
    for (size_t i = 2; i < words[0] / 8; i++) {
        if (words[i] != words[1]) {
            return false;
        }
    }
    return true;
}

static void check_and_free(void *block) {
    if (!is_whole(block)) {
        hak_add_relaxed(&exchange.broken, 1);
    }
    hak_free(block);
    hak_add_relaxed(&exchange.freed, 1);
}

/* A third of the blocks goes home locally, the rest by other threads, in the order of chance. */
static void *own(void *argument) {
    round_t round = *(round_t *)argument;
    for (unsigned i = 0; i < round.blocks; i++) {
        size_t size = round.sizes[unit_below(&round.seed, 3)];
        void *block = hak_malloc(size);
        CHECK(block != NULL);
        fill(block, size, hak_add_relaxed(&next_number, 1));
        if (unit_below(&round.seed, 3) != 0) {
            size_t slot = unit_below(&round.seed, RING);
            block = atomic_exchange_explicit(&exchange.slots[slot], block, memory_order_acq_rel);
        }
        if (block != NULL) {
            check_and_free(block);
        }
    }
    hak_add_relaxed(&exchange.done, 1);
    return NULL;
}

static void *free_remotely(void *argument) {
    uint64_t seed = (uintptr_t)argument;
    bool last = false;
    while (!last) {
        last = hak_load_relaxed(&exchange.done) == exchange.owners;
        size_t start = unit_below(&seed, RING);
        for (size_t i = 0; i < RING; i++) {
            size_t slot = (start + i) % RING;
            void *block =
                atomic_exchange_explicit(&exchange.slots[slot], NULL, memory_order_acq_rel);
            if (block != NULL) {
                check_and_free(block);
            }
        }
    }
    return NULL;
}

static void run(round_t round, unsigned owners) {
    pthread_t threads[FREERS + 2];
    round_t rounds[2] = {round, round};
    rounds[1].seed = round.seed * 31 + 7;
    exchange.owners = owners;
    hak_store_relaxed(&exchange.done, 0);
    hak_store_relaxed(&exchange.freed, 0);
    for (unsigned t = 0; t < owners; t++) {
        CHECK(pthread_create(&threads[t], NULL, own, &rounds[t]) == 0);
    }
    for (unsigned t = 0; t < FREERS; t++) {
        void *seed = (void *)(uintptr_t)(round.seed + t + 1);
        CHECK(pthread_create(&threads[owners + t], NULL, free_remotely, seed) == 0);
    }
    for (unsigned t = 0; t < owners + FREERS; t++) {
        pthread_join(threads[t], NULL);
    }
    CHECK(hak_load_relaxed(&exchange.broken) == 0);
    CHECK(hak_load_relaxed(&exchange.freed) == (unsigned long)round.blocks * owners);
    CHECK(hak_heap_is_valid());
    hak_heap_trim();
    CHECK(live_blocks() == 0);
    CHECK(slots_active() == 0);
}

/* Small intervals make for many drains and refills. */
static void run_seeds(unsigned seeds, unsigned owners, unsigned interval, const size_t sizes[3]) {
    hak_free(hak_malloc(1));
    hak_options.tiny_drain_interval = interval;
    hak_options.tiny_cap = interval < 64 ? 1 : 64;
    /* On two cores the freers may get no turn for some rounds; the race needs them. */
    for (unsigned i = 1; i <= seeds || (tallied(remote_blocks) == 0 && i <= 10 * seeds); i++) {
        round_t round = {i * 7919, {sizes[0], sizes[1], sizes[2]}, 5000};
        run(round, owners);
    }
    CHECK(tallied(remote_blocks) > 0);
    CHECK(tallied(drains) > 0);
}

UNIT_CHILD(freelist_remote_race_narrow_blocks_stay_whole) {
    run_seeds(40, 1, 8, (size_t[]){64, 64, 80});
}

UNIT_CHILD(freelist_remote_race_wide_blocks_stay_whole) {
    run_seeds(40, 1, 8, (size_t[]){2048, 4096, 3072});
}

UNIT_CHILD(freelist_remote_race_two_owners_stay_whole) {
    run_seeds(40, 2, 8, (size_t[]){16, 128, 1024});
}

UNIT_CHILD(freelist_remote_race_default_intervals_stay_whole) {
    run_seeds(40, 2, 64, (size_t[]){32, 256, 4096});
}

/* The replay by hand: blocks of one slab lie on its free list and in its remote queue at once. */
UNIT_CHILD(freelist_remote_race_replayed_step_by_step) {
    void *blocks[63];
    allocate(blocks, 63, 1024);
    hak_heap_trim();
    for (int round = 0; round < 50; round++) {
        in_thread(thread_frees, &(work_t){blocks, 20, 0}); /* to the remote queue */
        release(blocks + 20, 20);
        hak_heap_trim(); /* all 40 on the free list */
        in_thread(thread_frees, &(work_t){blocks + 40, 12, 0});
        for (int i = 0; i < 52; i++) {
            blocks[i] = hak_malloc(1024);
            memset(blocks[i], 'a' + i % 26, 1024);
            if (i == 10) {
                in_thread(thread_frees, &(work_t){blocks + 52, 11, 0});
            }
        }
        for (int i = 52; i < 63; i++) {
            blocks[i] = hak_malloc(1024);
            memset(blocks[i], 'a' + i % 26, 1024);
        }
        for (int i = 0; i < 63; i++) {
            const char *text = blocks[i];
            CHECK(text[0] == 'a' + i % 26 && text[1023] == 'a' + i % 26);
            CHECK(memcmp(text, text + 1, 1023) == 0);
        }
        CHECK(live_blocks() == 63);
    }
    release(blocks, 63);
    hak_heap_trim();
    CHECK(slots_active() == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freelist_remote_race_narrow_blocks_stay_whole),
        cmocka_unit_test(freelist_remote_race_wide_blocks_stay_whole),
        cmocka_unit_test(freelist_remote_race_two_owners_stay_whole),
        cmocka_unit_test(freelist_remote_race_default_intervals_stay_whole),
        cmocka_unit_test(freelist_remote_race_replayed_step_by_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
