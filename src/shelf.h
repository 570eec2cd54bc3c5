/* shelf.h: the layout of a heap: its bins, what belongs to each of them, the events of late.
 *
 * Owns:      the types, and what is read from them or written to them in one step.
 * Knows not: policy (bins.h), the way of a block (home.h), the registry of heaps (heap.h).
 * Threads:   the bins and what is marked "thread" belong to the heap's thread (to who holds the
 *            lock, where the heap has none); everything else is guarded by heap.lock unless its
 *            field says otherwise.
 */
#ifndef HAK_SHELF_H
#define HAK_SHELF_H

#include "lock.h"
#include "options.h"
#include "slab.h"
#include "stats.h"

/* The half of a bin that the hit path and the end of an interval use; indexed by tag, so that
 * free() needs no check of the tag: what is no class has inverse and bound 0, a class whose slabs
 * are wider than a slot has bound 0, and no offset passes that. Else the bound is the inverse once
 * more: compilers load one field twice into a register, but two fields make two operands in memory,
 * which is an instruction less in every free. */
typedef struct {
    void *head;       /* thread: free blocks, or NULL */
    int32_t room;     /* thread: frees left until the interval runs out */
    uint32_t inverse; /* const: the class's */
    uint32_t bound;   /* const: multiples of the stride give products below, in slabs of one slot */
    uint32_t interval;    /* thread */
    int32_t head_most;    /* thread: + frees of this interval = blocks in head, at most */
    int32_t reserve_most; /* thread: blocks in reserve, at most; 0 says that there is none */
} hak_bin_t;

_Static_assert(sizeof(hak_bin_t) == 32, "an index of a bin is a shift");

typedef struct {
    _Atomic uintptr_t reserve; /* atomic: a chain, see bins.h */
    hak_slab_t *slabs;         /* heap.lock: the slabs with room, the one to use next in front */
    hak_slab_t *waiting;       /* heap.lock: off the ready list, their queues not empty */
    uint32_t slab_count;       /* heap.lock: slabs of the class, with room or without */
    _Atomic uint32_t out;      /* heap.lock writes: their blocks that are not home */
    int32_t room_start;        /* thread: what the bin's room was when the interval began */
    uint32_t regret_ms;        /* thread: when a flush was last followed by a refill */
    uint8_t calm;              /* thread: reserves in a row that came back into their bin */
    uint8_t waited;            /* thread: intervals since a bin was set apart */
    uint8_t in_vain;           /* thread: counts of the bin in a row that found no excess */
    uint8_t paced;             /* thread: intervals in a row that ended with a handful of blocks */
    bool flushed;              /* thread: all blocks went home, and none was wanted since */
    bool regretted;            /* thread: regret_ms holds */
    bool seen;                 /* thread: its first interval has been looked at */
    bool recycles;             /* thread: blocks that went home were wanted once */
    uint8_t rare;              /* thread: long intervals in a row, see bins.h */
    uint8_t refilled;          /* thread: refills from slabs within its interval */
    uint16_t start;            /* thread: the interval that a birth begins with */
    uint32_t began;            /* thread: heap.frees when its interval began */
    uint32_t batch;            /* thread: blocks that the next refill wants */
    uint32_t borrowed;         /* thread: blocks taken from the common heap */
    uint32_t drains;           /* thread: since the last refill from slabs */
    uint32_t scattered;        /* thread: frees until blocks are gathered once; 0: they are */
    _Atomic uint32_t
        passed; /* atomic, relaxed: blocks that came, less those that went home again; */
    uint32_t
        passed_told;   /* thread: of them, allocations that were told of. Both for samples only */
    void *seen_head;   /* thread: of the bin when idle bins were last looked for, */
    int32_t seen_room; /* thread: and its room */
} hak_shelf_t;

#define HAK_IN_TRANSIT ((uintptr_t)1)

/* Where a refill's blocks come from: one count for each slab that gives some. That remote queues
 * gave anything is counted once a refill. */
typedef enum {
    HAK_FROM_REMOTE,  /* remote queues, first of all */
    HAK_FROM_FREE,    /* the slab in use: its free list, */
    HAK_FROM_CARVE,   /* or memory of it that was no block yet */
    HAK_FROM_NEXT,    /* a further slab of the heap */
    HAK_FROM_ADOPTED, /* a slab just taken from an orphan */
    HAK_FROM_POOL,    /* a slab just acquired */
    HAK_SOURCES
} hak_source_t;

/* What happened to a heap under its lock, for who reads a fatal report (flight.h). */
#define HAK_EVENTS 64U
typedef enum {
    HAK_EVENT_REFILL,   /* count blocks, the first at where */
    HAK_EVENT_ACQUIRED, /* the slab at where; */
    HAK_EVENT_ADOPTED,  /* likewise */
    HAK_EVENT_DRAINED,  /* a chain that starts at where goes home */
    HAK_EVENT_RECEIVED, /* count blocks from the remote queue of the slab at where */
    HAK_EVENT_RELEASED, /* the slab at where */
} hak_event_kind_t;

