/* test_armor.c: blocks of slabs in the hardened mode: books, zeros, memory's way back, threads,
 * fork. */
#include "armor_case.h"

#include <pthread.h>

#include "readable.h"

static int set_up_group(void **state) {
    return readable_start() ? pool_case_set_up_group(state) : -1;
}

/* ---- Blocks ------------------------------------------------------------------------------------
 */

UNIT_CHILD(armor_alloc_of_each_class_is_zero_and_remembers_size) {
    enum { EACH = 9 };
    static char *blocks[HAK_CLASSES][EACH];
    armor_start(false);
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        size_t stride = hak_class_stride(cls);
        for (unsigned i = 0; i < EACH; i++) {
            size_t size = (stride - 1) * i / (EACH - 1);
            blocks[cls][i] = armor_alloc(cls, size);
            memset(blocks[cls][i], 0xEE, size);
        }
        CHECK(hak_armor_is_valid());
    }
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        for (unsigned i = 0; i < EACH; i++) {
            size_t size = (hak_class_stride(cls) - 1) * i / (EACH - 1);
            hak_armor_finding_t finding;
            hak_armor_look(blocks[cls][i], cls, &finding);
            CHECK(finding.fault == HAK_ARMOR_SOUND && armor_size(blocks[cls][i], cls) == size);
            armor_free(blocks[cls][i], cls);
            CHECK(!armor_is_live(blocks[cls][i], cls));
        }
    }
    armor_assert_at_rest();
}

/* Header, canary and what a free block looks like, by the bytes themselves. */
UNIT_CHILD(armor_alloc_stands_between_headers) {
    armor_start(false);
    size_t stride = hak_class_stride(CLASS_80);
    unsigned char *p = (unsigned char *)armor_alloc(CLASS_80, 50);
    CHECK(p[-1] == hak_tag_of_class(CLASS_80) && p[stride - 1] == HEADER_NOT_LIVE);
    CHECK(hak_canary_damage(p + 50, stride - 1 - 50) == NULL);
    armor_free((char *)p, CLASS_80);
    CHECK(p[-1] == HEADER_NOT_LIVE && p[stride - 1] == HEADER_NOT_LIVE);
    CHECK(hak_canary_damage(p, stride - 1) == NULL);
}

static char *take_one(void) {
    return armor_alloc(CLASS_64, 10);
}

/* Two in a row are neighbours seldom, and what was freed does not come back at once. */
UNIT_CHILD(armor_alloc_order_is_by_chance) {
    unsigned neighbours = 0, returns = 0;
    armor_start(false);
    char *before = take_one();
    for (unsigned i = 0; i < 500; i++) {
        char *p = take_one();
        neighbours += p == before + 64;
        before = p;
    }
    CHECK(neighbours < 150);
    for (unsigned i = 0; i < 500; i++) {
        char *p = take_one();
        armor_free(p, CLASS_64);
        char *q = take_one();
        returns += p == q;
        armor_free(q, CLASS_64);
    }
    CHECK(returns < 50);
}

/* Not even the first one of a slab is known. */
UNIT_CHILD(armor_first_block_of_a_slab_is_by_chance) {
    unsigned slabs = 0, lowest = 0;
    const hak_slab_t *before = NULL;
    armor_start(false);
    while (slabs < 100) {
        char *p = armor_alloc(CLASS_16K, 10);
        const hak_slab_t *slab = hak_slab_of(p, CLASS_16K);
        if (slab != before) {
            slabs++;
            lowest += armor_index(p, CLASS_16K) == 1;
        }
        before = slab;
    }
    CHECK(lowest < 50); /* about 14 */
}

UNIT_CHILD(armor_resize_keeps_zero_and_canary) {
    armor_start(false);
    size_t stride = hak_class_stride(CLASS_80);
    char *p = armor_alloc(CLASS_80, 40);
    CHECK(!hak_armor_resize(p, CLASS_80, stride) && armor_size(p, CLASS_80) == 40);
    memset(p, 0x77, 40);
    CHECK(hak_armor_resize(p, CLASS_80, stride - 1) && armor_size(p, CLASS_80) == stride - 1);
    CHECK(p[39] == 0x77 && armor_is_zero(p + 40, stride - 1 - 40) && hak_armor_is_valid());
    memset(p, 0x77, stride - 1);
    CHECK(hak_armor_is_valid());
    CHECK(hak_armor_resize(p, CLASS_80, 5) && hak_armor_is_valid());
    CHECK(hak_canary_damage(p + 5, stride - 1 - 5) == NULL);
    CHECK(hak_armor_resize(p, CLASS_80, 30) && armor_is_zero(p + 5, 25) && p[4] == 0x77);
    CHECK(hak_armor_resize(p, CLASS_80, 0) && hak_armor_is_valid());
    armor_free(p, CLASS_80);
    armor_assert_at_rest();
}

