/* lock.c: the contended half of lock.h.
 *
 * Threads:   any.
 */
#include "lock.h"

#include "os.h"

/* A critical section is some tens of nanoseconds; a sleep and a wake are some microseconds. */
#define SPINS 64

void hak_lock_slow(hak_lock_t *lock) {
    for (int spin = 0; spin < SPINS; spin++) {
        hak_cpu_relax();
        if (hak_load_relaxed(&lock->word) == 0 && hak_lock_try(lock)) {
            return;
        }
    }
    /* From here on the word says 2 while it is held: the holder will wake somebody. Taking the
     * lock with 2 when nobody else waits costs one needless wake, never a lost one. */
    while (hak_exchange_acquire(&lock->word, 2) != 0) {
        hak_os.wait(&lock->word, 2);
    }
}

void hak_unlock_slow(hak_lock_t *lock) {
    hak_os.wake_one(&lock->word);
}
