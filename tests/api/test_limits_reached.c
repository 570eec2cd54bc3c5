// RLIMIT_AS reached in mid-run, by one thread and by four, with blocks of all tiers: every refusal
// is NULL and ENOMEM, contents stay, and what was freed can be had again.
#include "check.h"

#include <sys/resource.h>

enum { THREADS = 4, ENTRIES = 1 << 15, ROUNDS = 4, REFUSALS = 100, SEAL_BYTES = 512 };

typedef struct {
    unsigned char *bytes;
    size_t size;
} entry_t;

typedef struct {
    entry_t entries[ENTRIES];
    size_t count;
    size_t bytes;
    uint64_t random;
    size_t full[ROUNDS]; // what it had when it was refused, by round
} worker_t;

static const size_t room = 96 * MIB;
static const size_t records = 256 * KIB; // mapped at a time

static worker_t workers[THREADS];
static size_t thread_count;
static pthread_barrier_t barrier;

static size_t random_below(worker_t *w, size_t n) {
    w->random = w->random * 6364136223846793005U + 1442695040888963407U;
    return (size_t)((w->random >> 33) % n);
}

// 16 bytes to 2 MiB, each doubling as likely as the next.
static size_t random_size(worker_t *w) {
    size_t low = (size_t)16 << random_below(w, 17);
    return low + random_below(w, low);
}

static unsigned char *allocate(worker_t *w, size_t size) {
    void *p = NULL;
    errno = 0;
    switch (random_below(w, 4)) {
    case 0:
        p = calloc(1, size);
        CHECK(p == NULL || all_zero(p, size));
        break;
    case 1:
        p = aligned_alloc(256, size);
        CHECK(p == NULL || is_aligned(p, 256));
        break;
    default:
        p = malloc(size);
        break;
    }
    CHECK(p != NULL || errno == ENOMEM);
    return p;
}

// Both ends of a block, since all of it would take the time of the test.
static void seal(unsigned char *p, size_t size) {
    size_t end = size < SEAL_BYTES ? size : SEAL_BYTES;
    pattern_fill(p, end, (unsigned)size);
    pattern_fill(p + size - end, end, (unsigned)size);
}

static bool is_sealed(const entry_t *entry) {
    size_t end = entry->size < SEAL_BYTES ? entry->size : SEAL_BYTES;
    unsigned seed = (unsigned)entry->size;
    return pattern_holds(entry->bytes + entry->size - end, end, seed) &&
           pattern_holds(entry->bytes, entry->size < 2 * SEAL_BYTES ? entry->size - end : end,
                         seed);
}

static bool add_block(worker_t *w, size_t size) {
    unsigned char *p = allocate(w, size);
    if (p == NULL) {
        return false;
    }
    CHECK(w->count < ENTRIES);
    seal(p, size);
    w->entries[w->count++] = (entry_t){p, size};
    w->bytes += size;
    return true;
}

static void drop_block(worker_t *w, size_t i) {
    entry_t *entry = &w->entries[i];
    CHECK(is_sealed(entry));
    errno = 77;
    free(entry->bytes);
    CHECK(errno == 77);
    w->bytes -= entry->size;
    *entry = w->entries[--w->count];
}

// A block that cannot be had in its new size stays as it is.
static void resize_block(worker_t *w, size_t i) {
    entry_t *entry = &w->entries[i];
    size_t size = random_size(w);
    unsigned char first = entry->bytes[0];
    CHECK(is_sealed(entry));
    errno = 0;
    unsigned char *p = realloc(entry->bytes, size);
    if (p == NULL) {
        CHECK(errno == ENOMEM && is_sealed(entry));
        return;
    }
    CHECK(p[0] == first);
    seal(p, size);
    w->bytes += size - entry->size;
    *entry = (entry_t){p, size};
}

static void fill_to_the_limit(worker_t *w) {
    for (int refusals = 0; refusals < REFUSALS;) {
        refusals += !add_block(w, random_size(w));
    }
    while (add_block(w, 4000)) { // what is left between the large ones
    }
}

// Nothing is certain to be had here, and nothing may break.
static void churn_at_the_limit(worker_t *w) {
    for (int i = 0; i < 4000; i++) {
        size_t block = w->count != 0 ? random_below(w, w->count) : 0;
        if (w->count != 0 && random_below(w, 2) == 0) {
            drop_block(w, block);
        } else if (w->count != 0 && random_below(w, 4) == 0) {
            resize_block(w, block);
        } else {
            (void)add_block(w, random_size(w));
        }
    }
}

