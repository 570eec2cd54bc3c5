// fork: children of single- and multi-threaded parents allocate, free what they inherited, and
// start threads; so do fork handlers and children of children.
#include "check.h"

#include <spawn.h>
#include <stdatomic.h>

enum { BLOCKS = 300, HAMMERS = 4 };

static void *blocks[BLOCKS];
static size_t sizes[BLOCKS];
static atomic_bool hammers_stop;
static pthread_t hammers[HAMMERS];

static void allocate_blocks(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        sizes[i] = i % 10 == 9 ? 50000 + i * 1000 : i % 5 == 4 ? 2000 + i * 50 : 1 + i * 3;
        blocks[i] = malloc(sizes[i]);
        CHECK(blocks[i] != NULL);
        pattern_fill(blocks[i], sizes[i], (unsigned)i);
    }
}

static void verify_and_free_blocks(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        CHECK(pattern_holds(blocks[i], sizes[i], (unsigned)i));
        free(blocks[i]);
    }
}

static void *churn(void *rounds) {
    for (size_t i = 0; i < (size_t)(uintptr_t)rounds; i++) {
        size_t size = 1 + i * 7919 % 60000;
        char *p = malloc(size);
        CHECK(p != NULL);
        p[0] = 1;
        p[size - 1] = 2;
        free(p);
    }
    return NULL;
}

static void child_body(void) {
    verify_and_free_blocks();
    allocate_blocks();
    in_thread(churn, (void *)(uintptr_t)500);
    verify_and_free_blocks();
    churn((void *)(uintptr_t)500);
}

static void *hammer(void *unused) {
    while (!atomic_load(&hammers_stop)) {
        churn((void *)(uintptr_t)100);
    }
    return unused;
}

static void start_hammers(void) {
    atomic_store(&hammers_stop, false);
    for (size_t i = 0; i < HAMMERS; i++) {
        CHECK(pthread_create(&hammers[i], NULL, hammer, NULL) == 0);
    }
}

static void stop_hammers(void) {
    atomic_store(&hammers_stop, true);
    for (size_t i = 0; i < HAMMERS; i++) {
        CHECK(pthread_join(hammers[i], NULL) == 0);
    }
}

static void fork_of_a_single_thread_child_allocates(void) {
    allocate_blocks();
    for (int i = 0; i < 20; i++) {
        in_child(child_body);
    }
    verify_and_free_blocks();
}

static void fork_under_busy_threads_child_allocates(void) {
    allocate_blocks();
    start_hammers();
    for (int i = 0; i < 40; i++) {
        in_child(child_body);
    }
    stop_hammers();
    verify_and_free_blocks();
}

static void child_with_child(void) {
    child_body();
    allocate_blocks();
    in_child(child_body);
    verify_and_free_blocks();
}

static void fork_in_a_child_works(void) {
    allocate_blocks();
    start_hammers();
    for (int i = 0; i < 10; i++) {
        in_child(child_with_child);
    }
    stop_hammers();
    verify_and_free_blocks();
}

static void *fork_here(void *unused) {
    for (int i = 0; i < 10; i++) {
        in_child(child_body);
    }
    return unused;
}

static void fork_by_another_thread_child_allocates(void) {
    allocate_blocks();
    start_hammers();
    in_thread(fork_here, NULL);
    stop_hammers();
    verify_and_free_blocks();
}

static void *handler_block;

static void allocate_in_prepare(void) {
    handler_block = malloc(3000);
    free(malloc(100));
}

static void free_in_handler(void) {
    free(malloc(100));
    free(handler_block);
}

static void fork_handlers_may_allocate(void) {
    CHECK(pthread_atfork(allocate_in_prepare, free_in_handler, free_in_handler) == 0);
    allocate_blocks();
    start_hammers();
    for (int i = 0; i < 30; i++) {
        in_child(child_body);
    }
    stop_hammers();
    verify_and_free_blocks();
}

static void vfork_and_spawn_work(void) {
    char *const arguments[] = {(char *)"true", NULL};
    char *const environment[] = {NULL};
    start_hammers();
    for (int i = 0; i < 20; i++) {
        pid_t child = 0;
        int status = -1;
        CHECK(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environment) == 0);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    CHECK(system("true") == 0);
    stop_hammers();
}

CHECK_MAIN(CASE(fork_of_a_single_thread_child_allocates),
           CASE(fork_under_busy_threads_child_allocates), CASE(fork_in_a_child_works),
           CASE(fork_by_another_thread_child_allocates), CASE(fork_handlers_may_allocate),
           CASE(vfork_and_spawn_work))