/* ---- A long random run --------------------------------------------------------------------------
 */

typedef struct {
    char *p;
    uint16_t size;
    uint8_t cls, mark;
} held_t;

static const uint8_t run_classes[] = {0, 1, CLASS_64, CLASS_80, 35, 36, 55, CLASS_16K, CLASS_32K};

static void check_contents(const held_t *b) {
    CHECK(b->size == 0 ||
          ((uint8_t)b->p[0] == b->mark && memcmp(b->p, b->p + 1, b->size - 1) == 0));
}

static void run_alloc(held_t *b, uint64_t *random) {
    b->cls = run_classes[unit_below(random, UNIT_LENGTH(run_classes))];
    b->size = (uint16_t)unit_below(random, hak_class_stride(b->cls));
    b->p = armor_alloc(b->cls, b->size);
    b->mark = (uint8_t)unit_random(random);
    memset(b->p, b->mark, b->size);
}

static void run_free(held_t *b) {
    check_contents(b);
    armor_free(b->p, b->cls);
    b->p = NULL;
}

static void run_resize(held_t *b, uint64_t *random) {
    size_t size = unit_below(random, hak_class_stride(b->cls));
    CHECK(hak_armor_resize(b->p, b->cls, size));
    CHECK(size <= b->size || armor_is_zero(b->p + b->size, size - b->size));
    b->size = (uint16_t)hak_min(size, b->size);
    check_contents(b);
    b->size = (uint16_t)size;
    memset(b->p, b->mark, size);
}

/* Contents are verified at each turn, so a block handed out twice would show. */
UNIT_CHILD(armor_random_operations_hand_out_no_block_twice) {
    enum { BLOCKS = 3000, STEPS = 200000 };
    static held_t blocks[BLOCKS];
    uint64_t random = 20240607;
    armor_start(false);
    for (unsigned step = 0; step < STEPS; step++) {
        held_t *b = &blocks[unit_below(&random, step / 20000 % 2 == 0 ? BLOCKS : 300)];
        if (b->p == NULL) {
            run_alloc(b, &random);
        } else if (unit_below(&random, 4) == 0) {
            run_resize(b, &random);
        } else {
            run_free(b);
        }
        if (step % 5000 == 0) {
            CHECK(hak_armor_is_valid());
            (void)(step % 15000 == 0 && hak_armor_trim());
        }
    }
    CHECK(hak_armor_is_valid());
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (blocks[i].p != NULL) {
            run_free(&blocks[i]);
        }
    }
    armor_assert_at_rest();
}

/* ---- Threads ------------------------------------------------------------------------------------
 */

static held_t *_Atomic exchange[64]; /* acquire and release: the contents of what is handed on */

static void *swap_blocks(void *argument) {
    uint64_t random = (uintptr_t)argument;
    static _Thread_local held_t own[256];
    for (unsigned step = 0; step < 30000; step++) {
        held_t *b = malloc(sizeof *b);
        run_alloc(b, &random);
        b = atomic_exchange(&exchange[unit_below(&random, UNIT_LENGTH(exchange))], b);
        if (b != NULL) {
            run_free(b);
            free(b);
        }
        held_t *mine = &own[unit_below(&random, UNIT_LENGTH(own))];
        if (mine->p != NULL) {
            run_free(mine);
        } else {
            run_alloc(mine, &random);
        }
        if (step % 4096 == 0) {
            (void)hak_armor_trim();
        }
    }
    for (unsigned i = 0; i < UNIT_LENGTH(own); i++) {
        if (own[i].p != NULL) {
            run_free(&own[i]);
        }
    }
    return NULL;
}

