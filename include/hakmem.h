/* hakmem.h: what hakmem offers beyond the C library's malloc.
 *
 * Nothing here is needed to use hakmem: preload libhakmem.so or link with -lhakmem, and malloc,
 * free and the C++ operators are hakmem's. These functions look inside.
 *
 * All of them may be called by any thread at any time, but in a signal handler.
 */
#ifndef HAKMEM_H
#define HAKMEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Gauges and counters. New fields are added at the end only. All sizes are in bytes. */
typedef struct hak_stats {
    size_t struct_bytes; /* in: sizeof(hak_stats_t); out: how much of it was filled in */
    /* What the program has: */
    size_t live_blocks; /* allocated and not freed, large ones included */
    size_t live_bytes;  /* in those blocks, rounding included */
    size_t large_blocks;
    size_t large_bytes;
    /* What hakmem has on top: */
    size_t bin_bytes;      /* free blocks in the threads' bins */
    size_t free_bytes;     /* free blocks in slabs */
    size_t retained_bytes; /* whole free slots and page runs that may be resident */
    size_t mapped_bytes;   /* address space in use for blocks */
    size_t metadata_bytes;
    size_t superslabs_now, superslabs_peak;
    size_t slots_active, slots_empty, slots_unused;
    size_t heaps, orphaned_heaps;
    /* What happened so far: */
    uint64_t stage1, stage2, stage3, adopted_slabs;
    uint64_t map_calls, unmap_calls, remap_calls, purge_calls;
    /* Added since: */
    size_t uncarved_bytes;   /* resident memory of slabs at work that no block was made of yet */
    size_t queued_bytes;     /* free blocks on their way to the slab of another thread */
    size_t large_free_bytes; /* free page runs, resident or not */
    uint64_t adopted_heaps, released_slabs;
    uint64_t superslabs_mapped, superslabs_from_lru, superslabs_returned;
    uint64_t purged_bytes, populate_calls, huge_page_calls;
    uint64_t refills, refills_reserve, drains, drained_blocks;
    /* Slabs that gave blocks to a refill: the one in use, by its free list or by carving; a further
     * one; one just adopted or acquired. refill_remote: refills that began with what remote
     * queues gave. */
    uint64_t refill_remote, refill_free, refill_carve, refill_next, refill_adopted, refill_pool;
    uint64_t remote_batches, remote_blocks;
    uint64_t large_allocs, large_cache_hits;
} hak_stats_t;

/* "major.minor.patch" */
const char *hak_version(void);

/* Fills in *out, as far as out->struct_bytes says. Stops all other threads' slow paths for a
 * moment. What other threads allocate or free meanwhile may count as live or not. Returns 0, or -1
 * when out is NULL or struct_bytes is 0. */
int hak_stats_get(hak_stats_t *out);

/* Writes all statistics to the file descriptor: a "name value" a line, with remarks behind a #, or
 * one JSON object, with the slots of every SuperSlab. Other threads' slow paths wait now and then.
 */
void hak_stats_print(int fd);
void hak_stats_json(int fd);

/* What hak_heap_visit() names: a slab, followed by its live blocks; or a large block. */
typedef enum hak_visit_kind { HAK_VISIT_SLAB, HAK_VISIT_BLOCK } hak_visit_kind_t;
typedef struct hak_visit {
    hak_visit_kind_t kind;
    int size_class;      /* as in the statistics; -1: a large block */
    const void *address; /* of the slab or block */
    size_t size;         /* of a block: its usable bytes; of a slab: all its bytes */
} hak_visit_t;

/* Calls callback for every slab at work and every live block, until it returns something else than
 * 0; returns that, or 0 at the end, or -1 with errno ENOMEM without memory for the walk. Exact:
 * what threads and slabs hold back for later is not named. But what other threads allocate or free
 * while the walk lasts may be named or not.
 *
 * Other threads that need more than their own bins have wait meanwhile. The callback must return,
 * and must not allocate or free: that ends the program with a line. It may look into blocks. */
int hak_heap_visit(int (*callback)(const hak_visit_t *what, void *arg), void *arg);

/* Gives all memory back to the system that is not in use, also from what other threads hold in
 * reserve. Returns 1 when some was given back, else 0. malloc_trim() does the same. */
int hak_trim(void);

/* In the hardened mode (HAKMEM_HARDEN) looks at every block, live or free, says what was written to
 * without right, and returns how many blocks that is about (with HAKMEM_HARDEN=1 the first ends the
 * program). Stops all other threads' calls meanwhile. In the default mode returns 0. */
size_t hak_check(void);

#ifdef __cplusplus
}
#endif

#endif
