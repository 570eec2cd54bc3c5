/* canary.c: see canary.h. */
#include "canary.h"

#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "os.h"

#define WORD sizeof(uint64_t)
#define PAIR HAK_PAIR
#define LINE HAK_PAIRS_LINE

typedef hak_pair_t pair_t;

hak_secret_t hak_secret;

/* ---- Wide bodies ----------------------------------------------------------------------------- */

#if defined(__x86_64__)
/* Four words, for machines with AVX2. */
typedef uint64_t quad_t __attribute__((vector_size(4 * WORD), aligned(1), may_alias));
typedef long long test_t __attribute__((vector_size(4 * WORD))); /* for the instruction that asks */
#define QUADS_LINE (4 * sizeof(quad_t))

static bool has_quads; /* const after hak_canary_widen() */

/* What __builtin_cpu_supports() asks, too; but its constructor would ask in every program, and each
 * question is some microseconds in a virtual machine. */
void hak_canary_widen(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & bit_OSXSAVE) == 0) {
        return;
    }
    unsigned saved, high; /* by the system, when it switches threads */
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    const unsigned sse_avx = 6;
    has_quads = (saved & sse_avx) == sse_avx && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
                (b & bit_AVX2) != 0;
}

__attribute__((target("avx2"))) static unsigned char *fill_quads(unsigned char *p, size_t bytes) {
    const uint64_t word = hak_secret.word;
    const quad_t value = {word, word, word, word};
    for (; bytes >= QUADS_LINE; p += QUADS_LINE, bytes -= QUADS_LINE) {
        quad_t *quads = (quad_t *)p;
        quads[0] = quads[1] = quads[2] = quads[3] = value;
    }
    return p;
}

__attribute__((target("avx2"))) static unsigned char *take_quads(unsigned char *p, size_t bytes) {
    const uint64_t word = hak_secret.word;
    const quad_t wanted = {word, word, word, word}, zero = {0, 0, 0, 0};
    for (; bytes >= QUADS_LINE; p += QUADS_LINE, bytes -= QUADS_LINE) {
        quad_t *quads = (quad_t *)p;
        quad_t wrong = ((quads[0] ^ wanted) | (quads[1] ^ wanted)) |
                       ((quads[2] ^ wanted) | (quads[3] ^ wanted));
        if (HAK_UNLIKELY(!__builtin_ia32_ptestz256((test_t)wrong, (test_t)wrong))) {
            break;
        }
        quads[0] = quads[1] = quads[2] = quads[3] = zero;
    }
    return p;
}

unsigned char *hak_canary_fill_lines(unsigned char *p, size_t bytes) {
    return HAK_LIKELY(has_quads) ? fill_quads(p, bytes) : p;
}

unsigned char *hak_canary_take_lines(unsigned char *p, size_t bytes) {
    return HAK_LIKELY(has_quads) ? take_quads(p, bytes) : p;
}
#else
void hak_canary_widen(void) {
}

unsigned char *hak_canary_fill_lines(unsigned char *p, size_t bytes) {
    (void)bytes;
    return p;
}

unsigned char *hak_canary_take_lines(unsigned char *p, size_t bytes) {
    (void)bytes;
    return p;
}
#endif

/* ---- The secret ------------------------------------------------------------------------------ */

static uint64_t turned(unsigned bytes) {
    unsigned turn = bytes * 8;
    return hak_secret.word >> turn | hak_secret.word << (-turn % 64);
}

void hak_canary_init(void) {
    unsigned char bytes[WORD];
    if (hak_secret.word != 0) {
        return;
    }
    hak_os_random(bytes, sizeof bytes);
    for (size_t i = 0; i < WORD; i++) {
        bytes[i] |= 0x80;
        if (bytes[i] == 0xFF) {
            bytes[i] = 0xA5;
        }
    }
    hak_secret.word = hak_load_word(bytes);
    hak_secret.last = turned(7);
}

/* The word that stands at p, be it aligned or not. */
static uint64_t word_at(const unsigned char *p) {
    return turned((unsigned)((uintptr_t)p % WORD));
}