UNIT_CHILD(armor_blocks_of_other_threads_go_home) {
    pthread_t threads[6];
    armor_start(false);
    for (uintptr_t i = 0; i < UNIT_LENGTH(threads); i++) {
        CHECK(pthread_create(&threads[i], NULL, swap_blocks, (void *)(i + 1)) == 0);
    }
    for (unsigned i = 0; i < UNIT_LENGTH(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK(hak_armor_is_valid());
    for (unsigned i = 0; i < UNIT_LENGTH(exchange); i++) {
        if (exchange[i] != NULL) {
            run_free(exchange[i]);
        }
    }
    armor_assert_at_rest();
}

/* ---- Arenas ------------------------------------------------------------------------------------
 */

static void run_on_cpu(uint32_t cpu) {
    fake_os_cpu_plus_one = cpu + 1;
}

/* ---- Put away -----------------------------------------------------------------------------------
 */

enum { AWAY_ROOM = 16, AWAY_ALL = 5 * AWAY_ROOM, MEETINGS = 2 };

static struct {
    char *blocks[AWAY_ALL];
    _Atomic unsigned freed, wished; /* of the blocks: seq_cst, both threads wait for each other */
    hak_lock_t *lock;               /* of the blocks' shelf */
    unsigned locks_before;
} away;

static void find_lock(hak_lock_t *lock, void *unused) {
    (void)unused;
    if (away.locks_before-- == 0) {
        away.lock = lock;
    }
}

/* Frees up to as many blocks as it is told to. */
static void *free_as_told(void *unused) {
    (void)unused;
    run_on_cpu(2);
    for (unsigned i = 0; i < AWAY_ALL; i++) {
        while (hak_load_seq(&away.wished) <= i) {
            hak_cpu_relax();
        }
        armor_free(away.blocks[i], CLASS_64);
        hak_store_seq(&away.freed, i + 1);
    }
    return away.blocks;
}

static void wait_for_freed(unsigned count) {
    while (hak_load_seq(&away.freed) != count) {
        hak_cpu_relax();
    }
}

/* With the shelf locked; the other thread waits for it, or does not. */
static void meet(unsigned count, bool waits) {
    unsigned before = hak_load_seq(&away.freed);
    hak_lock(away.lock);
    hak_store_seq(&away.wished, before + count);
    if (waits) {
        while ((hak_load_seq(&away.lock->word) & HAK_LOCK_AWAITED) == 0) {
            hak_cpu_relax();
        }
    } else {
        wait_for_freed(before + count);
    }
    hak_unlock(away.lock);
    wait_for_freed(before + count);
}

static void count_not_free(hak_slab_t *slab, void *count) {
    *(unsigned *)count += hak_load_relaxed(&slab->carved) - slab->free_count;
}

/* Blocks that are live, or put away. */
static unsigned not_free(void) {
    unsigned count = 0;
    hak_arena_lock_all();
    hak_pool_each_slab(count_not_free, &count);
    hak_arena_unlock_all();
    return count;
}

/* Who met the owner of blocks often enough does not wait for him any more, and loses nothing. */
UNIT_CHILD(armor_blocks_of_a_busy_shelf_are_put_away) {
    hak_armor_finding_t finding;
    pthread_t thread;
    armor_start(false);
    run_on_cpu(1);
    for (unsigned i = 0; i < AWAY_ALL; i++) {
        away.blocks[i] = take_one();
    }
    away.locks_before = 1 + CLASS_64; /* births; those of the first arena before it */
    hak_arena_each_lock(find_lock, NULL);
    CHECK(pthread_create(&thread, NULL, free_as_told, NULL) == 0);
    for (unsigned i = 0; i < MEETINGS; i++) {
        meet(1, true);
    }
    unsigned first = hak_load_seq(&away.freed);
    meet(AWAY_ROOM, false);
    for (unsigned i = first; i < first + AWAY_ROOM; i++) {
        CHECK(!armor_is_live(away.blocks[i], CLASS_64));
        hak_armor_free(away.blocks[i], CLASS_64, &finding);
        CHECK(finding.fault == HAK_ARMOR_FREED && finding.block == away.blocks[i]);
    }
    CHECK(hak_armor_is_valid());
    away.blocks[first][7] ^= 1; /* it is looked at as all free ones are */
    CHECK(armor_check(&finding, 1) == 1 && finding.fault == HAK_ARMOR_WRITTEN);
    CHECK(finding.block == away.blocks[first] && finding.at == away.blocks[first] + 7);
    away.blocks[first][7] ^= 1;
    meet(1, true); /* no room for it: it waits */
    CHECK(not_free() >= AWAY_ALL - hak_load_seq(&away.freed) + AWAY_ROOM);
    hak_store_seq(&away.wished, AWAY_ALL - 1); /* nobody is in the way: all come home in the end */
    wait_for_freed(AWAY_ALL - 1);
    CHECK(hak_armor_is_valid() && not_free() == 1);
    hak_store_seq(&away.wished, AWAY_ALL);
    pthread_join(thread, NULL);
    armor_assert_at_rest();
}

/* A walk in the middle of everything accuses nobody. */
static _Atomic bool walked; /* relaxed: when to stop */

static void *hand_in_and_out(void *number) {
    uint64_t random = (uintptr_t)number;
    char *own[32] = {NULL};
    while (!hak_load_relaxed(&walked)) {
        size_t i = unit_below(&random, UNIT_LENGTH(own));
        unsigned cls = i % 2 ? CLASS_64 : CLASS_16K;
        if (own[i] != NULL) {
            armor_free(own[i], cls);
            own[i] = NULL;
        } else {
            own[i] = armor_alloc(cls, unit_below(&random, hak_class_stride(cls)));
        }
    }
    for (unsigned i = 0; i < UNIT_LENGTH(own); i++) {
        if (own[i] != NULL) {
            armor_free(own[i], i % 2 ? CLASS_64 : CLASS_16K);
        }
    }
    return NULL;
}

UNIT_CHILD(armor_check_beside_busy_threads_finds_nothing) {
    pthread_t threads[3];
    armor_start(false);
    for (uintptr_t i = 0; i < UNIT_LENGTH(threads); i++) {
        CHECK(pthread_create(&threads[i], NULL, hand_in_and_out, (void *)(i + 1)) == 0);
    }
    for (unsigned i = 0; i < 3000; i++) {
        CHECK(armor_check(NULL, 0) == 0);
    }
    hak_store_relaxed(&walked, true);
    for (unsigned i = 0; i < UNIT_LENGTH(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    armor_assert_at_rest();
}

/* ---- Which arena --------------------------------------------------------------------------------
 */

typedef struct {
    uint32_t cpu;
    char *block;
} visit_t;

static void *take_and_leave(void *argument) {
    visit_t *visit = argument;
    run_on_cpu(visit->cpu);
    visit->block = take_one();
    return NULL;
}

static char *take_in_thread(uint32_t cpu) {
    visit_t visit = {cpu, NULL};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, take_and_leave, &visit) == 0);
    pthread_join(thread, NULL);
    return visit.block;
}

static bool are_together(const char *p, const char *q) {
    return hak_slab_of(p, CLASS_64) == hak_slab_of(q, CLASS_64);
}

/* Threads on one processor share; processors share where there are more than arenas. */
UNIT_CHILD(armor_arenas_are_each_processors_and_a_few_share) {
    char *blocks[40];
    armor_start(false);
    for (unsigned i = 0; i < UNIT_LENGTH(blocks); i++) {
        blocks[i] = take_in_thread(i / 2);
        CHECK(i == 0 || are_together(blocks[i], blocks[i - 1]) == (i % 2 == 1));
        CHECK(i < 32 || are_together(blocks[i], blocks[i - 32]));
    }
    CHECK(pool_gauges().slots_active == 16);
    for (unsigned i = 0; i < UNIT_LENGTH(blocks); i++) {
        armor_free(blocks[i], CLASS_64);
    }
    armor_assert_at_rest();
}

UNIT_CHILD(armor_processor_of_any_number_has_an_arena) {
    armor_start(false);
    char *first = take_in_thread(7);
    char *second = take_in_thread(7 + 1024);
    char *last = take_in_thread(UINT32_MAX - 1);
    CHECK(are_together(first, second) && !are_together(first, last));
    armor_free(first, CLASS_64);
    armor_free(second, CLASS_64);
    armor_free(last, CLASS_64);
    armor_assert_at_rest();
}

/* Frees a block of its shelf, which is locked, on another processor than it was allocated on. */
static void *free_elsewhere(void *is_apart) {
    run_on_cpu(1);
    char *p = take_one();
    hak_store_seq(&away.freed, 1);
    while (hak_load_seq(&away.wished) == 0) {
        hak_cpu_relax();
    }
    run_on_cpu(2);
    armor_free(p, CLASS_64);
    char *q = take_one();
    *(bool *)is_apart = !are_together(p, q);
    armor_free(q, CLASS_64);
    return NULL;
}

UNIT_CHILD(armor_free_that_meets_another_changes_the_arena) {
    bool is_apart = false;
    pthread_t thread;
    armor_start(false);
    away.locks_before = 1 + CLASS_64; /* births; those of the first arena before it */
    hak_arena_each_lock(find_lock, NULL);
    CHECK(pthread_create(&thread, NULL, free_elsewhere, &is_apart) == 0);
    wait_for_freed(1);
    hak_lock(away.lock);
    hak_store_seq(&away.wished, 1);
    while ((hak_load_seq(&away.lock->word) & HAK_LOCK_AWAITED) == 0) {
        hak_cpu_relax();
    }
    hak_unlock(away.lock);
    pthread_join(thread, NULL);
    CHECK(is_apart);
    armor_assert_at_rest();
}

/* Who meets nobody stays; who finds his shelf locked goes to the processor that he is on by now. */
UNIT_CHILD(armor_thread_that_meets_another_changes_its_arena) {
    armor_start(false);
    run_on_cpu(1);
    char *first = take_one();
    away.locks_before = 1 + CLASS_64; /* births; those of the first arena before it */
    hak_arena_each_lock(find_lock, NULL);
    run_on_cpu(2);
    char *second = take_one();
    CHECK(are_together(first, second));
    hak_lock(away.lock);
    char *third = take_one();
    hak_unlock(away.lock);
    char *fourth = take_one();
    CHECK(!are_together(first, third) && are_together(third, fourth));
    armor_free(first, CLASS_64);
    armor_free(second, CLASS_64);
    armor_free(third, CLASS_64);
    armor_free(fourth, CLASS_64);
    armor_assert_at_rest();
}

/* ---- Memory's way back --------------------------------------------------------------------------
 */

UNIT_CHILD(armor_slab_without_live_block_is_untouchable) {
    enum { COUNT = 90 }; /* of 16 KiB, seven a slab: more than are kept to be used again */
    char *blocks[COUNT];
    armor_start(false);
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = armor_alloc(CLASS_16K, 16000);
        CHECK(is_readable(blocks[i]) && is_readable(blocks[i] + 16000));
    }
    CHECK(!is_readable(hak_slab_superslab(hak_slab_of(blocks[0], CLASS_16K))->base +
                       HAK_SUPERSLAB_BYTES - 1));
    size_t active = pool_gauges().slots_active;
    for (unsigned i = 0; i < COUNT; i++) {
        armor_free(blocks[i], CLASS_16K);
    }
    CHECK(hak_armor_is_valid() && pool_gauges().slots_active < active); /* without a trim */
    CHECK(hak_armor_trim() && pool_gauges().slots_active == 0);
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(!is_readable(blocks[i]));
    }
    blocks[0] = armor_alloc(CLASS_16K, 16000); /* from where others were: zero */
    armor_free(blocks[0], CLASS_16K);
    armor_assert_at_rest();
}

