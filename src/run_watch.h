/* run_watch.h: bytes of page runs that nobody may write, and a look at them later.
 *
 * Owns:      the bytes behind a live block up to the end of its last page, and the first bytes of a
 *            free run or one that waits; the lines that say they have changed.
 * Knows not: where runs come from; when to look.
 * Threads:   guarded by the large tier's lock, but for hak_run_write_slack().
 *
 * What is watched lies in cache lines that few touch otherwise. So all of them are asked for
 * before the tree is worked on and looked at after it, and the canary is written when the lock is
 * released, since the last instruction under it waits for every store before. 2,048 blocks of 32
 * to 64 KiB with a byte a page written, replaced at random, took 24 to 39 % longer than unwatched
 * without this, 13 to 15 % with it.
 *
 *   live run  | block, as it was asked for | canary | ... | canary |   one, where slack is short
 *             start                        |<------ slack ------->|end
 *   free run  | canary | ...                                           while stamped
 *
 * Of fresh memory the slack is left as it is, zero: so no page is touched for it. A program that
 * asks for the usable size may write all of it: then nothing is watched.
 */
#ifndef HAK_RUN_WATCH_H
#define HAK_RUN_WATCH_H

#include "run_tree.h"

/* A live run of so many bytes, of which the first asked are the program's; run->zero says whether
 * its last page reads as zero. hak_run_write_slack() is to follow, at the latest before the program
 * gets the block: it needs no lock, and its cache misses keep nobody waiting at the end of one. */
void hak_run_watch(hak_run_t *run, size_t asked, size_t bytes);
void hak_run_write_slack(const hak_run_t *run, size_t bytes);
/* The same after its last page became another one. */
void hak_run_watch_again(hak_run_t *run, size_t bytes);
/* Ends the program if the slack has changed. */
void hak_run_check_slack(const hak_run_t *run, size_t bytes);
/* The same; from now on the program may write to all of it. */
void hak_run_end_watch(hak_run_t *run, size_t bytes);

/* Ask for the lines that are about to be read or written, all at once and ahead of the work on the
 * tree: of a free run that becomes a live one, of a live one that goes free, of the stamp of a free
 * run or of NULL. */
void hak_run_fetch_free(const hak_run_t *run, size_t asked, size_t bytes);
void hak_run_fetch_live(const hak_run_t *run, size_t bytes);
void hak_run_fetch_stamp(const hak_run_t *run);

/* A free run, of which what was a block has become a part: stamped if it starts there. After the
 * look at the block's slack, which may be where the stamp goes. NULL: no block was. */
void hak_run_stamp(hak_run_t *run, const hak_run_t *block);
/* Ends the program if the first bytes have changed; they are not watched any more. */
void hak_run_take_stamp(hak_run_t *run, size_t bytes);
/* Of two neighbours that become one, run, the first keeps its stamp. Ends the program if the
 * second's has changed. */
void hak_run_join_stamps(hak_run_t *run, size_t bytes, hak_run_t *neighbour,
                         size_t neighbour_bytes);

#endif
