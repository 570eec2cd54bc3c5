/* heap.h: which heap a thread has, and where its blocks come from.
 *
 * Owns:      the registry of heaps; birth, exit, orphans, adoption, fork; the order of a refill.
 * Knows not: sizes (callers pass classes), large blocks, the policy of bins.
 * Threads:   any; what is guarded by what, see shelf.h and the ranks below.
 *
 * Ranks. A thread takes locks in this order, and waits for at most one lock of each rank:
 *   before all: guard.lock; of the hardened mode arenas.births, the shelves' locks, slabs.lock
 *   0 registry.lock   1 heap.lock   2 hak_pool.lock, the large tier's lock   3 map.lock
 * While it holds a heap's lock it only ever tries (never waits for) a second heap's lock or the
 * registry's. So whoever waits holds lower ranks only, and no cycle can form; fork takes all
 * of them in rank order.
 */
#ifndef HAK_HEAP_H
#define HAK_HEAP_H

#include "bins.h"

/* The heap of this thread: a real one, or one of two in which every hit path misses, since all
 * their bins are empty and their inverses 0. Initial-exec: one load. */
extern HAK_HIDDEN _Thread_local hak_heap_t *hak_tls_heap __attribute__((tls_model("initial-exec")));
/* A heap on its way between the registry and this thread, on no list: a fork in a signal handler
 * must not take it for one whose thread was lost. */
extern HAK_HIDDEN _Thread_local hak_heap_t *hak_tls_in_hand
    __attribute__((tls_model("initial-exec")));
/* Of those two there is only what hit paths read, and it is never written to: each page of a
 * library's data that is written is one in all programs. Whoever takes a miss compares the pointer
 * before anything else. The second lies one bin further in the same memory, so that its bins are
 * empty ones of the first. */
typedef struct {
    hak_bin_t bins[HAK_TAGS + 1];
    const hak_bin_t *tiny_bins[HAK_TINY_MAX / 16 + 1 + sizeof(hak_bin_t) / sizeof(void *)];
} hak_no_heaps_t;
_Static_assert(offsetof(hak_no_heaps_t, tiny_bins) == offsetof(hak_heap_t, tiny_bins) &&
                   offsetof(hak_heap_t, bins) == 0,
               "they begin as a heap does");
extern HAK_HIDDEN const hak_no_heaps_t hak_no_heaps;
#define HAK_HEAP_NONE ((hak_heap_t *)(void *)&hak_no_heaps.bins[0]) /* before an allocation */
#define HAK_HEAP_LATE ((hak_heap_t *)(void *)&hak_no_heaps.bins[1]) /* after an exit began */

/* A real heap for this thread, made on demand; NULL without memory or late in a thread's life. */
hak_heap_t *hak_heap_get(void);

/* One block, live; refills the bin. NULL without memory. */
void *hak_heap_refill(hak_heap_t *heap, unsigned cls);
/* The same for a thread that has no heap: through an orphan, nothing stays behind. */
void *hak_heap_alloc_late(unsigned cls);
/* A checked block straight home, without a bin; for threads that have no heap. */
void hak_heap_free_late(void *block, unsigned cls);

/* To be called when a tier has more live memory than before: what the tiers keep of freed memory
 * goes back rather than that all of it together becomes more than it ever was. No tier's lock is
 * held. */
typedef enum { HAK_TIER_POOL, HAK_TIER_LARGE } hak_tier_t;
void hak_heap_keep_peak(hak_tier_t grown);

/* Sends home all that this thread's bins hold, and the reserves of all other threads. */
void hak_heap_trim(void);
/* Adds up what all heaps counted so far; refills are by hak_source_t. The caller holds all locks.
 */
void hak_heap_add_counts_locked(uint64_t refills[HAK_SOURCES], hak_tally_t *sum);

/* Before the first heap; may be called again. False without memory. */
bool hak_heap_system_init(void);
void hak_heap_lock_all(void);
void hak_heap_unlock_all(void);
/* Calls visit for the registry's lock, all heaps' and the pool's. */
void hak_heap_each_lock(void (*visit)(hak_lock_t *lock, void *context), void *context);
/* In the child: every lock is free, every other thread's heap an orphan. */
void hak_heap_after_fork_in_child(void);
size_t hak_heap_count(size_t *orphans);
/* The heap made last, NULL before the first; all_next leads to all others, which never go. */
hak_heap_t *hak_heap_first(void);

#endif
