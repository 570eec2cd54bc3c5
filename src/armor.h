/* armor.h: the blocks of slabs in the hardened mode.
 *
 * Owns:      every ACTIVE slab of the pool while the mode is on: which blocks are live, free or in
 *            quarantine; the bytes around and in them by which misuse is noticed; their locks.
 * Knows not: what is said of a finding (harden.h), blocks above the mid tier's (guard.h).
 * Threads:   any. A thread allocates from the arena that its id says; a block goes home to the arena
 *            of its slab. All of an arena and of its slabs is guarded by arena.lock.
 *
 * No link and no count stands in a block or beside one. What is known of blocks stands in a sheet for
 * each SuperSlab, a mapping of its own between two pages that nobody can touch.
 *
 *   slab base, stride s
 *   | block 0: never used | block 1 ........... | block 2 ........... | ...
 *                        h1| size bytes | canary h2| size bytes | canary h3|
 *
 *   byte s - 1 of each block is the header of the next: 0xA0 + class while that one is live, another
 *   value while it is not. So a block holds s - 1 bytes, and starts at a multiple of 16.
 *
 * Invariants, for each block i from 1 below slab.carved (all others are NEVER; so is number 0):
 *   LIVE: the bytes behind its size, but the last, hold the canary
 *   FREE, HELD: all bytes but the last do;  NEVER: they are zero
 *   header of i: as said, if i or i - 1 is not NEVER; else zero
 *   its bit in sheet.free is set <=> it is FREE, or NEVER but not number 0
 *   slab.carved - slab.free_count == its LIVE blocks
 *   memory of slots that are not ACTIVE cannot be touched, as far as the system has mappings left
 */
#ifndef HAK_ARMOR_H
#define HAK_ARMOR_H

#include "lock.h"
#include "origin.h"
#include "superslab.h"

/* Whether the mode is on: const once hakmem has started. */
extern bool hak_hardened;

/* Bytes that the widest block holds. */
#define HAK_ARMOR_MAX ((size_t)HAK_MID_MAX - 1)

typedef enum {
    HAK_ARMOR_SOUND,
    HAK_ARMOR_NO_BLOCK,    /* never handed out */
    HAK_ARMOR_INSIDE,      /* not the start of the block */
    HAK_ARMOR_FREED,       /* the block is free already */
    HAK_ARMOR_OVERFLOW,    /* bytes behind the block were written to */
    HAK_ARMOR_UNDERFLOW,   /* bytes in front of it were */
    HAK_ARMOR_WRITTEN,     /* bytes of it were, after it was freed */
} hak_armor_fault_t;

/* What was found out about a pointer. */
typedef struct {
    hak_armor_fault_t fault;
    unsigned cls;
    /* Of the block that the fault is about, which may be a neighbour. */
    const void *block;
    size_t size;    /* as it was asked for; its stride less one for a block that is not live */
    const void *at; /* where the first wrong byte is; NULL when nothing was written */
    /* Of the block that starts at the pointer, unless the fault is one of the pointer. */
    hak_origin_t own_origin;
    size_t own_size;
} hak_armor_finding_t;

/* Rather than one of bytes that were written. */
HAK_INLINE bool hak_armor_is_of_pointer(hak_armor_fault_t fault) {
    return fault == HAK_ARMOR_NO_BLOCK || fault == HAK_ARMOR_INSIDE || fault == HAK_ARMOR_FREED;
}

/* Once, before the first block. go_on: what is found is put right, as far as it can be, rather than left
 * as it is for who looks at the dead process. */
void hak_armor_start(bool go_on);
/* size < the class's stride. Zeroed. NULL without memory, or if the block that comes next was written to
 * after it was freed and the mode is not to go on; the finding says so. */
void *hak_armor_alloc(unsigned cls, size_t size, hak_origin_t origin, hak_armor_finding_t *finding);
/* Frees the block at p, an address whose tag says the class, unless the finding's fault is one of the
 * pointer or, where the mode is not to go on, any. */
void hak_armor_free(void *p, unsigned cls, hak_armor_finding_t *finding);
/* The same checks of a block that stays. */
void hak_armor_look(const void *p, unsigned cls, hak_armor_finding_t *finding);
/* A sound live block of the class gets another size; bytes that it gains are zero. False if its stride does
 * not allow it. */
bool hak_armor_resize(void *p, unsigned cls, size_t size);
/* Empties all quarantines; slabs without a live block go to the pool. True when one did. */
bool hak_armor_trim(void);
/* Looks at every block; stores up to most findings and returns how many there are. The caller holds every
 * lock. */
size_t hak_armor_check_locked(hak_armor_finding_t *findings, size_t most);
/* Where the system has refused a mapping before: all memory of slabs can be touched from now on. True when that
 * is news. The caller holds every lock. */
bool hak_armor_open_all_locked(void);
/* The size of the block if it is live. The caller holds every lock. */
bool hak_armor_is_live_locked(const hak_slab_t *slab, unsigned index, size_t *size);

/* All arenas' locks, in order; each before the pool's. */
void hak_armor_lock_all(void);
void hak_armor_unlock_all(void);
void hak_armor_each_lock(void (*visit)(hak_lock_t *lock, void *context), void *context);
/* In the child of a fork: every lock is free. */
void hak_armor_after_fork_in_child(void);
/* Checks every invariant above, and that no block was damaged; for tests. Takes the locks. */
bool hak_armor_is_valid(void);

#endif
