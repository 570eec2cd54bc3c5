// A table of blocks that somebody else can take over when its thread vanishes at any moment: by a
// cancellation, or in the child of a fork.
//
// An entry that is not NULL is a live block with its payload in place. A block that is on its way to
// or from the table is in flight: it is lost if its thread vanishes, or was freed already.
#ifndef SEAT_H
#define SEAT_H

#include <stdatomic.h>

#include "payload.h"

enum { SEAT_BLOCKS = 24 };

typedef struct {
    payload_t blocks[SEAT_BLOCKS];
    volatile size_t in_flight; // bytes of at most two blocks, as asked for
    size_t lost_bytes;         // was in flight when the thread's life was cut short
    size_t lost_times;
    uint64_t random;
} seat_t;

// A vanishing thread leaves its stores in the order of the program.
static inline void seat_fence(void) {
    atomic_thread_fence(memory_order_seq_cst);
}

static inline void seat_publish(seat_t *seat, size_t i, const payload_t *block) {
    seat->blocks[i].size = block->size;
    seat->blocks[i].salt = block->salt;
    seat_fence();
    seat->blocks[i].p = block->p;
    seat_fence();
    seat->in_flight = 0;
}

static inline payload_t seat_withdraw(seat_t *seat, size_t i, size_t more) {
    payload_t block = seat->blocks[i];
    seat->in_flight = block.size + more;
    seat_fence();
    seat->blocks[i].p = NULL;
    seat_fence();
    return block;
}

static inline void seat_allocate(seat_t *seat, size_t i, size_t size) {
    payload_t block;
    seat->in_flight = size;
    seat_fence();
    payload_allocate(&block, size, &seat->random);
    seat_publish(seat, i, &block);
}

static inline void seat_release(seat_t *seat, size_t i) {
    payload_t block = seat_withdraw(seat, i, 0);
    payload_release(&block, "a seat's block");
    seat_fence();
    seat->in_flight = 0;
}

static inline void seat_resize(seat_t *seat, size_t i, size_t size) {
    payload_t block = seat_withdraw(seat, i, size);
    payload_resize(&block, size, "a seat's block");
    seat_publish(seat, i, &block);
}

static inline void seat_operate(seat_t *seat) {
    size_t i = stress_below(&seat->random, SEAT_BLOCKS);
    if (seat->blocks[i].p == NULL) {
        seat_allocate(seat, i, payload_size(&seat->random));
    } else if (stress_below(&seat->random, 6) == 0) {
        seat_resize(seat, i, payload_size(&seat->random));
    } else {
        seat_release(seat, i);
    }
}

// By whoever goes on with the seat after its thread was stopped.
static inline void seat_note_loss(seat_t *seat) {
    seat->lost_bytes += seat->in_flight;
    seat->lost_times += seat->in_flight != 0;
    seat->in_flight = 0;
}

// By whoever took the seat over: all that is in it.
static inline void seat_clear(seat_t *seat) {
    seat_note_loss(seat);
    for (size_t i = 0; i < SEAT_BLOCKS; i++) {
        if (seat->blocks[i].p != NULL) {
            payload_release(&seat->blocks[i], "a block left behind");
        }
    }
}

#endif
