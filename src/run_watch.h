/* run_watch.h: bytes of page runs that nobody may write, and a look at them later.
 *
 * Owns:      the bytes behind a live block up to the end of its last page, and the first bytes of a
 *            free run; the lines that say they have changed.
 * Knows not: where runs come from; when to look.
 * Threads:   guarded by the large tier's lock.
 *
 *   live run   | block, as it was asked for     | canary | ... | canary |   one, where slack is
 * short start                            |<------ slack ------->|end free run   | canary | ...
 * while stamped
 *
 * Of fresh memory the slack is left as it is, zero: so no page is touched for it. A program that
 * asks for the usable size may write all of it: then nothing is watched.
 */
#ifndef HAK_RUN_WATCH_H
#define HAK_RUN_WATCH_H

#include "run_tree.h"

/* A live run of so many bytes, of which the first asked are the program's; run->zero says whether
 * its last page reads as zero. */
void hak_run_watch(hak_run_t *run, size_t asked, size_t bytes);
/* The same after its last page became another one. */
void hak_run_watch_again(hak_run_t *run, size_t bytes);
/* Ends the program if the slack has changed. */
void hak_run_check_slack(const hak_run_t *run, size_t bytes);
/* The same; from now on the program may write to all of it. */
void hak_run_end_watch(hak_run_t *run, size_t bytes);

/* A run that goes free: stamped, unless it reads as zero. */
void hak_run_stamp(hak_run_t *run);
/* Ends the program if the first bytes have changed; they are not watched any more. */
void hak_run_take_stamp(hak_run_t *run, size_t bytes);
/* Of two neighbours that become one, run, the first keeps its stamp. Ends the program if the
 * second's has changed. */
void hak_run_join_stamps(hak_run_t *run, size_t bytes, hak_run_t *neighbour,
                         size_t neighbour_bytes);

#endif
