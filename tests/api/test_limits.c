// Memory that runs out under RLIMIT_AS: NULL and ENOMEM, nothing lost, all of it back after free.
#include "check.h"

#include <sys/resource.h>

static const size_t room = 64 * MIB;

static void limit_to_room(void) {
    rlim_t limit = (rlim_t)(status_kib("VmSize") * KIB + room);
    struct rlimit both = {limit, limit};
    CHECK(setrlimit(RLIMIT_AS, &both) == 0);
}

typedef struct link {
    struct link *next;
} link_t;

// Allocates blocks until NULL; returns their list and count.
static link_t *exhaust(size_t size, size_t *count) {
    link_t *list = NULL;
    *count = 0;
    errno = 0;
    for (;;) {
        link_t *block = malloc(size);
        if (block == NULL) {
            CHECK(errno == ENOMEM);
            return list;
        }
        block->next = list;
        list = block;
        (*count)++;
    }
}

static void free_list(link_t *list) {
    while (list != NULL) {
        link_t *next = list->next;
        free(list);
        list = next;
    }
}

static size_t child_size;

static void exhaust_twice(void) {
    size_t first = 0;
    size_t second = 0;
    limit_to_room();
    link_t *list = exhaust(child_size, &first);
    // It fails again, and so do the others; then all of it comes back.
    CHECK(malloc(room) == NULL);
    free_list(list);
    list = exhaust(child_size, &second);
    free_list(list);
    CHECK(first * child_size >= room / 2);
    CHECK(second >= first - first / 10);
}

static void malloc_until_null_then_free_gives_all_back(void) {
    static const size_t sizes[] = {24, 64, 1000, 1024, 3000, 10000, 32768, 40000, 100000, 1 << 20};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        child_size = sizes[i];
        in_child(exhaust_twice);
    }
}

static void exhaust_small_then_large(void) {
    size_t count = 0;
    limit_to_room();
    free_list(exhaust(child_size, &count));
    void *p = malloc(24 * MIB);
    CHECK(p != NULL);
    free(p);
    free_list(exhaust(48, &count));
    CHECK(count * 48 >= room / 2);
}

static void memory_freed_by_one_tier_serves_the_others(void) {
    static const size_t sizes[] = {64, 1000, 5000, 20000, 50000, 300000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        child_size = sizes[i];
        in_child(exhaust_small_then_large);
    }
}

static void fail_every_call(void) {
    size_t count = 0;
    char *p = malloc(3 * MIB);
    void *unchanged = &count;
    CHECK(p != NULL);
    pattern_fill(p, 3 * MIB, 1);
    limit_to_room();
    link_t *list = exhaust(MIB, &count);
    link_t *small = exhaust(50, &count);
    errno = 0;
    CHECK(realloc(opaque_pointer(p), 200 * MIB) == NULL && errno == ENOMEM);
    CHECK(pattern_holds(opaque_pointer(p), 3 * MIB, 1));
    errno = 0;
    CHECK(calloc(1000, 10000) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(aligned_alloc(MIB, 10 * MIB) == NULL && errno == ENOMEM);
    CHECK(posix_memalign(&unchanged, MIB, 10 * MIB) == ENOMEM);
    CHECK(unchanged == &count);
    free_list(small);
    free_list(list);
    CHECK(pattern_holds(opaque_pointer(p), 3 * MIB, 1));
    free(opaque_pointer(p));
    p = malloc(20 * MIB);
    CHECK(p != NULL);
    free(p);
}

static void every_call_fails_without_harm(void) {
    in_child(fail_every_call);
}

static void *allocate_or_fail(void *unused) {
    for (size_t i = 0; i < 3000; i++) {
        size_t size = 1 + i * 7919 % 200000;
        char *p = malloc(size);
        if (p != NULL) {
            p[0] = 1;
            p[size - 1] = 1;
        }
        free(p);
    }
    return unused;
}

static void threads_at_the_limit(void) {
    pthread_attr_t attributes;
    pthread_t threads[4];
    size_t count = 0;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, 64 * KIB) == 0);
    limit_to_room();
    link_t *list = exhaust(100000, &count);
    // A few blocks back: enough for stacks, not for every allocation of the threads.
    for (int i = 0; i < 20 && list != NULL; i++) {
        link_t *next = list->next;
        free(list);
        list = next;
    }
    for (int round = 0; round < 10; round++) {
        size_t started = 0;
        for (size_t i = 0; i < COUNT_OF(threads); i++) {
            pthread_t *thread = &threads[started];
            int error = pthread_create(thread, &attributes, allocate_or_fail, NULL);
            CHECK(error == 0 || error == EAGAIN || error == ENOMEM);
            started += error == 0;
        }
        while (started > 0) {
            CHECK(pthread_join(threads[--started], NULL) == 0);
        }
    }
    free_list(list);
}

static void threads_start_and_end_at_the_limit(void) {
    in_child(threads_at_the_limit);
}

CHECK_MAIN(CASE(malloc_until_null_then_free_gives_all_back),
           CASE(memory_freed_by_one_tier_serves_the_others), CASE(every_call_fails_without_harm),
           CASE(threads_start_and_end_at_the_limit))
