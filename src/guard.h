/* guard.h: blocks on pages of their own, between two pages that nobody can touch.
 *
 * Owns:      guarded blocks, live and freed; how many there may be; the report when one of their
 *            untouchable pages is touched.
 * Knows not: who asks for them: the hardened mode, for its large blocks, and samples.
 * Threads:   any; everything is guarded by guard.lock (before the registry's: it is held while the
 *            large tier's is taken, and never waited for with another lock in hand).
 *
 *   run of the large tier (pages)
 *   | untouchable | canary ... | block, size bytes | canary | untouchable |
 *                 ^ first page                     ^ to the next multiple of the alignment
 *
 * The block ends as near to the page behind it as its alignment lets it; from 4 MiB on it starts
 * right behind the page in front, so that its pages can be moved. When it is freed, all its pages
 * become untouchable and their memory goes back; its addresses are used again only when newer ones
 * have taken its place among the freed blocks that are held.
 *
 * hak_map_init() and hak_canary_init() come before the first block.
 */
#ifndef HAK_GUARD_H
#define HAK_GUARD_H

#include "lock.h"
#include "origin.h"
#include "stack.h"

typedef enum {
    HAK_GUARD_NONE,     /* no guarded block has anything to do with the address */
    HAK_GUARD_LIVE,     /* the start of a live one */
    HAK_GUARD_INTERIOR, /* anywhere else in the run of a live one */
    HAK_GUARD_FREED,    /* anywhere in the run of a freed one that is held */
} hak_guard_kind_t;

typedef struct {
    hak_guard_kind_t kind;
    hak_origin_t origin;
    bool sampled;
    void *start;
    size_t size; /* as it was asked for */
} hak_guard_place_t;

typedef enum {
    HAK_GUARD_HARDENED,
    HAK_GUARD_SAMPLED, /* with the stacks of its allocation and its free */
} hak_guard_reason_t;

/* Reads how many guarded blocks there may be: when hakmem starts, since a program may give up the
 * right to open files. */
void hak_guard_start(void);
/* size: any; align: a power of two, below 16 counts as 16. Zeroed. NULL without memory. When there
 * are as many as there may be, or the system has no more mappings, the pages around it can be
 * touched like others, and only its canaries guard it; but a sample is NULL then. */
void *hak_guard_alloc(size_t size, size_t align, hak_origin_t origin, hak_guard_reason_t reason);
/* What lies at p. Costs a few loads where there is no guarded block at all. */
hak_guard_place_t hak_guard_place(const void *p);
/* The first byte around the live block at p that was written to without right; NULL when none was.
 */
const void *hak_guard_damage(const void *p);
/* The live block at p, whose canaries the caller has looked at, is free: untouchable from now on.
 * False when none starts there (any more). */
bool hak_guard_free(void *p);
/* Gives the live block at p another size where it stands (bytes that it gains are zero); false,
 * where it would need more or fewer pages, leaves it as it is. */
bool hak_guard_resize(void *p, size_t size);
/* Moves the pages of one live block of 4 MiB or more, which is freed, to another that is not
 * smaller and was not written to yet. False: nothing happened; copy instead. */
bool hak_guard_move(void *to, void *from);
/* For a fatal report: the stacks of the sampled block whose run p lies in. Waits for nothing. */
void hak_guard_tell(const void *p);
/* Gives back all freed blocks that are held; true when there was any. */
bool hak_guard_release_held(void);
/* Where the system has refused a mapping before: all live blocks give up their untouchable pages
 * for good, since other memory needs mappings too. True when any did. The caller holds the lock. */
bool hak_guard_open_all_locked(void);
/* The same for a run of the large tier: FREED where it is held, LIVE or INTERIOR where a block
 * stands in it. The caller holds the lock. */
hak_guard_place_t hak_guard_run_locked(const void *run);
/* For figures: takes the freed blocks that are held off what the large tier counts as live. */
void hak_guard_leave_out_held(size_t *blocks, size_t *bytes);
/* Calls visit for every live block around which something was written. The caller holds every lock.
 */
void hak_guard_each_damaged_locked(void (*visit)(const hak_guard_place_t *place, void *context),
                                   void *context);

/* From now on an access to an untouchable page ends with a line that names the block, where the
 * program has no handler of its own for SIGSEGV and SIGBUS. Once, holding no lock. */
void hak_guard_catch_faults(void);
/* What is done then: says so and ends the program if the address is that of such a page. In the
 * handler of a signal. */
void hak_guard_look_at_fault(const void *address);

void hak_guard_lock(void);
void hak_guard_unlock(void);
/* For what a fork does with it. */
hak_lock_t *hak_guard_own_lock(void);
/* Checks the invariants; for tests. Takes the lock. */
bool hak_guard_is_valid(void);

#endif
