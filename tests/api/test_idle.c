// Programs that freed what they had and idle: what they hold a second later, and in which threads.
#include "../../include/hakmem.h"
#include "check.h"

#include <dirent.h>
#include <malloc.h>
#include <sys/mman.h>

enum { THREADS = 4, ENTRIES = 1 << 17 };

typedef struct {
    unsigned char *blocks[ENTRIES]; // more than a thread needs
    size_t count;
} table_t;

typedef enum { IN_ORDER, SHUFFLED, BY_ANOTHER } how_t;

static const size_t burst_bytes = 250 * MIB;

static table_t *tables; // mapped and touched before anything is measured
static pthread_barrier_t barrier;
static how_t how;

// ---- bursts of all sizes ----

static size_t random_below(uint64_t *state, size_t n) {
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (size_t)((*state >> 33) % n);
}

// 16 bytes to 8 KiB, each doubling as likely as the next.
static size_t random_size(uint64_t *state) {
    size_t low = (size_t)16 << random_below(state, 9);
    return low + random_below(state, low);
}

static void allocate(table_t *table, uint64_t seed, size_t bytes) {
    table->count = 0;
    for (size_t so_far = 0; so_far < bytes;) {
        size_t size = random_size(&seed);
        CHECK(table->count < ENTRIES);
        unsigned char *p = malloc(size);
        CHECK(p != NULL);
        memset(p, 1, size);
        table->blocks[table->count++] = p;
        so_far += size;
    }
}

static void shuffle(table_t *table, uint64_t seed) {
    for (size_t i = table->count - 1; i > 0; i--) {
        size_t j = random_below(&seed, i + 1);
        unsigned char *p = table->blocks[i];
        table->blocks[i] = table->blocks[j];
        table->blocks[j] = p;
    }
}

static void free_all(table_t *table) {
    for (size_t i = 0; i < table->count; i++) {
        free(table->blocks[i]);
    }
}

static void *allocate_free_and_stay(void *place) {
    size_t i = (size_t)((table_t *)place - tables);
    allocate(&tables[i], i, burst_bytes / THREADS);
    if (how == SHUFFLED) {
        shuffle(&tables[i], i);
    }
    pthread_barrier_wait(&barrier); // all have allocated
    pthread_barrier_wait(&barrier); // the program has been looked at
    free_all(&tables[how == BY_ANOTHER ? (i + 1) % THREADS : i]);
    pthread_barrier_wait(&barrier); // all have freed
    pthread_barrier_wait(&barrier); // once more
    return NULL;
}

static size_t count_threads(void) {
    size_t count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(tasks);
    return count;
}

static void map_tables(void) {
    tables = mmap(NULL, THREADS * sizeof *tables, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    CHECK(tables != MAP_FAILED);
}

static void burst_and_idle(void) {
    pthread_t threads[THREADS];
    map_tables();
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS + 1) == 0);
    CHECK(count_threads() == 1);
    size_t start = rollup_kib("Rss:");
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, allocate_free_and_stay, &tables[i]) == 0);
    }
    pthread_barrier_wait(&barrier);
    CHECK(rollup_kib("Rss:") >= start + burst_bytes / KIB);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    sleep(1); // not for the sake of a race: an allocator may take this second
    size_t idle = rollup_kib("Rss:");
    CHECK(count_threads() == THREADS + 1);
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    if (runs_under_hakmem()) {
        CHECK(idle <= start + (is_hardened() ? 32 : 16) * MIB / KIB);
    }
}

static void burst_freed_in_order_leaves_16_mib(void) {
    how = IN_ORDER;
    in_child(burst_and_idle);
}

static void burst_freed_in_random_order_leaves_16_mib(void) {
    how = SHUFFLED;
    in_child(burst_and_idle);
}

static void burst_freed_by_other_threads_leaves_16_mib(void) {
    how = BY_ANOTHER;
    in_child(burst_and_idle);
}

// ---- small blocks that change hands ----

enum { GIVERS = 8, TAKERS = 8 };

typedef struct {
    unsigned char **blocks; // of all givers, one behind the other
    size_t count;           // each giver's
    bool shuffled;
} handover_t;

static handover_t handover;

