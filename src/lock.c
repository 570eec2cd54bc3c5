/* lock.c: the contended half of lock.h, and what it asks of libc.
 *
 * Threads:   any.
 */
#include "lock.h"

#include <pthread.h>

#include "message.h"
#include "os.h"

/* A critical section is some tens of nanoseconds; a sleep and a wake are some microseconds. */
#define SPINS 64

_Thread_local uint32_t hak_lock_self __attribute__((tls_model("initial-exec")));

const char *hak_lock_note;

uint32_t hak_lock_identify(void) {
    hak_lock_self = hak_os_thread_id();
    return hak_lock_self;
}

int hak_cancel_defer(void) {
    int before;
    (void)pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &before);
    return before;
}

void hak_cancel_restore_slow(int type) {
    int before;
    (void)pthread_setcanceltype(type, &before);
}

_Static_assert(HAK_CANCEL_DEFERRED == PTHREAD_CANCEL_DEFERRED, "what libc calls it");

/* Puts the bit into the word, or takes the lock, with the bit, if it was released meanwhile. The
 * bit stays though nobody else may wait: that costs one needless wake, never a lost one. The
 * acquire is hak_lock_try()'s. */
static bool take_or_mark(hak_lock_t *lock, uint32_t *word) {
    uint32_t wish = *word != 0 ? *word | HAK_LOCK_AWAITED : hak_lock_id() | HAK_LOCK_AWAITED;
    bool was_free = *word == 0;
    if (!hak_cas_acquire(&lock->word, word, wish)) {
        return false; /* *word is the new value */
    }
    *word = wish;
    return was_free;
}

void hak_lock_slow(hak_lock_t *lock) {
    uint32_t word =
        hak_load_relaxed(&lock->word); /* only this thread could have put its id there */
    if (HAK_UNLIKELY((word & ~HAK_LOCK_AWAITED) == hak_lock_id())) {
        hak_message_fatal("%s", hak_lock_note != NULL ? hak_lock_note : HAK_LOCK_INTERRUPTED);
    }
    for (int spin = 0; spin < SPINS; spin++) {
        hak_cpu_relax();
        if (hak_load_relaxed(&lock->word) == 0 && hak_lock_try(lock)) {
            return;
        }
    }
    int type = hak_cancel_defer();
    word = hak_load_relaxed(&lock->word);
    while (!take_or_mark(lock, &word)) {
        if ((word & HAK_LOCK_AWAITED) != 0) {
            hak_os.wait(&lock->word, word);
            word = hak_load_relaxed(&lock->word);
        }
    }
    lock->cancel_type = type;
}

void hak_unlock_slow(hak_lock_t *lock) {
    hak_os.wake_one(&lock->word);
}
