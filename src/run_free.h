/* run_free.h: free runs of pages: found, joined, cut, kept and given back.
 *
 * Owns:      the index and the ages of free runs; freed ones that wait for a block of their size;
 *            units of the large tier, new and unmapped.
 * Knows not: live blocks; moving pages (run_take.h).
 * Threads:   the caller holds the large tier's lock (large.h), which guards all of it.
 *
 * A run is listed and free, or waits, or is in the hands of a function that holds the lock and on
 * no list. Where it is not listed it counts as live, and no neighbour absorbs it. The invariants
 * stand in large.h.
 */
#ifndef HAK_RUN_FREE_H
#define HAK_RUN_FREE_H

#include "retain.h"
#include "run_table.h"

/* What the tier has live, to which its blocks are added, and what it retains. */
extern HAK_HIDDEN hak_share_t hak_runs_share;

/* A run on no list for so many bytes, of whole pages, at a multiple of align (a page at least);
 * without a stamp. NULL without memory. */
hak_run_t *hak_runs_obtain(size_t size, size_t align, uint32_t now_ms);
/* The same of so many pages right behind the run; NULL where they are not free. */
hak_run_t *hak_runs_obtain_behind(hak_run_t *run, size_t pages, uint32_t now_ms);
/* Of a run that goes live: what of it is not resident is faulted in, maybe again. */
void hak_runs_note_wanted_back(const hak_run_t *run, uint32_t now_ms);

/* run is on no list: joins it with its free neighbours and lists the whole, which is returned.
 * block: what it was, if it is to be watched. */
hak_run_t *hak_runs_free(hak_run_t *run, const hak_run_t *block);
/* The same, but nothing of it is kept. */
void hak_runs_free_purged(hak_run_t *run, uint32_t now_ms);
/* A small block that is freed: its run, stamped, its slack looked at, waits for the next block of
 * as many pages, as one of few. When any other is obtained, all that wait become free first. Until
 * then they count as live. *looked: what is too much or too old went back, now and then or because
 * one became free. False: the block is too large, or nothing is to be kept; nothing happened. */
bool hak_runs_let_wait(hak_run_t *run, bool *looked);
/* The newest that waits for a block of so many bytes; NULL without one. */
hak_run_t *hak_runs_take_waiting(size_t size);
size_t hak_runs_waiting_bytes(void);

/* Cuts run, which is on no list, to its first pages; the rest becomes a free run. False without
 * memory for records: nothing happened. */
bool hak_runs_cut(hak_run_t *run, size_t pages);

/* After a run became free: gives back what is too much or too old. */
void hak_runs_keep_within_bounds(uint32_t now_ms);
/* Gives back so much of what is retained, the oldest first, as far as there is any. */
void hak_runs_shed(size_t bytes, uint32_t now_ms);
/* Gives back all of it, and addresses; true if there was any. */
bool hak_runs_trim(uint32_t now_ms);

/* The free run that has been dirty for longest, NULL without one; `newer` leads to the others. */
hak_run_t *hak_runs_oldest(void);
/* A free run's pages went to other addresses. */
void hak_runs_lose_pages(hak_run_t *run, uintptr_t from, size_t pages);
/* Whether memory is locked (mlockall), by a page that is clean. The kernel unlocks what pages are
 * moved from, neighbours and all, and it purges nothing that is locked. */
bool hak_runs_is_locked(uintptr_t clean_page);
bool hak_runs_purge_was_refused(void);

size_t hak_runs_free_bytes(void); /* resident or not */
bool hak_runs_are_valid(void);

#endif
