// hak_heap_visit names the program's live blocks, and no free ones.
#include "check.h"

#include <malloc.h>

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
    CHECK(visit_for(p).all_bytes == stats.live_bytes);
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

CHECK_MAIN(CASE(heap_visit_names_a_block_while_it_lives_if_there),
           CASE(heap_visit_agrees_with_the_statistics_if_there),
           CASE(heap_visit_returns_what_ended_it_if_there),
           CASE(heap_visit_leaves_the_heap_in_use_if_there))
