/* tick.h: what is done now and then, on slow paths, since no helper thread exists.
 *
 * Owns:      when a sample or a live page is due; samples, a line of JSON each.
 * Knows not: what the slow path was about.
 * Threads:   hak_tick() by any, holding no lock; one at a time does the work, the others go on.
 */
#ifndef HAK_TICK_H
#define HAK_TICK_H

#include "lock.h"

extern HAK_HIDDEN bool hak_ticking; /* const after start: an option asks for it */

HAK_COLD void hak_tick_slow(void);

HAK_INLINE void hak_tick(void) {
    if (HAK_UNLIKELY(hak_ticking)) {
        hak_tick_slow();
    }
}

/* After the options were read and hakmem has started; no lock is held. */
void hak_tick_start(void);
/* For what a fork does with it. */
hak_lock_t *hak_tick_own_lock(void);
/* In the child of a fork: a child has files of its own. */
void hak_tick_after_fork_in_child(void);
/* A last sample; the live page goes away. */
void hak_tick_at_exit(void);

#endif
