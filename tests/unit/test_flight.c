/* test_flight.c: what stands behind a fatal line. */
#include "flight.h"

#include "heap_case.h"

static char text[16384];

static void expect_line(const char *line) {
    if (strstr(text, line) == NULL) {
        fail_msg("no '%s' in:\n%s", line, text);
    }
}

static void run(void (*f)(void *)) {
    int status = unit_child(f, NULL, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void free_twice(void *unused) {
    (void)unused;
    void *blocks[3];
    allocate(blocks, 3, 64);
    hak_free(blocks[1]);
    hak_free(blocks[1]);
}

static void flight_double_free_names_slab_neighbours_and_events(void **state) {
    (void)state;
    run(free_twice);
    assert_true(strncmp(text, "hakmem: double free of 0x", 25) == 0);
    expect_line(" of this thread: 8 of 1024 blocks made, 0 of them free at home\n");
    expect_line("hakmem:   block 1 of it at ");
    expect_line(": free; before it: live; behind it: live\n");
    expect_line("hakmem:   of the last 2 events of its heap, those of class 3:\n");
    expect_line(" acquired\nhakmem:     refill: 8 blocks, the first ");
}

static void free_twice_after_many_events(void *unused) {
    (void)unused;
    static void *blocks[3000];
    void *first = hak_malloc(48);
    hak_options.refill = 1;
    allocate(blocks, 100, 64);
    hak_free(blocks[1]);
    in_thread(thread_frees, &(work_t){blocks + 50, 7, 0});
    hak_free(first); /* of another class: its events are gone */
    blocks[0] = hak_malloc(64);
    hak_free(blocks[2]);
    hak_heap_trim();
    hak_free(blocks[2]);
}

static void flight_ring_keeps_the_last_64(void **state) {
    (void)state;
    run(free_twice_after_many_events);
    expect_line("hakmem:   of the last 64 events of its heap, those of class 3:\n");
    expect_line(": 7 blocks home that others freed\n");
    expect_line("drain: a bin's blocks go home, the first ");
    assert_null(strstr(text, " acquired\n"));
    unsigned events = 0;
    for (const char *at = text; (at = strstr(at, "hakmem:     ")) != NULL; at++) {
        events++;
    }
    assert_true(events > 55 && events <= 64);
}

static void free_twice_of_an_ended_thread(void *unused) {
    (void)unused;
    void *block = NULL;
    (void)hak_malloc(1);
    in_thread(thread_allocates, &(work_t){&block, 1, 8192});
    hak_free(block);
    hak_free(block);
}

static void free_twice_of_a_common_slab(void *unused) {
    (void)unused;
    void *block = NULL;
    (void)hak_malloc(1);
    in_thread(thread_allocates, &(work_t){&block, 1, 64});
    hak_free(block);
    hak_free(block);
}

static void flight_owner_is_named(void **state) {
    (void)state;
    run(free_twice_of_an_ended_thread);
    expect_line(" of an ended thread: ");
    run(free_twice_of_a_common_slab);
    expect_line(" of all threads: ");
}

static void *hold_its_heap(void *block) {
    *(void **)block = hak_malloc(8192); /* so wide that it is the thread's own slab */
    hak_lock(&hak_tls_heap->lock);
    pause();
    return NULL;
}

static void detail_of_a_busy_heap(void *unused) {
    (void)unused;
    static void *volatile block;
    pthread_t thread;
    (void)hak_malloc(1);
    CHECK(pthread_create(&thread, NULL, hold_its_heap, (void *)&block) == 0);
    while (block == NULL || hak_load_relaxed(&slab_of(block)->owner->lock.word) == 0) {
        usleep(100);
    }
    hak_flight_report(block);
    hak_message_fatal("the end");
}

/* It waits for nobody: whoever holds the lock may hold it for good. */
static void flight_heap_that_is_busy_is_left_out(void **state) {
    (void)state;
    run(detail_of_a_busy_heap);
    assert_string_equal(text, "hakmem: the end\n");
}

static void free_interior_large(void *unused) {
    (void)unused;
    hak_free((char *)hak_malloc(100000) + 4096);
}

static void flight_large_blocks_have_no_slab(void **state) {
    (void)state;
    run(free_interior_large);
    assert_null(strstr(text, "hakmem:   "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flight_double_free_names_slab_neighbours_and_events),
        cmocka_unit_test(flight_ring_keeps_the_last_64),
        cmocka_unit_test(flight_owner_is_named),
        cmocka_unit_test(flight_heap_that_is_busy_is_left_out),
        cmocka_unit_test(flight_large_blocks_have_no_slab),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
