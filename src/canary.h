/* canary.h: secret bytes that stand where nobody may write, and zeros where nobody may have
 * written.
 *
 * Owns:      the secret; writing it and looking for the first byte that is not what it was.
 * Knows not: where canaries stand.
 * Threads:   the secret is const after hak_canary_init(); the bytes belong to the caller.
 *
 * Every byte of the secret is from 0x80 to 0xFE: a stray terminator, a fill of ones or a byte of
 * text in its place is always noticed, any other with a probability of 125 in 126 a byte.
 */
#ifndef HAK_CANARY_H
#define HAK_CANARY_H

#include "base.h"

/* Before the first canary; more than one mode may do it. */
void hak_canary_init(void);
/* Bytes from at on. */
void hak_canary_write(void *at, size_t bytes);
bool hak_canary_is_whole(const void *at, size_t bytes);
/* The first byte that differs; NULL when none does. */
const void *hak_canary_damage(const void *at, size_t bytes);
/* The first byte that is not zero; NULL when all are. */
const void *hak_zero_damage(const void *at, size_t bytes);

#endif
