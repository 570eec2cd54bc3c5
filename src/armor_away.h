/* armor_away.h: blocks of other arenas on their way home, in the hardened mode.
 *
 * Owns:      when a block is put away rather than waited for, and when those go home.
 * Threads:   any; no lock is held but where it is said.
 *
 * Who frees small blocks of another arena and found its shelf locked some times puts the next ones
 * away, in the shelf of his own arena, and takes them home together: so two threads that hand over
 * blocks seldom meet. They stay BUSY so long.
 */
#ifndef HAK_ARMOR_AWAY_H
#define HAK_ARMOR_AWAY_H

#include "armor_arena.h"

/* Wider blocks, those of no tiny class, are not put away: each may keep a slab. */
#define HAK_AWAY_STRIDE_MAX 1040U

/* A block that is BUSY, of the shelf of another arena than the caller's own. True: the shelf is
 * locked, and the block the caller's. False: it was put away; what was found in slabs that went to
 * the pool on the occasion is in the finding. */
bool hak_away_lock_or_put(hak_armor_shelf_t *shelf, void *block, unsigned cls, unsigned own,
                          bool go_on, hak_armor_finding_t *finding);
/* Takes home what was put away on the shelf, which is locked, as far as it need not wait. */
void hak_away_take_home(hak_armor_shelf_t *own, unsigned cls, bool go_on,
                        hak_armor_finding_t *finding);

#endif
