/* bins.h: what a heap's bins hold, and when it goes home.
 *
 * Owns:      the policy of bins: intervals, reserves, drains.
 * Knows not: threads, the registry of heaps, where further slabs come from (heap.h); how a block
 *            gets home (home.h).
 * Threads:   the heap's own, or who holds the lock where the heap has none, unless said otherwise.
 *            Functions named _locked expect the lock to be held.
 *
 * A bin:
 *   head ----> blocks in use by the hit path; frees push here, allocations pop
 *   reserve -> the blocks that were in head when the drain interval last ran out
 * Each free counts the interval down (allocations count nothing). At zero: what is still in reserve
 * lay idle for a whole interval and goes home; head becomes the reserve. An allocation that finds
 * head empty takes the reserve back. So what is kept is not walked. Where reserves keep coming
 * back, head becomes the reserve only every fourth interval (third, if three come to more than 1
 * MiB), and nothing is known to lie idle: after eight intervals the bin is counted. Where counts
 * find no excess, the next ones come after 16, 32 and 64 intervals, or the first that come to 2
 * MiB, but of rare classes (below) after eight: so many frees are held back at most. The interval
 * grows when the reserve was needed, or a refill follows a drain (the bin gave away what it
 * needed), and shrinks when many drains pass without.
 *
 * A burst that ends leaves a bin whose blocks lie in as many slabs as there are blocks, and nothing
 * may ever look at it again. So the interval ends at the latest when every block of the class that
 * is out can be in this bin; if all are, they go home, and so do the slabs: a flush. A refill that
 * follows one regrets it, and there is no other within the decay time: waves keep their blocks.
 *
 * Of wide blocks, an interval that lasts for thousands of frees of the heap makes for no work that
 * counts, and neither would shorter ones. So a class whose intervals are all so long is rare: they
 * become shorter than any is at first, until the class is used more.
 *
 * A thread that only frees what others allocated, and in no order, gathers nothing by waiting: each
 * block in a bin may keep another slab from going home, for as long as the thread sleeps. Such a
 * class is scattered: it holds a handful, and a look at one sends home what all of them hold.
 *
 * A chain goes from head to reserve and back without the lock:
 *
 *   reserve:  0  --set apart-->  chain | HAK_IN_TRANSIT  --head = NULL-->  chain
 *             ^                                                             |  |
 *             |  <--head = chain--  chain | HAK_IN_TRANSIT  <--taken back---+  |
 *             +------------------------------- sent home, by anyone under heap.lock
 *
 * In transit it may stand in head as well, and only the thread itself may touch it; it is not
 * cancelled meanwhile. So where a fork in another thread stops it, hak_bins_mend() sees what was
 * going on, and no chain is lost or in two places.
 */
#ifndef HAK_BINS_H
#define HAK_BINS_H

#include "shelf.h"

/* So many intervals' blocks in a bin are worth a count, at first, and those beyond two intervals go
 * home. */
#define HAK_BIN_EXCESS 8

/* For a heap without blocks in bins: intervals and batches as at its birth. */
void hak_bins_reset(hak_heap_t *heap);
/* What the thread knows of the class begins: with its first refill, or the first look at its bin.
 * Until then its shelf need not be resident.
 *
 * Invariant: of a class that is not open, what belongs to the thread in its shelf means nothing,
 * the reserve is empty, and the bin's interval and bounds are as at birth; it may hold blocks, and
 * have less room. The bit comes last: a fork in another thread finds all of it or none. It is set
 * in one step, since a signal handler that frees may open classes in between, this one too: then
 * the interval that it began is counted wrongly, once. */
void hak_bins_open(hak_heap_t *heap, unsigned cls);
/* How many blocks of the class a heap wants at first. */
uint32_t hak_bins_batch_start(unsigned cls);
/* By the heap's thread, without the lock: the class needed more than it had kept. */
void hak_bins_widen(hak_heap_t *heap, unsigned cls);
/* Likewise: the class's interval ran out. */
void hak_bins_interval_over(hak_heap_t *heap, unsigned cls);
/* Likewise: the reserve, if there is one, comes back into the empty bin. */
bool hak_bins_take_reserve(hak_heap_t *heap, unsigned cls);
/* Likewise: a chain of at most count blocks is now what the bin holds. */
void hak_bins_note_refill(hak_heap_t *heap, unsigned cls, unsigned count);
/* Likewise: the bin is empty, and so is the reserve. */
void hak_bins_note_miss(hak_heap_t *heap, unsigned cls);

/* The invariant of hak_bins_open(), for a thread's own heap. */
bool hak_bins_is_valid(const hak_heap_t *heap);

/* For samples: how many allocations of the class its bin, which is empty, served since the last
 * call. */
uint32_t hak_bins_count_passed(hak_heap_t *heap, unsigned cls);
/* Likewise: so many blocks came into the bin, or went home from it. */
HAK_INLINE void hak_bins_add_passed(hak_heap_t *heap, unsigned cls, int change) {
    if (HAK_UNLIKELY(hak_options.guard_sample != 0)) {
        (void)hak_add_relaxed(&heap->shelves[cls].passed, (uint32_t)change);
    }
}

/* For a heap whose thread was stopped anywhere: a chain in transit becomes the reserve. */
void hak_bins_mend(hak_heap_t *heap);
/* All that the bins and reserves hold goes home. Only by the heap's thread, or for a heap that has
 * none. */
void hak_bins_drain_all_locked(hak_heap_t *heap);
/* The same for bins, but that of one class, that no call has touched since the last time. True when
 * blocks went home. */
bool hak_bins_drain_idle_locked(hak_heap_t *heap, unsigned but_cls);
/* The same for the reserves alone, by any thread. */
void hak_bins_drain_reserves_locked(hak_heap_t *heap);

#endif