static void *work(void *worker) {
    worker_t *w = worker;
    pthread_barrier_wait(&barrier); // the limit is set
    for (int round = 0; round < ROUNDS; round++) {
        fill_to_the_limit(w);
        w->full[round] = w->bytes;
        pthread_barrier_wait(&barrier); // there is no more for anyone
        churn_at_the_limit(w);
        pthread_barrier_wait(&barrier); // all have enough of it
        while (w->count != 0) {
            drop_block(w, w->count - 1);
        }
        CHECK(w->bytes == 0);
        pthread_barrier_wait(&barrier); // all is free
    }
    return NULL;
}

static size_t limit_kib;

static void limit_to_room(void) {
    limit_kib = status_kib("VmSize") + room / KIB;
    rlim_t limit = (rlim_t)(limit_kib * KIB);
    struct rlimit both = {limit, limit};
    CHECK(setrlimit(RLIMIT_AS, &both) == 0);
}

static size_t full_of_all(int round) {
    size_t bytes = 0;
    for (size_t i = 0; i < thread_count; i++) {
        bytes += workers[i].full[round];
    }
    return bytes;
}

static void reach_the_limit(void) {
    pthread_t threads[THREADS];
    CHECK(pthread_barrier_init(&barrier, NULL, (unsigned)thread_count) == 0);
    for (size_t i = 0; i < thread_count; i++) {
        workers[i].random = i + 1;
    }
    for (size_t i = 1; i < thread_count; i++) {
        CHECK(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    }
    limit_to_room();
    work(&workers[0]);
    for (size_t i = 1; i < thread_count; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    for (int round = 1; round < ROUNDS; round++) {
        // Of every class each thread has a slab that is not full: more or fewer from round to
        // round.
        CHECK(full_of_all(round) >= full_of_all(0) / 100 * 80);
    }
    // The threads are gone, and all that they had is there for one.
    fill_to_the_limit(&workers[0]);
    CHECK(workers[0].bytes >= room / 100 * 85);
}

static void one_thread_at_the_limit(void) {
    thread_count = 1;
    in_child(reach_the_limit);
}

static void four_threads_at_the_limit(void) {
    thread_count = THREADS;
    in_child(reach_the_limit);
}

// ---- what one tier keeps ----

typedef struct link {
    struct link *next;
} link_t;

// *left: bytes of addresses that nobody took.
static size_t count_until_null(size_t size, size_t *left) {
    link_t *list = NULL;
    size_t count = 0;
    for (link_t *block; (block = malloc(size)) != NULL; count++) {
        block->next = list;
        list = block;
    }
    CHECK(errno == ENOMEM);
    *left = (limit_kib - status_kib("VmSize")) * KIB;
    while (list != NULL) {
        link_t *next = list->next;
        free(list);
        list = next;
    }
    return count;
}

// To the last of it, although what was freed before is kept in other places for other sizes. Where
// records of the sizes in between took a piece of the addresses, the last unit of 2 MiB may not be
// to be had any more; then the rest of it is left, and what is missing is not more than both, and
// the block that it held in part.
static void exhaust_by_turns(void) {
    static const size_t sizes[] = {1000, 300000, 64, 20000, 100000, 5000};
    size_t first[COUNT_OF(sizes)] = {0}, first_left[COUNT_OF(sizes)] = {0};
    limit_to_room();
    for (size_t turn = 0; turn < 3 * COUNT_OF(sizes); turn++) {
        size_t i = turn % COUNT_OF(sizes), left;
        size_t count = count_until_null(sizes[i], &left);
        if (turn < COUNT_OF(sizes)) {
            first[i] = count;
            first_left[i] = left;
        }
        if (runs_under_hakmem()) { // glibc comes close
            CHECK(count * sizes[i] >= room / 100 * (is_hardened() ? 60 : 85));
            CHECK(count >= first[i] || (count + 1) * sizes[i] + left + records >=
                                           first[i] * sizes[i] + first_left[i]);
        }
    }
}

static void what_one_size_kept_serves_the_others(void) {
    in_child(exhaust_by_turns);
}

CHECK_MAIN(CASE(one_thread_at_the_limit), CASE(four_threads_at_the_limit),
           CASE(what_one_size_kept_serves_the_others))
