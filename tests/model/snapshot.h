/* snapshot.h: the core's memory, put back to one state again and again; and the system beneath it.
 *
 * Owns:      the table hak_os of the model's build; pages that were written since the snapshot.
 * Knows not: what the memory means; threads.
 * Threads:   one real thread.
 *
 * What the core and the scenarios write is the program's own data and what the core mapped. After
 * snapshot_take() these pages are read-only; the first write to one saves it. snapshot_restore()
 * copies back the pages saved so far, so a run costs some microseconds and no system call.
 * Whatever must outlive a restore comes from snapshot_keep().
 */
#ifndef MODEL_SNAPSHOT_H
#define MODEL_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed memory that no restore touches. */
void *snapshot_keep(size_t bytes);
/* Puts the model's system under the core. Before the core's first call. */
void snapshot_install(void);
void snapshot_take(void);
void snapshot_restore(void);
/* For the handler of SIGSEGV: true when it was the first write to a page. */
bool snapshot_fault(void *address);
/* What the core wrote to stderr since the last restore. */
const char *snapshot_text(void);

#endif
