/* world.h: what the model's threads do with the core, and what must hold when they are through.
 *
 * Owns:      the blocks that are live, each with contents that nobody else may change; all heaps.
 * Knows not: schedules.
 * Threads:   the model's; no point lies between a call of the core and the note of its result.
 *
 * Must hold after every run, whatever the order:
 *   each block of each slab is in one place: live, in a bin or reserve, on its slab's free list, in
 *   its remote queue, or not carved yet; the counts of superslab.h and pool.h are right
 *   a slab is on a ready list or waits, and on one only <=> its remote queue is not empty; an
 *   orphan's ready list is empty, and none of its slabs waits
 *   a slab with room is in its owner's list; one with all blocks home was released, once
 *   a heap belongs to one thread, or is an orphan, on the list of orphans, its bins empty
 *   no lock is held; live blocks hold what was written to them
 * Then all memory can be allocated again without a further slab, and when everything is freed and
 * all threads have ended, no slab is left.
 */
#ifndef MODEL_WORLD_H
#define MODEL_WORLD_H

#include <stddef.h>

#include "heap.h"

#define WORLD_SIZE 8192  /* eight blocks a slab, carved one by one */
#define WORLD_OTHER 7168 /* of another class */

/* Allocates a block and fills it; returns its number. */
unsigned world_alloc_size(size_t size);
unsigned world_alloc(void);
void world_alloc_many(unsigned count);
/* Checks and frees. */
void world_free(unsigned number);
/* What this thread's bin holds becomes its reserve, as after an interval. What was the reserve goes
 * home. */
void world_set_apart(void);
/* All of it goes home, as after two intervals. */
void world_send_home(void);
void world_free_home(unsigned number);

/* From now on this thread's blocks of WORLD_SIZE count as scattered: two go home at once, each for
 * itself. */
void world_scatter(void);

void *world_block(unsigned number);
/* In a set-up: a fork may lose so many blocks, one for each thread that it ends: between its bin
 * and its caller. Their slabs stay. */
void world_may_lose(unsigned most);

void world_audit(void);
/* The audit, and then what is to follow it; scenario_t.finish. */
void world_finish(void);

unsigned world_slabs_active(void);
unsigned world_heap_count(void);
hak_heap_t *world_heap(unsigned index);
/* The thread for which the heap was made. */
unsigned world_heap_actor(const hak_heap_t *heap);

#endif
