/* test_lock.c: the values of the word, and threads that meet. */
#include "lock.h"

#include <pthread.h>

#include "fake_os.h"

#define THREADS 4
#define ROUNDS 200000

static hak_lock_t lock;
static unsigned long counter;
static _Atomic unsigned waits, wakes;

static void lock_try_held_fails_and_changes_nothing(void **state) {
    (void)state;
    assert_true(hak_lock_try(&lock));
    assert_false(hak_lock_try(&lock));
    assert_int_equal(lock.word, hak_os_thread_id());
    hak_unlock(&lock);
    assert_int_equal(lock.word, 0);
}

static void lock_reset_frees_it(void **state) {
    (void)state;
    hak_lock(&lock);
    hak_lock_reset(&lock);
    assert_true(hak_lock_try(&lock));
    hak_unlock(&lock);
}

static void counting_wait(void *word, uint32_t while_value) {
    hak_add_relaxed(&waits, 1);
    fake_os.real.wait(word, while_value);
}

static void counting_wake(void *word) {
    hak_add_relaxed(&wakes, 1);
    fake_os.real.wake_one(word);
}

static void unlock_without_waiters_makes_no_system_call(void **state) {
    (void)state;
    hak_store_relaxed(&wakes, 0);
    for (int i = 0; i < 1000; i++) {
        hak_lock(&lock);
        hak_unlock(&lock);
    }
    assert_int_equal(wakes, 0);
}

static void *take_once(void *argument) {
    hak_lock(&lock);
    *(int *)argument = 1;
    hak_unlock(&lock);
    return NULL;
}

static void lock_held_for_long_sleeps_and_is_woken(void **state) {
    (void)state;
    pthread_t thread;
    int taken = 0;
    hak_store_relaxed(&waits, 0);
    hak_store_relaxed(&wakes, 0);
    hak_lock(&lock);
    assert_int_equal(pthread_create(&thread, NULL, take_once, &taken), 0);
    while (hak_load_relaxed(&waits) == 0) {
        usleep(100);
    }
    assert_int_equal(lock.word, hak_os_thread_id() | HAK_LOCK_AWAITED);
    assert_int_equal(taken, 0);
    hak_unlock(&lock);
    pthread_join(thread, NULL);
    assert_int_equal(taken, 1);
    assert_true(hak_load_relaxed(&wakes) >= 1);
    assert_int_equal(lock.word, 0);
}

static void take_twice(void *unused) {
    (void)unused;
    hak_lock(&lock);
    hak_lock(&lock);
}

static void lock_held_by_the_same_thread_is_reported(void **state) {
    (void)state;
    unit_assert_aborts(take_twice, NULL,
                       "hakmem: malloc or free in a signal handler that interrupted malloc or "
                       "free\n");
}

static int cancel_type(void) {
    int type = hak_cancel_defer();
    hak_cancel_restore(type);
    return type;
}

static void lock_defers_cancellation_and_restores_it(void **state) {
    (void)state;
    hak_lock_t inner = {0};
    int before;
    char alone = __libc_single_threaded;
    __libc_single_threaded = 0; /* else nobody could cancel it */
    assert_int_equal(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before), 0);
    hak_lock(&lock);
    assert_int_equal(cancel_type(), PTHREAD_CANCEL_DEFERRED);
    assert_false(hak_lock_try(&lock));
    assert_true(hak_lock_try(&inner));
    hak_unlock(&inner);
    assert_int_equal(cancel_type(), PTHREAD_CANCEL_DEFERRED);
    hak_unlock(&lock);
    assert_int_equal(cancel_type(), PTHREAD_CANCEL_ASYNCHRONOUS);
    (void)pthread_setcanceltype(before, &before);
    __libc_single_threaded = alone;
}

/* What a single thread does by plain stores is seen by all that comes after, and by itself. */
static void lock_of_a_single_thread_is_held_like_any(void **state) {
    (void)state;
    char alone = __libc_single_threaded;
    __libc_single_threaded = 1;
    hak_lock(&lock);
    assert_true(hak_lock_is_mine(&lock));
    assert_false(hak_lock_try(&lock));
    __libc_single_threaded = 0;
    assert_false(hak_lock_try(&lock));
    hak_unlock(&lock);
    hak_lock(&lock);
    __libc_single_threaded = 1;
    hak_unlock(&lock);
    assert_int_equal(lock.word, 0);
    unit_assert_aborts(take_twice, NULL,
                       "hakmem: malloc or free in a signal handler that interrupted malloc or "
                       "free\n");
    __libc_single_threaded = alone;
}

static void *count_up(void *argument) {
    for (unsigned i = 0; i < ROUNDS; i++) {
        hak_lock(&lock);
        counter++;
        hak_unlock(&lock);
    }
    return argument;
}

static void lock_four_threads_exclude_each_other(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    for (int t = 0; t < THREADS; t++) {
        assert_int_equal(pthread_create(&threads[t], NULL, count_up, NULL), 0);
    }
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
    }
    assert_int_equal(counter, THREADS * ROUNDS);
    assert_int_equal(lock.word, 0);
}

static int set_up(void **state) {
    (void)state;
    fake_os_install();
    hak_os.wait = counting_wait;
    hak_os.wake_one = counting_wake;
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lock_try_held_fails_and_changes_nothing),
        cmocka_unit_test(lock_reset_frees_it),
        cmocka_unit_test(unlock_without_waiters_makes_no_system_call),
        cmocka_unit_test(lock_held_for_long_sleeps_and_is_woken),
        cmocka_unit_test(lock_held_by_the_same_thread_is_reported),
        cmocka_unit_test(lock_defers_cancellation_and_restores_it),
        cmocka_unit_test(lock_of_a_single_thread_is_held_like_any),
        cmocka_unit_test(lock_four_threads_exclude_each_other),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