typedef struct {
    uintptr_t where;
    uint32_t count;
    uint8_t kind, cls;
} hak_event_t;

_Static_assert(HAK_CLASSES <= 128, "a bit for each class: scattered, waiting_classes");
_Static_assert(sizeof(hak_event_t) == 16, "a ring of events is 1 KiB");

typedef enum { HAK_HEAP_OWNED, HAK_HEAP_ORPHAN } hak_heap_state_t;

typedef struct hak_heap {
    hak_bin_t bins[HAK_TAGS + 1];                /* by tag; one more, see hak_no_heaps */
    hak_bin_t *tiny_bins[HAK_TINY_MAX / 16 + 1]; /* const: the bin by (size + 15) / 16 */
    hak_lock_t lock;
    _Atomic uint32_t state;        /* atomic: see hak_home_help() */
    hak_slab_t *_Atomic ready;     /* atomic: see remote_queue.h */
    _Atomic uint32_t ready_count;  /* atomic, a hint: slots on it, and that wait */
    _Atomic uint32_t looked_ms;    /* heap.lock writes: when its owner last found something there */
    uint32_t waiting_slots;        /* heap.lock: of slabs that wait */
    uint32_t waiting_ms;           /* heap.lock: since when slabs wait, if any do */
    uint64_t waiting_classes[2];   /* heap.lock: a bit for each that has some, or had */
    bool stale_bins;               /* heap.lock: its thread was lost in a fork */
    bool listed;                   /* registry.lock: is in the list of orphans */
    bool shared;                   /* const: it is the common heap */
    size_t tiny_slabs;             /* heap.lock: slabs of tiny classes */
    uint32_t frees;                /* thread: in all intervals that ended */
    size_t grown_bytes;            /* thread: by how much all intervals grew */
    _Atomic uint64_t open[2];      /* thread: a bit for each open class, see hak_bins_open() */
    uint64_t scattered[2];         /* thread: a bit for each class that is scattered */
    uint32_t hold;                 /* thread: frees of one between two looks at all */
    uint64_t refills[HAK_SOURCES]; /* heap.lock: by source */
    hak_tally_t tally;             /* heap.lock; thread: refills_reserve */
    struct hak_heap *all_next;     /* const after birth */
    struct hak_heap *orphan_next, *orphan_prev; /* registry.lock */
    int64_t sample_left;                        /* thread: see sample.h */
    uint64_t sample_seed;                       /* thread: 0 before its first draw */
    uint32_t event_count;                       /* heap.lock: so far */
    hak_event_t events[HAK_EVENTS];             /* heap.lock: the last of them, by their numbers */
    hak_shelf_t shelves[HAK_CLASSES];
} hak_heap_t;

/* The first bin of a class begins a page. So what a thread writes to always lies in one, with it
 * the events and the shelves of small classes in the next; tags of no class have bins that no page
 * is needed for. */
#define HAK_HEAP_FIRST_USED offsetof(hak_heap_t, bins[HAK_TAG_CLASS])
#define HAK_HEAP_PAGE ((size_t)4096)
#define HAK_HEAP_IN_FRONT (HAK_HEAP_PAGE - HAK_HEAP_FIRST_USED % HAK_HEAP_PAGE)
_Static_assert(offsetof(hak_heap_t, event_count) - HAK_HEAP_FIRST_USED <= HAK_HEAP_PAGE,
               "bins and what belongs to the heap share a page");

HAK_INLINE void hak_heap_note_locked(hak_heap_t *heap, hak_event_kind_t kind, unsigned cls,
                                     const void *where, unsigned count) {
    hak_event_t *event = &heap->events[heap->event_count++ % HAK_EVENTS];
    *event = (hak_event_t){(uintptr_t)where, count, (uint8_t)kind, (uint8_t)cls};
}

/* In front of what a signal handler may have freed since the bin was found empty. The tail's stamp
 * is looked at as everywhere before a free block is written to: where a handler took a block from
 * under an allocation, the block may be in use. */
HAK_INLINE void hak_bin_splice(hak_bin_t *bin, void *head, void *tail) {
    while (head != NULL) {
        if (HAK_UNLIKELY(!hak_block_is_stamped(tail))) {
            hak_block_report_changed(tail);
        }
        void *before = bin->head;
        hak_block_set_next(tail, before);
        if (hak_swap_if(&bin->head, before, head)) {
            return;
        }
    }
}

HAK_INLINE hak_bin_t *hak_heap_bin(hak_heap_t *heap, unsigned cls) {
    return &heap->bins[HAK_TAG_CLASS + cls];
}

HAK_INLINE void *hak_bins_reserve(const hak_shelf_t *shelf) {
    return (void *)(hak_load_acquire(&shelf->reserve) & ~HAK_IN_TRANSIT);
}

#endif
