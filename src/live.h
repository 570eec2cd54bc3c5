/* live.h: statistics of a running process, in a small shared file that hakmem-top reads.
 *
 * Owns:      /dev/shm/hakmem.PID, of this user alone: made at the first publication, taken away at
 *            exit. Its text is a line with a number, then "name value" a line, then "end" and
 *            the value of published_ms once more.
 * Knows not: when it is due (tick.c).
 * Threads:   one at a time: the caller holds tick.lock.
 *
 * The number in front is eight digits, written as one word: odd while the rest is being written. So
 * who reads the whole file twice, and finds the same even number in both, read a whole text in
 * between.
 */
#ifndef HAK_LIVE_H
#define HAK_LIVE_H

#include "report.h"

void hak_live_publish(const hak_figures_t *figures, uint32_t now_ms);
/* The parent's file is not the child's: the next publication makes one. */
void hak_live_after_fork_in_child(void);
void hak_live_remove(void);

#endif
