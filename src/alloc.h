/* alloc.h: malloc and its family, under hakmem's own names.
 *
 * Owns:      dispatch by size and by address, the corner cases that the C library promises,
 *            start-up.
 * Knows not: the exported names (override.c, operators.c).
 * Threads:   any function by any thread at any time, but in a signal handler.
 *
 * Sizes and alignments are in bytes. Functions that allocate return NULL and set errno to ENOMEM
 * without memory, or when a size is above PTRDIFF_MAX; nothing else changes then. Functions that
 * free keep errno. A pointer that is not a live block stops the program with one line on stderr.
 */
#ifndef HAK_ALLOC_H
#define HAK_ALLOC_H

#include "base.h"
#include "guard.h"
#include "heap.h"
#include "origin.h"

/* At least size bytes (0 counts as 1 in the default mode), a multiple of 16. */
void *hak_malloc(size_t size);
void hak_free(void *p);
/* Zeroed; ENOMEM when the product overflows. */
void *hak_calloc(size_t count, size_t size);
/* As glibc: NULL allocates, size 0 frees and returns NULL. */
void *hak_realloc(void *p, size_t size);
/* align: a power of two, else NULL and EINVAL; size need be no multiple of it. */
void *hak_aligned_alloc(size_t align, size_t size);
/* Bytes that may be used; the same as long as the block lives. 0 for NULL. */
size_t hak_usable_size(const void *p);
/* Gives back what can be given back; true when something was. */
bool hak_trim_all(void);

/* aligned_alloc() without touching errno; NULL without memory. align: a power of two. */
void *hak_alloc_aligned(size_t size, size_t align);

/* What the hit paths leave by. */
void *hak_alloc_mid(size_t size, void *(*miss)(size_t));
HAK_HIDDEN HAK_COLD void *hak_malloc_miss(size_t size);
/* The same, but a failure leaves errno alone. */
void *hak_alloc_cold(size_t size, size_t align, hak_origin_t origin);
/* by: of which family the call is; size: what the program says the block has. The hardened mode
 * compares. */
HAK_NOINLINE void hak_free_cold_by(void *p, hak_origin_t by, size_t size);
/* The same, where the block may be of a slab of several slots. bin: this thread's, by its tag. */
HAK_NOINLINE void hak_free_wide_by(void *p, hak_origin_t by, size_t size, hak_bin_t *bin);
HAK_NOINLINE void hak_free_interval_over(hak_bin_t *bin);

/* Names what is wrong with p, then aborts, or returns if the program is to go on. verb: what it
 * called. */
HAK_COLD void hak_report_misuse(const void *p, const char *verb);
/* The parts of it; what: the block, in words. */
HAK_COLD void hak_report_not_allocated(const void *p, const char *verb);
HAK_COLD void hak_report_freed(const void *p, const char *verb, const char *what);
HAK_COLD void hak_report_inside(const void *p, const char *verb, const char *what,
                                const void *block);

/* p lies in the run of a guarded block. True when it starts the live one, and that is sound or what
 * is wrong was said; all else is said too. */
bool hak_check_guarded(const void *p, const char *verb, const hak_guard_place_t *place);

/* This thread is in a slow path: a signal handler that interrupted it asks. */
bool hak_is_inside(void);
/* Locks every lock of hakmem; for exact figures. */
void hak_lock_everything(void);
void hak_unlock_everything(void);

/* operators.c, where a program has it: the hardened mode is about to begin. */
extern HAK_HIDDEN void hak_operators_harden(void) __attribute__((weak));

/* Set by override.c: offers a pointer that is not ours to the C library; true when it took it. */
extern bool (*hak_foreign_free)(void *p);
extern size_t (*hak_foreign_size)(const void *p);

#endif
