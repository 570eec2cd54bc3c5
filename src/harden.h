/* harden.h: the hardened mode: which block serves a request, what is checked, what is said.
 *
 * Owns:      the mode; the texts of its findings (tests/misuse compares them).
 * Knows not: how blocks are kept (armor.h, guard.h), the default mode.
 * Threads:   any function by any thread at any time, but in a signal handler.
 *
 * Requests below 32 KiB get armored blocks of slabs, all others a guarded one. All memory is zero
 * when it is handed out.
 */
#ifndef HAK_HARDEN_H
#define HAK_HARDEN_H

#include "armor.h"

/* Once, when hakmem starts, if an option asks for the mode. */
void hak_harden_start(void);
/* Holding no lock, when all else has started: accesses to untouchable memory will be told of. */
void hak_harden_catch_faults(void);
/* A block that remembers its size and by whom it was allocated. NULL without memory. */
void *hak_harden_alloc(size_t size, size_t align, hak_origin_t origin);
/* Frees p, if it is or was ours: false when its address never was. size: as the program says,
 * HAK_SIZE_UNKNOWN if it says nothing. */
bool hak_harden_free(void *p, hak_origin_t by, size_t size);
/* Whether p is or was ours; then *size is what was asked for p, a live block, or HAK_SIZE_UNKNOWN
 * if it is none and that was said and the program goes on. */
bool hak_harden_size(const void *p, const char *verb, size_t *size);
/* Gives the sound live block at p another size where it stands; false: it must move. */
bool hak_harden_resize(void *p, size_t size);
/* Empties the quarantines; true when memory went back. */
bool hak_harden_trim(void);
/* Gives up untouchable memory where the system has no more mappings; true when that made room for
 * some. */
bool hak_harden_relax(void);
/* Looks at every block; says what is wrong and returns how often. */
size_t hak_harden_check(void);

#endif
