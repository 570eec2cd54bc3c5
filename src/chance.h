/* chance.h: random numbers, cheap and good enough to choose by.
 *
 * Owns:      the sequence.
 * Knows not: where a seed comes from: the system's (os.h), or what is to be foretold.
 * Threads:   the state belongs to the caller.
 *
 * xorshift64*: a state of 0 would stay 0.
 */
#ifndef HAK_CHANCE_H
#define HAK_CHANCE_H

#include "base.h"

/* The upper bits are the better ones. */
HAK_INLINE uint64_t hak_chance_next(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1DU;
}

/* 0 to bound - 1. */
HAK_INLINE unsigned hak_chance_below(uint64_t *state, unsigned bound) {
    return (unsigned)(((hak_chance_next(state) >> 32) * bound) >> 32);
}

#endif
