// A block with a payload that tells whether anybody else wrote to it.
//
// Records live outside the blocks. payload_verify() ends the process with status 1 and a line that
// does not start with "hakmem: ", so that it cannot be taken for the allocator's own report.
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stdbool.h>

#include "stress_util.h"

typedef struct {
    unsigned char *p; // NULL: no block
    size_t size;
    unsigned char salt;
} payload_t;

// Called with true before and with false after each call of the allocator below, if it is set.
static void (*payload_around)(bool entering);

static inline void *payload_got(void *p, size_t size) {
    if (payload_around != NULL) {
        payload_around(false);
    }
    if (p == NULL && size != 0) {
        STRESS_FAIL("no memory for %zu bytes\n", size);
    }
    return p;
}

static inline void payload_enter(void) {
    if (payload_around != NULL) {
        payload_around(true);
    }
}

static inline unsigned char payload_byte(const payload_t *block, size_t i) {
    return (unsigned char)(block->salt + i * 7 + (i >> 8));
}

static inline void payload_fill(const payload_t *block) {
    for (size_t i = 0; i < block->size; i++) {
        block->p[i] = payload_byte(block, i);
    }
}

static inline void payload_verify(const payload_t *block, const char *whose) {
    for (size_t i = 0; i < block->size; i++) {
        if (block->p[i] != payload_byte(block, i)) {
            STRESS_FAIL("%s: byte %zu of %p, %zu bytes, is %#x, want %#x\n", whose, i,
                        (void *)block->p, block->size, block->p[i], payload_byte(block, i));
        }
    }
}

// Few sizes of which many blocks exist, so that lists of free blocks are long; the other tiers too.
static inline size_t payload_size(uint64_t *random) {
    static const size_t common[] = {16, 64, 100, 1000};
    size_t dice = stress_below(random, 100);
    if (dice < 75) {
        return common[dice % 4];
    }
    return 1 + stress_below(random, dice < 90 ? 1024 : dice < 99 ? 32768 : 150000);
}

static inline void payload_allocate(payload_t *block, size_t size, uint64_t *random) {
    block->size = size;
    block->salt = (unsigned char)stress_random(random);
    bool zeroed = stress_below(random, 8) == 0;
    payload_enter();
    block->p = payload_got(zeroed ? calloc(1, size) : malloc(size), size);
    payload_fill(block);
}

static inline void payload_release(payload_t *block, const char *whose) {
    payload_verify(block, whose);
    payload_enter();
    free(block->p);
    block->p = payload_got(NULL, 0);
}

static inline void payload_resize(payload_t *block, size_t size, const char *whose) {
    payload_verify(block, whose);
    payload_enter();
    unsigned char *p = payload_got(realloc(block->p, size), size);
    size_t kept = size < block->size ? size : block->size;
    payload_t moved = {p, kept, block->salt};
    payload_verify(&moved, whose);
    block->p = p;
    block->size = size;
    payload_fill(block);
}

#endif
