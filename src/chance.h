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

/* Another sequence for each number, from one seed (splitmix64's way); never 0. */
HAK_INLINE uint64_t hak_chance_derive(uint64_t seed, uint64_t number) {
    uint64_t state = seed + (number + 1) * 0x9E3779B97F4A7C15U;
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9U;
    state = (state ^ state >> 27) * 0x94D049BB133111EBU;
    return (state ^ state >> 31) | 1;
}

/* 0 to bound - 1. */
HAK_INLINE unsigned hak_chance_below(uint64_t *state, unsigned bound) {
    return (unsigned)(((hak_chance_next(state) >> 32) * bound) >> 32);
}

#endif