// The process ends with its threads asleep.
static _Noreturn void wait_and_sleep(void) {
    pthread_barrier_wait(&barrier);
    for (;;) {
        pause();
    }
}

static void *give_and_stay(void *number) {
    size_t i = (size_t)number;
    uint64_t seed = i;
    for (size_t k = i * handover.count; k < (i + 1) * handover.count; k++) {
        size_t size = 16 + random_below(&seed, 985);
        handover.blocks[k] = malloc(size);
        CHECK(handover.blocks[k] != NULL);
        memset(handover.blocks[k], 1, size);
    }
    wait_and_sleep();
}

static void *take_and_stay(void *number) {
    size_t i = (size_t)number;
    size_t share = GIVERS * handover.count / TAKERS;
    for (size_t k = i * share; k < (i + 1) * share; k++) {
        free(handover.blocks[k]);
    }
    wait_and_sleep();
}

static void start_threads(size_t count, void *(*run)(void *)) {
    pthread_t thread;
    CHECK(pthread_barrier_init(&barrier, NULL, (unsigned)count + 1) == 0);
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_create(&thread, NULL, run, (void *)i) == 0);
    }
    pthread_barrier_wait(&barrier);
    CHECK(pthread_barrier_destroy(&barrier) == 0); // when all have left it
}

static void shuffle_blocks(unsigned char **table, size_t count) {
    uint64_t seed = 1;
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = random_below(&seed, i + 1);
        unsigned char *p = table[i];
        table[i] = table[j];
        table[j] = p;
    }
}

// Nobody is left who would come to what lies about: all sleep, and no thread ends.
static void hand_over_and_idle(void) {
    handover.count = burst_bytes / 508 / GIVERS;
    size_t bytes = GIVERS * handover.count * sizeof *handover.blocks;
    handover.blocks = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    CHECK(handover.blocks != MAP_FAILED);
    size_t start = rollup_kib("Rss:");
    start_threads(GIVERS, give_and_stay);
    CHECK(rollup_kib("Rss:") >= start + burst_bytes / KIB);
    if (handover.shuffled) {
        shuffle_blocks(handover.blocks, GIVERS * handover.count);
    }
    start_threads(TAKERS, take_and_stay);
    sleep(1);
    size_t idle = rollup_kib("Rss:");
    // The givers' bins alone hold a slab of each of 32 classes: 16 MiB.
    if (runs_under_hakmem()) {
        CHECK(idle <= start + 48 * MIB / KIB);
    }
}

static void small_blocks_freed_by_others_in_order_leave_48_mib(void) {
    in_child(hand_over_and_idle);
}

static void small_blocks_freed_by_others_at_random_leave_48_mib(void) {
    handover.shuffled = true;
    in_child(hand_over_and_idle);
}

// ---- many threads that hold little ----

enum { HOLDERS = 100, HELD_BYTES = 10 * KIB };

static void *hold_and_stay(void *number) {
    uint64_t seed = (size_t)number;
    for (size_t held = 0; held < HELD_BYTES;) {
        size_t low = (size_t)16 << random_below(&seed, 6);
        size_t size = low + random_below(&seed, low);
        void *p = malloc(size);
        CHECK(p != NULL);
        memset(p, 1, size);
        held += size;
    }
    wait_and_sleep();
}

// Stacks and what they hold included.
static void hold_and_idle(void) {
    CHECK(malloc(1) != NULL);
    size_t start = rollup_kib("Rss:");
    start_threads(HOLDERS, hold_and_stay);
    size_t idle = rollup_kib("Rss:");
    if (runs_under_hakmem() && !is_hardened()) {
        CHECK(idle <= start + HOLDERS * 64);
    }
}

static void threads_that_hold_10_kib_cost_64_kib_each(void) {
    in_child(hold_and_idle);
}

// ---- trim ----

typedef struct {
    bool allocates;  // it frees its own blocks, not the main thread's
    size_t kept_kib; // out: above the start, after malloc_trim(0)
    hak_stats_t stats;
} trim_t;

static trim_t trim;

static void *free_and_stay(void *table) {
    if (trim.allocates) {
        allocate(table, 7, 60 * MIB);
    }
    pthread_barrier_wait(&barrier); // there are blocks
    free_all(table);
    pthread_barrier_wait(&barrier); // there are none
    pthread_barrier_wait(&barrier); // the program has been looked at
    return NULL;
}

