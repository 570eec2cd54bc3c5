// hak_heap_visit names the program's live blocks, and no free ones.
#include "check.h"

#include <malloc.h>
#include <sched.h>
#include <stdatomic.h>

#include "../../include/hakmem.h"

static int (*visit_heap)(int (*)(const hak_visit_t *, void *), void *);

typedef struct {
    const void *address;
    size_t size;
    int seen;
    size_t all_bytes, slabs;
} wanted_t;

static int look(const hak_visit_t *what, void *arg) {
    wanted_t *wanted = arg;
    if (what->kind == HAK_VISIT_SLAB) {
        wanted->slabs++;
        return 0;
    }
    wanted->all_bytes += what->size;
    if (what->address == wanted->address) {
        wanted->seen++;
        wanted->size = what->size;
    }
    return 0;
}

static wanted_t visit_for(const void *address) {
    wanted_t wanted = {.address = address};
    CHECK(visit_heap(look, &wanted) == 0);
    return wanted;
}

static void heap_visit_names_a_block_while_it_lives(void) {
    for (size_t size = 1; size < 10000000; size = size * 3 + 1) {
        void *p = malloc(size);
        CHECK(p != NULL);
        wanted_t found = visit_for(p);
        CHECK(found.seen == 1 && found.size == malloc_usable_size(p) && found.slabs > 0);
        free(p);
        CHECK(visit_for(p).seen == 0);
    }
}

static void heap_visit_agrees_with_the_statistics(void) {
    int (*get)(hak_stats_t *) = NULL;
    CHECK(find_function("hak_stats_get", &get));
    void *p = malloc(12345);
    hak_stats_t stats = {.struct_bytes = sizeof stats};
    CHECK(get(&stats) == 0 && stats.struct_bytes == sizeof stats);
    // The hardened mode names what was asked for; the statistics count rounding, too.
    size_t all_bytes = visit_for(p).all_bytes;
    CHECK(is_hardened() ? all_bytes <= stats.live_bytes : all_bytes == stats.live_bytes);
    free(p);
}

static int answer_42(const hak_visit_t *what, void *count) {
    (void)what;
    ++*(int *)count;
    return 42;
}

static void heap_visit_returns_what_ended_it(void) {
    int count = 0;
    void *p = malloc(1);
    CHECK(visit_heap(answer_42, &count) == 42 && count == 1);
    free(p);
}

static void heap_visit_leaves_the_heap_in_use(void) {
    void *p = malloc(100);
    visit_for(p);
    void *q = malloc(100); // from this thread's bins, as before
    CHECK(q != NULL && q != p);
    free(p);
    free(q);
}

static atomic_bool is_visiting;
static atomic_bool was_cancelled;

// Comes to a cancellation point when the cancellation is there.
static int wait_for_cancellation(const hak_visit_t *what, void *fd) {
    (void)what;
    atomic_store(&is_visiting, true);
    while (!atomic_load(&was_cancelled)) {
        sched_yield();
    }
    CHECK(write(*(int *)fd, "", 1) == 1);
    return 1;
}

static void *visit_once(void *fd) {
    visit_heap(wait_for_cancellation, fd);
    return NULL;
}

static void *cancel_oneself(void *unused) {
    pthread_cancel(pthread_self());
    pthread_testcancel();
    return unused;
}

// A lock that was left behind would make the trim wait for ever.
static void heap_visit_that_is_cancelled_leaves_no_lock(void) {
    pthread_t visitor;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    in_thread(cancel_oneself, NULL); // the first cancellation of a process loads libgcc, which allocates
    CHECK(fd >= 0 && pthread_create(&visitor, NULL, visit_once, &fd) == 0);
    while (!atomic_load(&is_visiting)) {
        sched_yield();
    }
    CHECK(pthread_cancel(visitor) == 0);
    atomic_store(&was_cancelled, true);
    alarm(20); // instead of a hang
    CHECK(pthread_join(visitor, NULL) == 0);
    (void)malloc_trim(0);
    alarm(0);
    close(fd);
}

#define VISIT(name)                                                                                \
    static void name##_if_there(void) {                                                            \
        if (!find_function("hak_heap_visit", &visit_heap)) {                                       \
            SKIP("no hak_heap_visit");                                                             \
        }                                                                                          \
        name();                                                                                    \
    }
VISIT(heap_visit_names_a_block_while_it_lives)
VISIT(heap_visit_agrees_with_the_statistics)
VISIT(heap_visit_returns_what_ended_it)
VISIT(heap_visit_leaves_the_heap_in_use)
VISIT(heap_visit_that_is_cancelled_leaves_no_lock)

CHECK_MAIN(CASE(heap_visit_names_a_block_while_it_lives_if_there),
           CASE(heap_visit_agrees_with_the_statistics_if_there),
           CASE(heap_visit_returns_what_ended_it_if_there),
           CASE(heap_visit_leaves_the_heap_in_use_if_there),
           CASE(heap_visit_that_is_cancelled_leaves_no_lock_if_there))
