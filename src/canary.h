/* canary.h: secret bytes that stand where nobody may write, and zeros where nobody may have
 * written.
 *
 * Owns:      the secret; writing it and looking for the first byte that is not what it was.
 * Knows not: where canaries stand.
 * Threads:   the secret is const after hak_canary_init(); the bytes belong to the caller.
 *
 * Every byte of the secret is from 0x80 to 0xFE: a stray terminator, a fill of ones or a byte of
 * text in its place is always noticed, any other with a probability of 125 in 126 a byte.
 *
 * The inline functions are about bodies: bytes from a multiple of 16 to one before the next. What
 * is in a body stands at the same place of the secret each time, so nothing need be turned.
 */
#ifndef HAK_CANARY_H
#define HAK_CANARY_H

#include <string.h>

#include "base.h"

/* Two words at any address, for the compiler to keep in one register. */
typedef uint64_t hak_pair_t __attribute__((vector_size(16), aligned(1), may_alias));

#define HAK_PAIR sizeof(hak_pair_t)
#define HAK_PAIRS_LINE (4 * HAK_PAIR)

typedef struct {
    uint64_t word; /* by address modulo 8 */
    uint64_t last; /* the same from the seventh byte on: what a body ends with */
} hak_secret_t;

extern HAK_HIDDEN hak_secret_t hak_secret; /* const after hak_canary_init() */

/* Before the first canary; more than one mode may do it. */
void hak_canary_init(void);
/* Long bodies are written and looked at by wider instructions, where the machine has them. */
void hak_canary_widen(void);
/* Bytes from at on. */
void hak_canary_write(void *at, size_t bytes);
bool hak_canary_is_whole(const void *at, size_t bytes);
/* The same for HAK_PAIRS_LINE bytes, at any address. */
void hak_canary_write_line(void *at);
bool hak_canary_line_is_whole(const void *at);
/* The first byte that differs; NULL when none does. */
const void *hak_canary_damage(const void *at, size_t bytes);
/* The first byte that is not zero; NULL when all are. */
const void *hak_zero_damage(const void *at, size_t bytes);

/* For bodies from HAK_CANARY_WIDE on, what most of the work is left to: as many bytes from p on as
 * they can do best, fewer than 256 less than all. With the widest registers that the machine has.
 */
#define HAK_CANARY_WIDE 512U
unsigned char *hak_canary_fill_lines(unsigned char *p, size_t bytes);
/* Clears them too; stops at the first line in which something was written. */
unsigned char *hak_canary_take_lines(unsigned char *p, size_t bytes);

/* The body again as it was before hak_canary_take_body() had cleared its first bytes: false. */
HAK_COLD bool hak_canary_put_back(unsigned char *body, size_t bytes);

HAK_INLINE uint64_t hak_load_word(const unsigned char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

HAK_INLINE void hak_store_word(unsigned char *p, uint64_t word) {
    memcpy(p, &word, sizeof word);
}

HAK_INLINE void hak_canary_fill_body(unsigned char *body, size_t bytes) {
    const hak_pair_t value = {hak_secret.word, hak_secret.word};
    unsigned char *p = body, *rest = body + hak_round_down(bytes, HAK_PAIR);
    if (bytes >= HAK_CANARY_WIDE) {
        p = hak_canary_fill_lines(p, (size_t)(rest - p));
    }
    for (; (size_t)(rest - p) >= HAK_PAIRS_LINE; p += HAK_PAIRS_LINE) {
        hak_pair_t *pairs = (hak_pair_t *)p;
        pairs[0] = pairs[1] = pairs[2] = pairs[3] = value;
    }
    for (; p != rest; p += HAK_PAIR) {
        *(hak_pair_t *)p = value;
    }
    hak_store_word(rest, hak_secret.word);
    hak_store_word(rest + 7, hak_secret.last);
}

/* Whether the body holds the secret behind its first size bytes. Those of them that stand in the
 * same word are loaded, and thrown away. */
HAK_INLINE bool hak_canary_ends_body(const unsigned char *body, size_t size, size_t bytes) {
    const uint64_t last = hak_load_word(body + bytes - 8) ^ hak_secret.last;
    size_t at = hak_round_down(size, 8);
    unsigned turn = (unsigned)(size % 8 * 8);
    if (at == bytes - 7) {
        return last >> 8 >> turn == 0;
    }
    if (HAK_UNLIKELY(bytes - size >= 2 * HAK_PAIRS_LINE)) {
        return hak_canary_is_whole(body + size, bytes - size);
    }
    uint64_t wrong = (hak_load_word(body + at) ^ hak_secret.word) >> turn;
    for (at += 8; at < bytes - 7; at += 8) {
        wrong |= hak_load_word(body + at) ^ hak_secret.word;
    }
    return (wrong | last) == 0;
}

/* Fewer than 16 bytes: two stores that may overlap. */
HAK_INLINE void hak_zero_few(unsigned char *p, size_t bytes) {
    const uint64_t zero = 0;
    if (bytes >= 8) {
        memcpy(p, &zero, 8);
        memcpy(p + bytes - 8, &zero, 8);
    } else if (bytes >= 4) {
        memcpy(p, &zero, 4);
        memcpy(p + bytes - 4, &zero, 4);
    } else if (bytes != 0) {
        p[0] = p[bytes / 2] = p[bytes - 1] = 0;
    }
}

/* Whether all of the body holds the secret; then the first size bytes are zero, in the same pass
 * over memory. False: nothing has changed. */
HAK_INLINE bool hak_canary_take_body(unsigned char *body, size_t size, size_t bytes) {
    const hak_pair_t wanted = {hak_secret.word, hak_secret.word}, zero = {0, 0};
    unsigned char *p = body, *end = body + size, *rest = body + hak_round_down(bytes, HAK_PAIR);
    hak_pair_t wrong = zero;
    if (size >= HAK_CANARY_WIDE) {
        p = hak_canary_take_lines(p, size);
    }
    for (; (size_t)(end - p) >= HAK_PAIRS_LINE; p += HAK_PAIRS_LINE) {
        hak_pair_t *pairs = (hak_pair_t *)p;
        wrong = ((pairs[0] ^ wanted) | (pairs[1] ^ wanted)) |
                ((pairs[2] ^ wanted) | (pairs[3] ^ wanted));
        if (HAK_UNLIKELY((wrong[0] | wrong[1]) != 0)) {
            return hak_canary_put_back(body, (size_t)(p - body));
        }
        pairs[0] = pairs[1] = pairs[2] = pairs[3] = zero;
    }
    for (const unsigned char *q = p; q != rest; q += HAK_PAIR) {
        wrong |= *(const hak_pair_t *)q ^ wanted;
    }
    uint64_t wrong_rest =
        (hak_load_word(rest) ^ hak_secret.word) | (hak_load_word(rest + 7) ^ hak_secret.last);
    if (HAK_UNLIKELY((wrong[0] | wrong[1] | wrong_rest) != 0)) {
        return hak_canary_put_back(body, (size_t)(p - body));
    }
    for (; (size_t)(end - p) >= HAK_PAIR; p += HAK_PAIR) {
        *(hak_pair_t *)p = zero;
    }
    hak_zero_few(p, (size_t)(end - p));
    return true;
}

#endif
