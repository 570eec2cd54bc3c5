/* armor_arena.h: the arenas of the hardened mode, and which of them a thread uses.
 *
 * Owns:      all shelves, one for each class of each arena; the order of their locks.
 * Knows not: what a shelf holds (armor_shelf.h).
 * Threads:   any. A shelf is locked by who looks into it.
 *
 * An arena belongs to a processor: so threads of which only one runs at a time, or that follow each
 * other, have one together, and there are no more than processors.
 */
#ifndef HAK_ARMOR_ARENA_H
#define HAK_ARMOR_ARENA_H

#include "armor_shelf.h"

/* Processors share one where there are more than these that run the program. */
#define HAK_ARENAS 16U

extern HAK_HIDDEN hak_armor_shelf_t hak_armor_shelves[HAK_ARENAS][HAK_CLASSES];

/* The number of the arena that this thread uses, plus one; 0: none yet. */
extern HAK_HIDDEN _Thread_local uint8_t hak_arena_of_thread
    __attribute__((tls_model("initial-exec")));

/* Anew, by who meets another thread in his own: one of them has come to another processor. */
unsigned hak_arena_choose(void);

HAK_INLINE unsigned hak_arena_own(void) {
    unsigned arena = hak_arena_of_thread;
    return HAK_LIKELY(arena != 0) ? arena - 1 : hak_arena_choose();
}

/* Of a block's slab: the arena stays the same while a block of it is live. No lock need be held. */
HAK_INLINE unsigned hak_arena_at(const void *block, unsigned cls) {
    const hak_superslab_t *ss = hak_map_record(block);
    const hak_sheet_t *sheet = ss->sheet;
    return hak_load_relaxed(&sheet->arena[hak_sheet_slot(block, cls)]);
}

HAK_INLINE unsigned hak_arena_of_shelf(const hak_armor_shelf_t *shelf) {
    return (unsigned)((shelf - hak_armor_shelves[0]) / HAK_CLASSES);
}

/* Once, before the first block. */
void hak_arena_start(void);
/* Visits the shelves of arenas in use. */
void hak_arena_each_shelf(void (*visit)(hak_armor_shelf_t *shelf, unsigned cls, void *context),
                          void *context);

/* All locks of shelves, and what comes before and behind them; each before the pool's. */
void hak_arena_lock_all(void);
void hak_arena_unlock_all(void);
void hak_arena_each_lock(void (*visit)(hak_lock_t *lock, void *context), void *context);
/* In the child of a fork: every lock is free. */
void hak_arena_after_fork_in_child(void);
#endif
