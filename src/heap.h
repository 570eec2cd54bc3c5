/* heap.h: what one thread owns: its bins and its slabs.
 *
 * Owns:      bins and their policy; refill and drain; birth, exit, orphans, adoption, fork.
 * Knows not: sizes (callers pass classes), large blocks.
 * Threads:   the bins' heads belong to the heap's thread; everything else is guarded by heap.lock
 *            unless its field says otherwise.
 *
 * Ranks. A thread takes locks in this order, and waits for at most one lock of each rank:
 *   0 registry.lock   1 heap.lock   2 pool.lock, the large tier's lock   3 map.lock
 * While it holds a heap's lock it only ever tries (never waits for) a second heap's lock or the
 * registry's. So whoever waits holds lower ranks only, and no cycle can form; fork takes all
 * of them in rank order.
 *
 * A bin:
 *   head ----> blocks in use by the hit path; frees push here, allocations pop
 *   reserve -> the blocks that were in head when the drain interval last ran out
 * Each free counts the interval down (allocations count nothing). At zero: what is still in
 * reserve lay idle for a whole interval and goes home; head becomes the reserve. An allocation that
 * finds head empty takes the reserve back. So what is kept is never walked, and at most two
 * intervals' frees are held back. The interval grows when the reserve was needed, or a refill
 * follows a drain (the bin gave away what it needed), and shrinks when many drains pass without.
 */
#ifndef HAK_HEAP_H
#define HAK_HEAP_H

#include "lock.h"
#include "slab.h"

/* The half of a bin that the hit path uses; indexed by tag, so that free() needs no check of the
 * tag: what is no single-slot class has inverse 0, which no offset passes. */
typedef struct {
    void *head;       /* thread: free blocks, or NULL */
    int32_t room;     /* thread: frees left until the interval runs out */
    uint32_t inverse; /* const: of the class's stride */
} hak_bin_t;

typedef struct {
    void *reserve;       /* heap.lock */
    int32_t head_most;   /* thread: + frees of this interval = blocks in the bin's head, at most */
    int32_t reserve_most; /* thread: blocks in reserve, at most; 0 says that there is none */
    hak_slab_t *slabs;   /* heap.lock: the slabs with room, the one to use next in front */
    uint32_t interval;   /* written by the thread under heap.lock */
    uint32_t batch;      /* heap.lock: blocks that the next refill wants */
    uint32_t drains;     /* heap.lock: since the last refill from slabs */
} hak_shelf_t;

typedef enum { HAK_HEAP_OWNED, HAK_HEAP_ORPHAN } hak_heap_state_t;

typedef struct hak_heap {
    hak_bin_t bins[256];                         /* thread */
    hak_bin_t *tiny_bins[HAK_TINY_MAX / 16 + 1]; /* const: the bin by (size + 15) / 16 */
    hak_lock_t lock;
    _Atomic uint32_t state;                      /* atomic: see hak_heap_help() */
    hak_slab_t *_Atomic ready;                   /* atomic: see remote_queue.h */
    _Atomic uint32_t ready_count;                /* atomic, a hint: slots pushed since emptied */
    bool stale_bins;                             /* heap.lock: its thread was lost in a fork */
    bool listed;                                 /* registry.lock: is in the list of orphans */
    size_t grown_bytes;                          /* heap.lock: by how much all intervals grew */
    struct hak_heap *all_next;                   /* const after birth */
    struct hak_heap *orphan_next, *orphan_prev;  /* registry.lock */
    hak_shelf_t shelves[HAK_CLASSES];
} hak_heap_t;

/* The heap of this thread: a real one, or one of two in which every hit path misses, since all
 * their bins are empty and their inverses 0. Initial-exec: one load. */
extern HAK_HIDDEN _Thread_local hak_heap_t *hak_tls_heap
    __attribute__((tls_model("initial-exec")));
extern hak_heap_t hak_heap_none; /* before a thread's first allocation */
extern hak_heap_t hak_heap_late; /* after its exit began */

/* A real heap for this thread, made on demand; NULL without memory or late in a thread's life. */
hak_heap_t *hak_heap_get(void);

/* One block, live; refills the bin. NULL without memory. */
void *hak_heap_refill(hak_heap_t *heap, unsigned cls);
/* The same for a thread that has no heap: through an orphan, nothing stays behind. */
void *hak_heap_alloc_late(unsigned cls);
/* The interval of the class ran out. */
void hak_heap_interval_over(hak_heap_t *heap, unsigned cls);
/* A checked block straight home, without a bin; for threads that have no heap. */
void hak_heap_free_late(void *block, unsigned cls);

HAK_INLINE hak_bin_t *hak_heap_bin(hak_heap_t *heap, unsigned cls) {
    return &heap->bins[HAK_TAG_CLASS + cls];
}

/* Sends home all that this thread's bins hold, and the reserves of all other threads. */
void hak_heap_trim(void);
/* Whether a stamped block is free indeed: it is looked for in every place where a free block can be.
 * Another thread's hit path may take it from its bin meanwhile; then it is not found, rightly. */
bool hak_heap_block_is_free(const void *block, unsigned cls);
/* What this thread's bins hold, in bytes and blocks. The caller holds this heap's lock. */
size_t hak_heap_own_bins(size_t *blocks);

/* Before the first heap; may be called again. False without memory. */
bool hak_heap_system_init(void);
void hak_heap_lock_all(void);
void hak_heap_unlock_all(void);
/* In the child: every lock is free, every other thread's heap an orphan. */
void hak_heap_after_fork_in_child(void);
size_t hak_heap_count(size_t *orphans);

#endif
