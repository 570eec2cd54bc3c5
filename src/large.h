/* large.h: blocks above the mid tier's: runs of pages, straight from mmap.
 *
 * Owns:      the blocks, live runs that do not wait; the lock of all runs. The others: run_free.h.
 * Knows not: heaps, classes.
 * Threads:   any; everything is guarded by the large tier's lock (rank 2), but that the slack of a
 *            block is written when it is nobody else's already.
 *
 * A run is a range of pages; neighbouring units form one range, so a run may lie across them.
 *
 *   unit                 unit                 unit
 *   | live | free | live ....... live | free ........... | live |      runs
 *
 * Each run has a record outside the memory it describes. It is found through the entries of its
 * first and last page; what other entries hold is left over and is never believed: an entry counts
 * only if its run says that it starts (or ends) right there.
 *
 * Invariants:
 *   runs of a contiguous range of units cover it without gap or overlap
 *   no two free runs are neighbours; what waits is not free yet (run_free.h)
 *   each free run is in the index, by (pages, start); in the age list if dirty_pages > 0
 *   dirty_pages is how many pages of the free run run_pages.h says may be resident
 *   retained_bytes == the sum of dirty_pages of free runs;  zero => dirty_pages == 0
 *
 * What a program must not write, behind a block and into a free run, is looked at when the block is
 * freed or resized, and when the run is used, joined or given back (run_watch.h).
 */
#ifndef HAK_LARGE_H
#define HAK_LARGE_H

#include "lock.h"

typedef enum {
    HAK_LARGE_LIVE,     /* the start of a live block */
    HAK_LARGE_INTERIOR, /* inside a live block */
    HAK_LARGE_FREE,     /* inside a free run, or one that waits */
} hak_large_kind_t;

typedef struct {
    hak_large_kind_t kind;
    void *start;
    size_t bytes;
} hak_large_place_t;

typedef struct {
    size_t live_bytes, live_blocks;
    size_t free_bytes;     /* in free runs and those that wait, resident or not */
    size_t retained_bytes; /* of them, possibly resident */
    size_t bound_bytes;
} hak_large_gauges_t;

/* size: 1 to HAK_SIZE_MAX; align: a power of two. *zero tells whether it is known to read as zero.
 * NULL without memory. */
void *hak_large_alloc(size_t size, size_t align, bool *zero);
/* The same for who is about to write to all of it: rather with pages that freed blocks left. */
void *hak_large_alloc_resident(size_t size, size_t align, bool *zero);
/* hak_large_free() */
typedef enum {
    HAK_LARGE_NO_BLOCK = 0, /* p is not the start of a live one: nothing happened */
    HAK_LARGE_FREED,        /* what is kept may be too much now */
    HAK_LARGE_WAITS,        /* it waits for the next of its size: not more is kept than before */
} hak_large_freed_t;
hak_large_freed_t hak_large_free(void *p);
/* The bytes of the live block that starts at p; 0 when none does. for_program: which may write to
 * all of them from now on. */
size_t hak_large_bytes(const void *p, bool for_program);
HAK_INLINE size_t hak_large_usable(const void *p) {
    return hak_large_bytes(p, true);
}
/* Grows or shrinks the live block at p where it stands; false leaves it as it is. */
bool hak_large_resize(void *p, size_t size);
/* Moves the pages of one live block to another that is not smaller; false: copy instead. Below so
 * many bytes copying is cheaper than what moved mappings cost for good: the kernel cannot join them
 * with their neighbours again, and their number is limited. */
#define HAK_LARGE_MOVE_MIN ((size_t)4 << 20)
bool hak_large_move(void *to, void *from);
/* What lies at p, an address tagged HAK_TAG_LARGE; for reports. */
hak_large_place_t hak_large_place(const void *p);
/* Calls visit for every live block until it returns false. The caller holds all locks (heap.h). */
void hak_large_each_live_locked(bool (*visit)(void *start, size_t bytes, void *context),
                                void *context);
/* Gives back so much of what is retained, the oldest first, as far as there is any. */
void hak_large_shed(size_t bytes);
/* After another tier freed: gives back what all tiers together keep above the bound, as far as it
 * is kept here. Costs a few loads where there is none. */
void hak_large_keep_bound(void);
bool hak_large_trim(void);
void hak_large_gauges(hak_large_gauges_t *out);

/* For who takes all locks, and for what a fork does with it. */
hak_lock_t *hak_large_own_lock(void);
/* Checks the invariants; for tests and HAK_DEBUG 3. Takes the lock. */
bool hak_large_is_valid(void);

#endif
