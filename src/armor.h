/* armor.h: the blocks of slabs in the hardened mode.
 *
 * Owns:      every ACTIVE slab of the pool while the mode is on: which blocks are live, free or in
 *            quarantine; the bytes around and in them by which misuse is noticed.
 * Knows not: what is said of a finding (harden.h), blocks above the mid tier's (guard.h).
 * Threads:   any. A thread allocates from the arena of its processor; a block goes home to the
 *            arena of its slab. Each class of an arena has a shelf; it and its slabs are guarded by
 *            shelf.lock, but for blocks that a thread has in hand (sheet.h).
 *
 * No link and no count stands in a block or beside one. What is known of blocks stands in a sheet
 * for each SuperSlab, a mapping of its own between two pages that nobody can touch.
 *
 *   slab base, stride s
 *   | block 0: never used | block 1 ........... | block 2 ........... | ...
 *                        h1| size bytes | canary h2| size bytes | canary h3|
 *
 *   byte s - 1 of each block is the header of the next: 0xA0 + class while that one is live,
 *   another value while it is not. So a block holds s - 1 bytes, and starts at a multiple of 16.
 *
 * Invariants, for each block i from 1 below slab.carved (all others are NEVER; so is number 0):
 *   LIVE: the bytes behind its size, but the last, hold the canary
 *   FREE: all bytes but the last do;  NEVER: they are zero
 *   BUSY: somebody has it in hand, or put it away
 *   header of i: as said, if i or i - 1 is not NEVER; else zero; if it is BUSY, either
 *   its bit in sheet.free is set <=> it is FREE or NEVER, and neither number 0, nor held or ready
 *   slab.carved - slab.free_count == its LIVE and BUSY blocks
 */
#ifndef HAK_ARMOR_H
#define HAK_ARMOR_H

#include "armor_arena.h"

/* Whether the mode is on: const once hakmem has started. */
extern bool hak_hardened;

/* Bytes that the widest block holds. */
#define HAK_ARMOR_MAX ((size_t)HAK_MID_MAX - 1)

/* Rather than one of bytes that were written. */
HAK_INLINE bool hak_armor_is_of_pointer(hak_armor_fault_t fault) {
    return fault == HAK_ARMOR_NO_BLOCK || fault == HAK_ARMOR_INSIDE || fault == HAK_ARMOR_FREED;
}

/* Once, before the first block. go_on: what is found is put right, as far as it can be, rather than
 * left as it is for who looks at the dead process. */
void hak_armor_start(bool go_on);
/* size < the class's stride. Zeroed. NULL without memory, or if the block that comes next was
 * written to after it was freed and the mode is not to go on; the finding says so. */
void *hak_armor_alloc(unsigned cls, size_t size, hak_origin_t origin, hak_armor_finding_t *finding);
/* Frees the block at p, an address whose tag says the class, unless the finding's fault is one of
 * the pointer or, where the mode is not to go on, any. */
void hak_armor_free(void *p, unsigned cls, hak_armor_finding_t *finding);
/* The same checks of a block that stays. */
void hak_armor_look(const void *p, unsigned cls, hak_armor_finding_t *finding);
/* A sound live block of the class gets another size; bytes that it gains are zero. False if its
 * stride does not allow it. */
bool hak_armor_resize(void *p, unsigned cls, size_t size);
/* Takes home what was put away, so that it counts as free. */
void hak_armor_fetch(void);
/* Empties all quarantines; slabs without a live block go to the pool. True when one did. */
bool hak_armor_trim(void);
/* Looks at every block; stores up to most findings and returns how many there are. The caller holds
 * every lock. */
size_t hak_armor_check_locked(hak_armor_finding_t *findings, size_t most);
/* The size of the block if it is live. The caller holds every lock. */
bool hak_armor_is_live_locked(const hak_slab_t *slab, unsigned index, size_t *size);

/* Checks every invariant above, and that no block was damaged; for tests. Takes the locks. */
bool hak_armor_is_valid(void);

#endif