/* Both ranges of half may overlap: so any number of bytes from half to all takes two steps. */
static void store_ends(unsigned char *p, size_t bytes, uint64_t word, uint64_t last_word) {
    if (bytes >= WORD) {
        memcpy(p, &word, WORD);
        memcpy(p + bytes - WORD, &last_word, WORD);
    } else if (bytes >= WORD / 2) {
        memcpy(p, &word, WORD / 2);
        memcpy(p + bytes - WORD / 2, (const char *)&last_word + WORD / 2, WORD / 2);
    } else {
        for (; bytes != 0; bytes--, p++, word >>= 8) {
            *p = (unsigned char)word;
        }
    }
}

static pair_t pair_of(uint64_t word) {
    return (pair_t){word, word};
}

void hak_canary_write(void *at, size_t bytes) {
    unsigned char *p = at;
    unsigned char *end = p + bytes;
    uint64_t word = word_at(p), last_word = word_at(end);
    if (bytes < PAIR) {
        store_ends(p, bytes, word, last_word);
        return;
    }
    const pair_t value = pair_of(word);
    for (; (size_t)(end - p) >= LINE; p += LINE) {
        pair_t *pairs = (pair_t *)p;
        pairs[0] = pairs[1] = pairs[2] = pairs[3] = value;
    }
    for (; (size_t)(end - p) > PAIR; p += PAIR) {
        *(pair_t *)p = value;
    }
    *(pair_t *)(end - PAIR) = pair_of(last_word);
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

static uint32_t load_half(const unsigned char *p) {
    uint32_t half;
    memcpy(&half, p, sizeof half);
    return half;
}

static bool ends_are(const unsigned char *p, size_t bytes, uint64_t word, uint64_t last_word) {
    if (bytes >= WORD) {
        return ((hak_load_word(p) ^ word) | (hak_load_word(p + bytes - WORD) ^ last_word)) == 0;
    }
    if (bytes >= WORD / 2) {
        return ((load_half(p) ^ (uint32_t)word) |
                (load_half(p + bytes - WORD / 2) ^ (uint32_t)(last_word >> 32))) == 0;
    }
    for (; bytes != 0; bytes--, p++, word >>= 8) {
        if (*p != (unsigned char)word) {
            return false;
        }
    }
    return true;
}

/* Asks once, at the end, since nearly all that is looked at is sound. */
static bool pairs_are(const unsigned char *p, const unsigned char *end, uint64_t word,
                      uint64_t last_word) {
    const pair_t wanted = pair_of(word);
    pair_t wrong = *(const pair_t *)(end - PAIR) ^ pair_of(last_word);
    for (; (size_t)(end - p) >= LINE; p += LINE) {
        const pair_t *pairs = (const pair_t *)p;
        wrong |= ((pairs[0] ^ wanted) | (pairs[1] ^ wanted)) |
                 ((pairs[2] ^ wanted) | (pairs[3] ^ wanted));
    }
    for (; (size_t)(end - p) > PAIR; p += PAIR) {
        wrong |= *(const pair_t *)p ^ wanted;
    }
    return (wrong[0] | wrong[1]) == 0;
}

/* The word stands at p, the last one ends with the last byte. */
static bool is_repeated(const unsigned char *p, size_t bytes, uint64_t word, uint64_t last_word) {
    return HAK_LIKELY(bytes >= PAIR) ? pairs_are(p, p + bytes, word, last_word)
                                     : ends_are(p, bytes, word, last_word);
}

bool hak_canary_is_whole(const void *at, size_t bytes) {
    return is_repeated(at, bytes, word_at(at), word_at((const unsigned char *)at + bytes));
}

void hak_canary_write_line(void *at) {
    pair_t *pairs = at;
    pairs[0] = pairs[1] = pairs[2] = pairs[3] = pair_of(word_at(at));
}

bool hak_canary_line_is_whole(const void *at) {
    const pair_t *pairs = at;
    const pair_t wanted = pair_of(word_at(at));
    pair_t wrong =
        ((pairs[0] ^ wanted) | (pairs[1] ^ wanted)) | ((pairs[2] ^ wanted) | (pairs[3] ^ wanted));
    return (wrong[0] | wrong[1]) == 0;
}

const void *hak_canary_damage(const void *at, size_t bytes) {
    return HAK_LIKELY(hak_canary_is_whole(at, bytes)) ? NULL : locate(at, bytes, word_at(at));
}

const void *hak_zero_damage(const void *at, size_t bytes) {
    return HAK_LIKELY(is_repeated(at, bytes, 0, 0)) ? NULL : locate(at, bytes, 0);
}

bool hak_canary_put_back(unsigned char *body, size_t bytes) {
    hak_canary_write(body, bytes);
    return false;
}
