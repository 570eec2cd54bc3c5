/* address_map.h: what kind of memory an address is, and where hakmem's memory is placed.
 *
 * Owns:      the address window; one tag byte for each 64 KiB slot of it; one record pointer for
 *            each 2 MiB unit of it; which units are taken; the arena of metadata that is never
 *            given back (so that a stale pointer to a record is stale, but never wild).
 * Knows not: SuperSlabs, runs: it hands out addresses and keeps bytes and pointers for others.
 * Threads:   lookups by any thread, without a lock; claims and metadata under map.lock (rank 3,
 *            the innermost lock).
 *
 *   HAK_WINDOW_LOW                                                        + slot_count * 64 KiB
 *   | not ours | SuperSlabs | large runs ... | more SuperSlabs ... | giants, far apart ...     |
 *                ^ a random start
 *
 * Memory is placed by asking the kernel for an address (MAP_FIXED_NOREPLACE), one claim at a time;
 * the window itself is not reserved, so it costs no address space under `ulimit -v`. What does
 * cost is the table: one byte for 64 KiB. Its window is chosen at start to fit the machine.
 *
 * Tags and records change before a block of the memory is handed out and after the last one came
 * back. So whoever holds a valid pointer got it, by whatever means threads use to pass pointers,
 * from somebody who saw the tag: relaxed loads are enough. With an invalid pointer any value does.
 */
#ifndef HAK_ADDRESS_MAP_H
#define HAK_ADDRESS_MAP_H

#include "atomic.h"
#include "config.h"
#include "lock.h"
#include "tag.h"

typedef struct {
    _Atomic uint8_t *tags;  /* const after init */
    size_t slot_count;      /* const after init; 0 before, so that nothing is ours */
    void *_Atomic *records; /* const after init; one for each 2 MiB unit */
    size_t unit_count;      /* const after init */
    hak_lock_t lock;
    uint64_t *units_taken;   /* guarded by lock: a bit for each unit, ours or known to be foreign */
    size_t first_unit;       /* const after init: where SuperSlabs start, */
    size_t large_unit;       /* large runs, */
    size_t far_unit;         /* and the SuperSlabs that find no room in front of those */
    size_t hints[3];         /* guarded by lock: where the search in each area starts */
    char *arena, *arena_end; /* guarded by lock: metadata not handed out yet */
    size_t page_bytes;       /* const after init */
    bool huge_by_default;    /* const after init: the kernel hands out huge pages unasked */
    bool spread;         /* hardened mode: every other unit for SuperSlabs, as long as there are */
    size_t mapped_bytes; /* guarded by lock: claimed units, in bytes */
    size_t meta_bytes;   /* guarded by lock: metadata handed out */
} hak_address_map_t;

extern HAK_HIDDEN hak_address_map_t hak_map;

/* Areas of the window: where the search for free addresses starts. */
typedef enum { HAK_AREA_SUPERSLAB, HAK_AREA_LARGE, HAK_AREA_GIANT } hak_area_t;

/* False when the system has no memory for the table; may be called again. */
bool hak_map_init(void);

HAK_INLINE size_t hak_map_slot(const void *p) {
    return ((uintptr_t)p - HAK_WINDOW_LOW) >> HAK_SLOT_SHIFT;
}

/* The tag of any address at all. */
HAK_INLINE uint8_t hak_map_tag(const void *p) {
    size_t slot = hak_map_slot(p);
    return slot < hak_map.slot_count ? hak_load_relaxed(&hak_map.tags[slot]) : HAK_TAG_NONE;
}

/* p lies in the window. */
HAK_INLINE void *hak_map_record(const void *p) {
    size_t unit = ((uintptr_t)p - HAK_WINDOW_LOW) >> HAK_SUPERSLAB_SHIFT;
    return hak_load_relaxed(&hak_map.records[unit]);
}

void hak_map_set_tags(const void *start, size_t slots, uint8_t tag);
void hak_map_set_record(const void *p, void *record);

/* Maps bytes (a multiple of 2 MiB) of fresh zero memory at a multiple of align (a power of two, at
 * least 2 MiB). Tags and records are the caller's to set. NULL when the system has no memory. */
void *hak_map_claim(size_t bytes, size_t align, hak_area_t area);
/* The same at exactly this address; false when it is taken. */
bool hak_map_claim_at(void *start, size_t bytes);
/* Unmaps; tags become HAK_TAG_RETURNED, records NULL. False (the caller keeps the memory and the
 * records, and sets the tags again) when the system refuses, as it does where unmapping would need
 * one mapping more. */
bool hak_map_release(void *start, size_t bytes);

/* The unit that is taken, by hakmem or others, and comes after the given one, NULL for the first;
 * NULL when there is none. The caller holds map.lock. */
char *hak_map_next_unit(const char *after);

/* Zeroed metadata for good; NULL when the system has no memory. align <= 4096. */
void *hak_meta_alloc(size_t bytes, size_t align);

#endif
