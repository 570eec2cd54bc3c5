/* canary.c: see canary.h. */
#include "canary.h"

#include <string.h>

#include "os.h"

#define WORD sizeof(uint64_t)
#define LINE (4 * sizeof(pair_t))

/* Two words at any address, for the compiler to keep in one register. */
typedef uint64_t pair_t __attribute__((vector_size(2 * WORD), aligned(1), may_alias));

static union {
    uint64_t word;
    unsigned char bytes[WORD]; /* by address modulo WORD */
} secret; /* const after hak_canary_init() */

void hak_canary_init(void) {
    if (secret.word != 0) {
        return;
    }
    hak_os_random(secret.bytes, sizeof secret.bytes);
    for (size_t i = 0; i < WORD; i++) {
        secret.bytes[i] |= 0x80;
        if (secret.bytes[i] == 0xFF) {
            secret.bytes[i] = 0xA5;
        }
    }
}

/* The word that stands at p, be it aligned or not. */
static uint64_t word_at(const unsigned char *p) {
    unsigned turn = (unsigned)((uintptr_t)p % WORD) * 8;
    return turn != 0 ? secret.word >> turn | secret.word << (64 - turn) : secret.word;
}

static uint64_t load(const unsigned char *p) {
    uint64_t word;
    memcpy(&word, p, WORD);
    return word;
}

static void store_line(unsigned char *p, uint64_t word) {
    pair_t *pairs = (pair_t *)p;
    pairs[0] = pairs[1] = pairs[2] = pairs[3] = (pair_t){word, word};
}

void hak_canary_write(void *at, size_t bytes) {
    unsigned char *p = at;
    uint64_t word = word_at(p);
    for (; bytes >= LINE; bytes -= LINE, p += LINE) {
        store_line(p, word);
    }
    for (; bytes >= WORD; bytes -= WORD, p += WORD) {
        memcpy(p, &word, WORD);
    }
    for (; bytes != 0; bytes--, p++, word >>= 8) {
        *p = (unsigned char)word;
    }
}

/* The first byte that is not what the word repeats from at on. */
static HAK_COLD const void *locate(const unsigned char *at, size_t bytes, uint64_t word) {
    unsigned char wanted[WORD];
    memcpy(wanted, &word, WORD);
    size_t i = 0;
    while (i < bytes && at[i] == wanted[i % WORD]) {
        i++;
    }
    return i < bytes ? at + i : NULL;
}

/* Asks once for a cache line, since nearly all that is looked at is sound. */
static bool line_repeats(const unsigned char *p, uint64_t word) {
    const pair_t *pairs = (const pair_t *)p;
    const pair_t wanted = {word, word};
    pair_t wrong = ((pairs[0] ^ wanted) | (pairs[1] ^ wanted)) |
                   ((pairs[2] ^ wanted) | (pairs[3] ^ wanted));
    return (wrong[0] | wrong[1]) == 0;
}

/* What stands at the end of the range, be it no multiple of a word, is compared as the last word of it. */
static bool is_repeated(const unsigned char *p, size_t bytes, uint64_t word, uint64_t last_word) {
    const unsigned char *end = p + bytes;
    if (HAK_UNLIKELY(bytes < WORD)) {
        for (; p < end; p++, word >>= 8) {
            if (*p != (unsigned char)word) {
                return false;
            }
        }
        return true;
    }
    for (; (size_t)(end - p) > LINE; p += LINE) {
        if (HAK_UNLIKELY(!line_repeats(p, word))) {
            return false;
        }
    }
    for (; (size_t)(end - p) > WORD; p += WORD) {
        if (HAK_UNLIKELY(load(p) != word)) {
            return false;
        }
    }
    return load(end - WORD) == last_word;
}

const void *hak_canary_damage(const void *at, size_t bytes) {
    uint64_t word = word_at(at);
    uint64_t last_word = word_at((const unsigned char *)at + bytes);
    return HAK_LIKELY(is_repeated(at, bytes, word, last_word)) ? NULL : locate(at, bytes, word);
}

const void *hak_zero_damage(const void *at, size_t bytes) {
    return HAK_LIKELY(is_repeated(at, bytes, 0, 0)) ? NULL : locate(at, bytes, 0);
}
