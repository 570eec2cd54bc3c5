/* armor_arena.c: see armor_arena.h.
 *
 * Threads:   see armor_arena.h.
 */
#include "armor_arena.h"

#include "armor_slab.h"
#include "os.h"

#define PROCESSORS 1024U

hak_armor_shelf_t hak_armor_shelves[HAK_ARENAS][HAK_CLASSES];
_Thread_local uint8_t hak_arena_of_thread __attribute__((tls_model("initial-exec")));

static struct {
    hak_lock_t births; /* before all shelves' */
    /* Set once, under births: before that no shelf of it is locked or used. */
    _Atomic bool born[HAK_ARENAS];
    /* Numbers plus one, 0: none yet. Set once, under births. */
    _Atomic uint8_t arena_of_cpu[PROCESSORS];
    unsigned next_arena; /* guarded by births */
} arenas;

/* Processors get them in the order in which they first run a thread that asks. */
static HAK_COLD void bear(_Atomic uint8_t *arena_of_cpu) {
    hak_lock(&arenas.births);
    if (hak_load_relaxed(arena_of_cpu) == 0) {
        unsigned arena = arenas.next_arena++ % HAK_ARENAS;
        /* Seen early it does no harm: whoever has all locks has births. */
        hak_store_relaxed(&arenas.born[arena], true);
        hak_store_relaxed(arena_of_cpu, (uint8_t)(arena + 1));
    }
    hak_unlock(&arenas.births);
}

HAK_NOINLINE unsigned hak_arena_choose(void) {
    if (hak_arena_of_thread == 0) {
        hak_arena_of_thread = 1; /* born; should what is asked allocate */
    }
    _Atomic uint8_t *arena_of_cpu = &arenas.arena_of_cpu[hak_os.cpu() % PROCESSORS];
    if (HAK_UNLIKELY(hak_load_relaxed(arena_of_cpu) == 0)) {
        bear(arena_of_cpu);
    }
    hak_arena_of_thread = hak_load_relaxed(arena_of_cpu);
    return hak_arena_of_thread - 1U;
}

void hak_arena_start(void) {
    /* A wrong pointer into a slab that just comes finds a 0 in its sheet. */
    hak_store_relaxed(&arenas.born[0], true);
}

void hak_arena_each_shelf(void (*visit)(hak_armor_shelf_t *shelf, unsigned cls, void *context),
                          void *context) {
    for (unsigned arena = 0; arena < HAK_ARENAS; arena++) {
        for (unsigned cls = 0; cls < HAK_CLASSES && hak_load_relaxed(&arenas.born[arena]); cls++) {
            visit(&hak_armor_shelves[arena][cls], cls, context);
        }
    }
}

/* ---- Locks ----------------------------------------------------------------------------------- */

/* In order, without those of arenas not born: no one can hold them. */
void hak_arena_each_lock(void (*visit)(hak_lock_t *lock, void *context), void *context) {
    visit(&arenas.births, context);
    for (unsigned arena = 0; arena < HAK_ARENAS; arena++) {
        for (unsigned cls = 0; cls < HAK_CLASSES && hak_load_relaxed(&arenas.born[arena]); cls++) {
            visit(&hak_armor_shelves[arena][cls].lock, context);
        }
    }
    visit(hak_armor_slab_own_lock(), context);
}

static void take(hak_lock_t *lock, void *unused) {
    (void)unused;
    hak_lock(lock);
}

static void leave(hak_lock_t *lock, void *unused) {
    (void)unused;
    if (lock != &arenas.births) {
        hak_unlock(lock);
    }
}

static void reset(hak_lock_t *lock, void *unused) {
    (void)unused;
    hak_lock_reset(lock);
}

void hak_arena_lock_all(void) {
    hak_arena_each_lock(take, NULL);
}

/* The first one taken comes last: with it goes the holder's deferred cancellation, and arenas may
 * be born. */
void hak_arena_unlock_all(void) {
    hak_arena_each_lock(leave, NULL);
    hak_unlock(&arenas.births);
}

void hak_arena_after_fork_in_child(void) {
    hak_arena_each_lock(reset, NULL);
}
