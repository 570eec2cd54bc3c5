/* lock.h: a small mutual-exclusion lock that can be reset in the child of a fork.
 *
 * Owns:      the protocol of one word: 0 free, 1 held, 2 held and somebody may sleep on it.
 * Knows not: what it guards. Rank order is argued where the locks are taken (heap.h).
 * Threads:   any. Not recursive. Not for signal handlers.
 *
 * pthread_mutex_t would do, at 40 bytes and two calls into libc a batch; and the child of a fork
 * could only reset one it did not lock itself by writing over it, which POSIX leaves undefined.
 */
#ifndef HAK_LOCK_H
#define HAK_LOCK_H

#include "atomic.h"

typedef struct {
    _Atomic uint32_t word;
} hak_lock_t;

void hak_lock_slow(hak_lock_t *lock);
void hak_unlock_slow(hak_lock_t *lock);

/* Acquire pairs with the release in hak_unlock(): the critical sections before are visible. */
HAK_INLINE bool hak_lock_try(hak_lock_t *lock) {
    uint32_t free_word = 0;
    return hak_cas_acquire(&lock->word, &free_word, 1);
}

HAK_INLINE void hak_lock(hak_lock_t *lock) {
    if (HAK_UNLIKELY(!hak_lock_try(lock))) {
        hak_lock_slow(lock);
    }
}

HAK_INLINE void hak_unlock(hak_lock_t *lock) {
    if (HAK_UNLIKELY(hak_exchange_release(&lock->word, 0) == 2)) {
        hak_unlock_slow(lock);
    }
}

/* In the only thread of a forked child, where nobody can hold or wait for it. */
HAK_INLINE void hak_lock_reset(hak_lock_t *lock) {
    hak_store_relaxed(&lock->word, 0);
}

#endif