// An idle thread freed 60 MiB; another one trims.
static void trim_beside_idle_thread(void) {
    int (*get_stats)(hak_stats_t *) = NULL;
    pthread_t thread;
    map_tables();
    CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0);
    size_t start = rollup_kib("Rss:");
    CHECK(pthread_create(&thread, NULL, free_and_stay, &tables[0]) == 0);
    if (!trim.allocates) {
        allocate(&tables[0], 7, 60 * MIB);
    }
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    CHECK(malloc_trim(0) == 1);
    trim.kept_kib = rollup_kib("Rss:") - start;
    trim.stats.struct_bytes = sizeof trim.stats;
    CHECK(find_function("hak_stats_get", &get_stats) && get_stats(&trim.stats) == 0);
    pthread_barrier_wait(&barrier);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(trim.stats.retained_bytes == 0);
}

static void trim_own(void) {
    trim.allocates = true;
    trim_beside_idle_thread();
    CHECK(trim.kept_kib <= 2 * MIB / KIB);
}

// What its bins hold of others' blocks only the idle thread itself may touch: about a slab a class.
static void trim_others(void) {
    trim_beside_idle_thread();
    CHECK(trim.kept_kib <= 2 * MIB / KIB + trim.stats.slots_active * 64);
    CHECK(trim.stats.slots_active <= 72);
}

static void trim_takes_what_an_idle_thread_freed(void) {
    if (!runs_under_hakmem()) {
        SKIP("glibc keeps more");
    }
    in_child(trim_own);
}

static void trim_takes_what_an_idle_thread_freed_for_others(void) {
    if (!runs_under_hakmem()) {
        SKIP("glibc keeps more");
    }
    in_child(trim_others);
}

// ---- every sixteenth survives ----

enum { BLOCKS = 200000, SIZE = 512 };

static void *blocks[BLOCKS];

static void allocate_missing(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        if (blocks[i] == NULL) {
            blocks[i] = malloc(SIZE);
            CHECK(blocks[i] != NULL);
            memset(blocks[i], 1, SIZE);
        }
    }
}

static void free_blocks(size_t kept_one_in) {
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % kept_one_in != 0 || kept_one_in == 1) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
    }
}

static void survive_and_go(void) {
    memset(blocks, 1, sizeof blocks); // resident before anything is measured
    memset(blocks, 0, sizeof blocks);
    size_t start = rollup_kib("Rss:");
    allocate_missing();
    size_t peak = rollup_kib("Rss:");
    free_blocks(16);
    size_t survivors = rollup_kib("Rss:");
    allocate_missing();
    size_t again = rollup_kib("Rss:");
    free_blocks(16);
    free_blocks(1);
    size_t end = rollup_kib("Rss:");
    size_t live_kib = (size_t)BLOCKS * SIZE / KIB;
    CHECK(peak >= start + live_kib);
    // Every slab has survivors, so none can go; but what they leave free serves again.
    CHECK(survivors <= peak + 256);
    CHECK(again <= peak + 256);
    if (runs_under_hakmem()) {
        size_t strides_kib = live_kib + live_kib / 32; // they take 528
        CHECK(peak <= start + strides_kib + live_kib / (is_hardened() ? 4 : 32));
        CHECK(end <= start + 6 * MIB / KIB);
    }
}

static void survivors_of_512_bytes_take_no_more_and_leave_nothing(void) {
    in_child(survive_and_go);
}

CHECK_MAIN(CASE(burst_freed_in_order_leaves_16_mib),
           CASE(burst_freed_in_random_order_leaves_16_mib),
           CASE(burst_freed_by_other_threads_leaves_16_mib),
           CASE(small_blocks_freed_by_others_in_order_leave_48_mib),
           CASE(small_blocks_freed_by_others_at_random_leave_48_mib),
           CASE(threads_that_hold_10_kib_cost_64_kib_each),
           CASE(trim_takes_what_an_idle_thread_freed),
           CASE(trim_takes_what_an_idle_thread_freed_for_others),
           CASE(survivors_of_512_bytes_take_no_more_and_leave_nothing))