/* Waves cost no slab each time, though each leaves none of its blocks. */
UNIT_CHILD(armor_waves_keep_their_slabs) {
    enum { COUNT = 1000, WAVES = 20 };
    static char *blocks[COUNT];
    armor_start(false);
    for (unsigned wave = 0; wave < WAVES; wave++) {
        for (unsigned i = 0; i < COUNT; i++) {
            blocks[i] = armor_alloc(CLASS_64, 60);
        }
        for (unsigned i = 0; i < COUNT; i++) {
            armor_free(blocks[i], CLASS_64);
        }
    }
    CHECK(hak_armor_is_valid() && hak_load_relaxed(&hak_counters.released_slabs) == 0);
    armor_assert_at_rest();
}

/* What is kept is bounded, over all classes. */
UNIT_CHILD(armor_kept_slabs_are_few_over_all_classes) {
    enum { COUNT = 200 };
    static char *blocks[HAK_CLASSES][COUNT];
    armor_start(false);
    for (unsigned cls = HAK_TINY_CLASSES; cls < HAK_CLASSES; cls++) {
        for (unsigned i = 0; i < COUNT; i++) {
            blocks[cls][i] = armor_alloc(cls, 1);
        }
    }
    for (unsigned cls = HAK_TINY_CLASSES; cls < HAK_CLASSES; cls++) {
        for (unsigned i = 0; i < COUNT; i++) {
            armor_free(blocks[cls][i], cls);
        }
    }
    CHECK(hak_armor_is_valid());
    CHECK(pool_gauges().slots_active <= 64 + 4 * 40); /* the bound, and one a class */
    armor_assert_at_rest();
}

