/* lock.h: a small mutual-exclusion lock that can be reset in the child of a fork.
 *
 * Owns:      the protocol of one word: 0 free, else the holder's thread id, and a bit that says
 *            that somebody may sleep on it.
 * Knows not: what it guards. Rank order is argued where the locks are taken (heap.h).
 * Threads:   any. Not recursive: who waits for a lock that he holds is stopped with a line, since
 *            it can only be malloc in a signal handler that interrupted malloc.
 *
 * While a thread holds a lock its cancellation is deferred, so that it cannot vanish with the lock
 * held even where it asked for asynchronous cancellation. Locks are released in the reverse order
 * of taking, or at least the one taken first is released last.
 *
 * While the process has one thread, as libc says, nobody can come in between: then plain stores do,
 * and there is no one who could cancel the thread. A second thread sees what they left, since libc
 * stops saying so before it starts one.
 *
 * pthread_mutex_t would do, at 40 bytes and two calls into libc a batch; and the child of a fork
 * could only reset one it did not lock itself by writing over it, which POSIX leaves undefined.
 */
#ifndef HAK_LOCK_H
#define HAK_LOCK_H

#include <sys/single_threaded.h>

#include "atomic.h"

typedef struct {
    _Atomic uint32_t word;
    int cancel_type; /* guarded by the lock: its holder's, to be restored */
} hak_lock_t;

#define HAK_LOCK_AWAITED ((uint32_t)1 << 31)
/* What is said of a thread that finds itself in the middle of a slow path already. */
#define HAK_LOCK_INTERRUPTED "malloc or free in a signal handler that interrupted malloc or free"

/* What is said instead, while one thread does something that calls back with every lock held.
 * Guarded by all locks. */
extern const char *hak_lock_note;

/* This thread's id; 0 before its first lock. */
extern HAK_HIDDEN _Thread_local uint32_t hak_lock_self __attribute__((tls_model("initial-exec")));

void hak_lock_slow(hak_lock_t *lock);
void hak_unlock_slow(hak_lock_t *lock);
/* Sets hak_lock_self and returns it. */
HAK_COLD uint32_t hak_lock_identify(void);
/* What it returns when there is nothing to restore. */
#define HAK_CANCEL_DEFERRED 0
/* Keeps the calling thread from being cancelled until what it returns is given to
 * hak_cancel_restore(). */
int hak_cancel_defer(void);
void hak_cancel_restore_slow(int type);

HAK_INLINE void hak_cancel_restore(int type) {
    if (HAK_UNLIKELY(type != HAK_CANCEL_DEFERRED)) {
        hak_cancel_restore_slow(type); /* may end the thread */
    }
}

HAK_INLINE uint32_t hak_lock_id(void) {
    return HAK_LIKELY(hak_lock_self != 0) ? hak_lock_self : hak_lock_identify();
}

/* Acquire pairs with the release in hak_unlock(): the critical sections before are visible. */
HAK_INLINE bool hak_lock_try(hak_lock_t *lock) {
    uint32_t free_word = 0;
    if (__libc_single_threaded && hak_load_relaxed(&lock->word) == 0) {
        hak_store_relaxed(&lock->word, hak_lock_id());
        lock->cancel_type = HAK_CANCEL_DEFERRED;
        hak_signal_fence();
        return true;
    }
    int type = hak_cancel_defer();
    if (HAK_LIKELY(hak_cas_acquire(&lock->word, &free_word, hak_lock_id()))) {
        lock->cancel_type = type;
        return true;
    }
    hak_cancel_restore(type);
    return false;
}

HAK_INLINE void hak_lock(hak_lock_t *lock) {
    if (HAK_UNLIKELY(!hak_lock_try(lock))) {
        hak_lock_slow(lock);
    }
}

HAK_INLINE void hak_unlock(hak_lock_t *lock) {
    int type = lock->cancel_type;
    if (__libc_single_threaded) { /* so nobody waits; release: for threads to come */
        hak_store_release(&lock->word, 0);
    } else if (HAK_UNLIKELY((hak_exchange_release(&lock->word, 0) & HAK_LOCK_AWAITED) != 0)) {
        hak_unlock_slow(lock);
    }
    hak_cancel_restore(type);
}

HAK_INLINE bool hak_lock_is_mine(const hak_lock_t *lock) {
    uint32_t word =
        hak_load_relaxed(&lock->word); /* only this thread could have put its id there */
    return hak_lock_self != 0 && (word & ~HAK_LOCK_AWAITED) == hak_lock_self;
}

/* In the only thread of a forked child: what its parent held, under the parent's id, it holds. */
HAK_INLINE void hak_lock_inherit(hak_lock_t *lock, uint32_t parent) {
    if (hak_load_relaxed(&lock->word) == parent) {
        hak_store_relaxed(&lock->word, hak_lock_id());
    }
}

/* In the only thread of a forked child, where nobody can hold or wait for it. */
HAK_INLINE void hak_lock_reset(hak_lock_t *lock) {
    hak_store_relaxed(&lock->word, 0);
}

/* In that thread, before all else: a child's thread has another id than its parent's. */
HAK_INLINE void hak_lock_forget_self(void) {
    hak_lock_self = 0;
}

#endif
