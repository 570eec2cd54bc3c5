/* superslab.h: the records of SuperSlabs and slabs, and the way from a block to its slab.
 *
 * Owns:      the layout. A record lies outside the memory it describes, in metadata that is never
 *            given back or used for anything else, and is found through the address map. So all of
 *            a SuperSlab's 32 slots hold blocks, an overrun block cannot reach a record, and a
 *            thread that still holds a pointer to a slab's record may read it without fear.
 * Knows not: heaps (an owner is a pointer it never follows), the pool's lists.
 * Threads:   each field says who may touch it. "pool" and "owner" name the guarding locks: a slab
 *            that is ACTIVE is guarded by its owner heap's lock, any other by the pool's lock.
 *
 * Invariants of an ACTIVE slab:
 *   0 <= free_count <= carved <= capacity of its class
 *   carved - free_count == blocks live + blocks in bins + blocks in the remote queue
 *   free_count == length of free;  tail is its last block when free is not NULL
 *   batch_count <= free_count;  batch_tail is where its batch_count-th block lies, if that is not 0
 *   listed  <=>  free_count > 0 || carved < capacity
 *   remote == 0  <=>  the slab is on no ready list, nobody is on the way to put it there, and it
 *   does not wait (home.c)
 */
#ifndef HAK_SUPERSLAB_H
#define HAK_SUPERSLAB_H

#include "address_map.h"
#include "size_class.h"

typedef enum { HAK_SLOT_UNUSED, HAK_SLOT_ACTIVE, HAK_SLOT_EMPTY } hak_slot_state_t;

struct hak_heap;

typedef struct hak_slab {
    /* The owner's cache line. */
    struct hak_heap *_Atomic owner; /* atomic; changes under the locks of both heaps (heap.c) */
    void *free;                     /* owner: blocks that are home */
    void *tail;                     /* owner: the last of them */
    struct hak_slab *next, *prev;   /* owner: slabs with room of this class. pool: EMPTY slabs */
    uint16_t free_count;            /* owner */
    _Atomic uint16_t carved;        /* owner writes; others read it to check a pointer */
    uint8_t cls;                    /* pool */
    uint8_t slots;                  /* pool: slots this slab covers */
    uint8_t index;                  /* const: which slot of the SuperSlab this record stands for */
    uint8_t first;                  /* pool: the slot with which this one's slab starts */
    uint8_t state;                  /* pool: a hak_slot_state_t */
    uint8_t dirty_pages;            /* pool, owner: 4 KiB pages of the slot that may be resident */
    bool listed;                    /* owner: is in the owner's list of slabs with room */
    bool purged;                    /* pool: UNUSED because its memory was given back */
    uint8_t bare;                   /* pool: EMPTY: of so many blocks the stamps were taken off */
    uint8_t bare_cls;               /* pool: the class of the slab whose blocks these are */
    uint16_t batch_count;           /* owner: first blocks of free that came in one piece, */
    uint16_t batch_tail;            /* owner: and the place of the last of them (slab.c) */
    uint32_t since_ms;              /* pool: when it became EMPTY, or was purged */

    /* The line that other threads write. */
    _Alignas(HAK_CACHE_LINE) _Atomic uintptr_t remote; /* atomic: see remote_queue.h */
    struct hak_slab *_Atomic ready_next; /* atomic: link in a ready list, or of slabs that wait */
    struct hak_slab *older, *newer;      /* pool: all EMPTY slabs by age */
} hak_slab_t;

_Static_assert(sizeof(hak_slab_t) == 2 * HAK_CACHE_LINE, "two lines a slab");

typedef struct hak_superslab {
    char *base;                        /* const while mapped */
    struct hak_superslab *next, *prev; /* pool: its bucket, the LRU, or the unused records */
    struct hak_superslab *all_next;    /* pool: every record there is */
    uint32_t active;                   /* pool: a bit for each ACTIVE slot */
    uint32_t empty;                    /* pool: a bit for each EMPTY slot */
    uint32_t since_ms;                 /* pool: when it entered the LRU */
    uint64_t *marks;                   /* all locks: of a walk (walk.c); NULL but meanwhile */
    bool in_lru;                       /* pool */
    bool clean;                        /* pool, in the LRU: none of it may be resident */
    bool mapped;                       /* pool */
    bool huge;                         /* pool: a huge page was asked for, and not declined since */
    bool whole;                        /* pool: one was: what was not purged may be resident */
    bool sealed;  /* hardened mode (armor_slab.c): was made untouchable where not ACTIVE */
    bool counted; /* hardened mode: among those that may be sealed */
    void *sheet;  /* hardened mode: what is known of its blocks */
    hak_slab_t slabs[HAK_SLOTS];
} hak_superslab_t;

HAK_INLINE hak_superslab_t *hak_slab_superslab(const hak_slab_t *slab) {
    const hak_slab_t *first = slab - slab->index;
    return (hak_superslab_t *)((uintptr_t)first - offsetof(hak_superslab_t, slabs));
}

HAK_INLINE char *hak_slab_base(const hak_slab_t *slab) {
    return hak_slab_superslab(slab)->base + (size_t)slab->index * HAK_SLOT_BYTES;
}

/* Where a block lies, in sixteen bits: which multiple of 16 bytes of the naturally aligned window
 * of HAK_SLAB_BYTES_MAX that all of a slab lies in. */
HAK_INLINE uintptr_t hak_slab_place(const void *block) {
    return ((uintptr_t)block & (HAK_SLAB_BYTES_MAX - 1)) / HAK_ALIGNMENT;
}

/* near: any address in the slab. Higher bits of place do not count. */
HAK_INLINE void *hak_slab_at(uintptr_t place, const void *near) {
    uintptr_t window = (uintptr_t)near & ~(HAK_SLAB_BYTES_MAX - 1);
    return (void *)(window + (place & UINT16_MAX) * HAK_ALIGNMENT);
}

_Static_assert(HAK_SLAB_BYTES_MAX / HAK_ALIGNMENT <= UINT16_MAX, "a place has sixteen bits");

/* The slab of a block whose slot's tag says cls. */
HAK_INLINE hak_slab_t *hak_slab_of(const void *block, unsigned cls) {
    hak_superslab_t *ss = hak_map_record(block);
    size_t slot = ((uintptr_t)block >> HAK_SLOT_SHIFT) % HAK_SLOTS;
    return &ss->slabs[slot & ~((size_t)hak_class_info[cls].slots - 1)];
}

#endif
