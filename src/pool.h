/* pool.h: the SuperSlabs and slots that all threads share.
 *
 * Owns:      slot states, SuperSlab records, the lists of EMPTY slots, the LRU of empty
 *            SuperSlabs, and the decision when memory goes back to the system.
 * Knows not: blocks, bins, heaps.
 * Threads:   any; everything is guarded by hak_pool.lock (rank 2: below the heaps', above the
 * map's).
 *
 *                 acquire                    release
 *     UNUSED  ---------------->  ACTIVE  ---------------->  EMPTY
 *       ^                          ^   acquire (any class)    |
 *       |                          +--------------------------+
 *       +-------------------------------------------- purge --+
 *
 * From the bottom up: pool_lists.h holds the lists, pool_slots.h SuperSlab records and slots (the
 * only functions that change a state), pool_return.h the LRU and giving back, pool.c the stages of
 * the two calls below.
 *
 * Invariants, for each mapped SuperSlab:
 *   active & empty == 0;  bit i of active (empty) <=> slabs[i].state is ACTIVE (EMPTY)
 *   retained_bytes == the dirty pages of all EMPTY slots;  live_bytes == ACTIVE slots * 64 KiB
 */
#ifndef HAK_POOL_H
#define HAK_POOL_H

#include "lock.h"
#include "retain.h"
#include "superslab.h"

typedef struct {
    size_t superslabs_now, superslabs_peak, superslabs_in_lru;
    size_t slots_active, slots_empty, slots_unused;
    size_t retained_bytes, bound_bytes;
} hak_pool_gauges_t;

/* A slab of the class, ACTIVE, without an owner, nothing carved; NULL when there is no memory.
 * grown: what it will be part of is large and dense enough for a huge page. */
hak_slab_t *hak_pool_acquire(unsigned cls, bool grown);
/* The same of memory that is resident, kept from earlier use; NULL when there is none. */
hak_slab_t *hak_pool_acquire_resident(unsigned cls);
/* The same for who may need little of it: an EMPTY slab of the class, or UNUSED slots of a
 * SuperSlab that is at work, of which only what is carved becomes resident; NULL when there is
 * neither. */
hak_slab_t *hak_pool_acquire_sparse(unsigned cls);
/* slab: ACTIVE, all blocks home, on no list of a heap. */
void hak_pool_release(hak_slab_t *slab);
/* Gives back so much of what is retained, the oldest first, as far as there is any. */
void hak_pool_shed(size_t bytes);
/* After another tier freed: gives back what all tiers together keep above the bound, as far as it
 * is kept here. Costs a few loads where there is none. */
void hak_pool_keep_bound(void);
/* Maps count SuperSlabs ahead of need. */
void hak_pool_prewarm(size_t count);
/* Gives back all that is not ACTIVE; true when something was. */
bool hak_pool_trim(void);
void hak_pool_gauges(hak_pool_gauges_t *out);
/* The mapped SuperSlab that comes after the given one, NULL for the first; NULL when there is none.
 * The caller holds all locks (heap.h); records are never given back, so it may let them go in
 * between. */
hak_superslab_t *hak_pool_next_superslab(const hak_superslab_t *after);
/* Calls visit for every ACTIVE slab. The caller holds all locks (heap.h) or is alone. */
void hak_pool_each_slab(void (*visit)(hak_slab_t *slab, void *context), void *context);

void hak_pool_lock(void);
bool hak_pool_try_lock(void);
void hak_pool_unlock(void);
/* For what a fork does with it. */
hak_lock_t *hak_pool_own_lock(void);
/* Checks every invariant above; for tests and HAK_DEBUG 3. Takes the lock. */
bool hak_pool_is_valid(void);

#endif