/* A lone block that comes and goes costs no slab each time. */
UNIT_CHILD(armor_last_slab_stays) {
    armor_start(false);
    for (unsigned i = 0; i < 1000; i++) {
        armor_free(armor_alloc(CLASS_32K, 100), CLASS_32K);
    }
    CHECK(hak_load_relaxed(&hak_counters.released_slabs) == 0);
    CHECK(pool_gauges().slots_active == 4);
    armor_assert_at_rest();
}

static void fill_and_free(unsigned cls, unsigned count) {
    static char *blocks[20000];
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = armor_alloc(cls, hak_class_stride(cls) - 1);
        memset(blocks[i], 0xFF, hak_class_stride(cls) - 1);
    }
    CHECK(hak_armor_is_valid());
    for (unsigned i = 0; i < count; i++) {
        armor_free(blocks[i], cls);
    }
    armor_assert_at_rest();
}

/* Locked memory: armor_alloc() checks that what comes is zero. */
UNIT_CHILD(armor_purge_refused_hands_out_zero_memory) {
    static const uint8_t classes[] = {0, CLASS_64, 45, CLASS_16K, CLASS_32K, 0, CLASS_32K, 1};
    armor_start(false);
    fake_os_fail(FAKE_PURGE, 1, true);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < UNIT_LENGTH(classes); i++) {
            fill_and_free(classes[i], (unsigned)(400000 / hak_class_stride(classes[i])) % 20000);
        }
    }
    CHECK(fake_os_calls(FAKE_PURGE) != 0);
}

