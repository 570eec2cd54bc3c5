/* armor_slab.h: slabs of the hardened mode, on their way from the pool and back.
 *
 * Owns:      sheets; which memory of slabs cannot be touched, and when that has to end.
 * Knows not: which blocks are live (armor.h).
 * Threads:   any; a lock of its own, before the pool's. A slab belongs to who acquired it.
 *
 * Invariant: memory of slots that are not ACTIVE cannot be touched, as far as the system has
 *            mappings left
 */
#ifndef HAK_ARMOR_SLAB_H
#define HAK_ARMOR_SLAB_H

#include "lock.h"
#include "sheet.h"

/* Once, before the first slab. */
void hak_armor_slab_start(void);
/* Zero, with a sheet, number 0 carved; NULL without memory. Every reader of a pointer into it finds
 * the arena in its sheet. */
hak_slab_t *hak_armor_slab_acquire(unsigned cls, unsigned arena);
/* Without a live block, and on no list. Its memory goes back at once, so it is zero when it comes
 * again, and whoever still writes there is stopped. */
void hak_armor_slab_release(hak_slab_t *slab);
/* Where the system has refused a mapping before: all memory of slabs can be touched from now on.
 * True when that is news. The caller holds every lock. */
bool hak_armor_slab_open_all_locked(void);
hak_lock_t *hak_armor_slab_own_lock(void);

#endif