/* ---- Fork ---------------------------------------------------------------------------------------
 */

UNIT_CHILD(armor_in_the_child_of_a_fork_goes_on) {
    armor_start(false);
    char *p = armor_alloc(CLASS_80, 70);
    char *freed = armor_alloc(CLASS_80, 70);
    armor_free(freed, CLASS_80);
    memset(p, 3, 70);
    hak_arena_lock_all();
    pid_t child = fork();
    if (child == 0) {
        hak_lock_forget_self();
        hak_arena_after_fork_in_child();
        CHECK(hak_armor_is_valid());
        CHECK(armor_is_live(p, CLASS_80) && !armor_is_live(freed, CLASS_80));
        CHECK(armor_size(p, CLASS_80) == 70 && p[69] == 3);
        armor_free(p, CLASS_80);
        armor_free(armor_alloc(CLASS_32K, 100), CLASS_32K);
        armor_assert_at_rest();
        _exit(0);
    }
    hak_arena_unlock_all();
    CHECK(unit_wait(child, 10) == 0);
    armor_free(p, CLASS_80);
    armor_assert_at_rest();
}

static void count_lock(hak_lock_t *lock, void *context) {
    CHECK(!hak_lock_is_mine(lock));
    ++*(unsigned *)context;
}

UNIT_CHILD(armor_each_lock_is_free_after_unlock_all) {
    unsigned count = 0;
    armor_start(false);
    hak_arena_lock_all();
    hak_arena_unlock_all();
    hak_arena_each_lock(count_lock, &count);
    CHECK(count == 2 + HAK_CLASSES); /* no arena was used: the first is there anyway */
    (void)take_in_thread(3);
    (void)take_in_thread(16);
    (void)take_in_thread(5);
    count = 0;
    hak_arena_each_lock(count_lock, &count);
    CHECK(count == 2 + 3 * HAK_CLASSES);
}

#define CASE(name) cmocka_unit_test_setup(name, pool_case_set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(armor_alloc_of_each_class_is_zero_and_remembers_size),
        CASE(armor_alloc_stands_between_headers),
        CASE(armor_alloc_order_is_by_chance),
        CASE(armor_first_block_of_a_slab_is_by_chance),
        CASE(armor_resize_keeps_zero_and_canary),
        CASE(armor_random_operations_hand_out_no_block_twice),
        CASE(armor_blocks_of_other_threads_go_home),
        CASE(armor_blocks_of_a_busy_shelf_are_put_away),
        CASE(armor_check_beside_busy_threads_finds_nothing),
        CASE(armor_arenas_are_each_processors_and_a_few_share),
        CASE(armor_processor_of_any_number_has_an_arena),
        CASE(armor_free_that_meets_another_changes_the_arena),
        CASE(armor_thread_that_meets_another_changes_its_arena),
        CASE(armor_slab_without_live_block_is_untouchable),
        CASE(armor_last_slab_stays),
        CASE(armor_waves_keep_their_slabs),
        CASE(armor_kept_slabs_are_few_over_all_classes),
        CASE(armor_purge_refused_hands_out_zero_memory),
        CASE(armor_in_the_child_of_a_fork_goes_on),
        CASE(armor_each_lock_is_free_after_unlock_all),
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
