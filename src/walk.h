/* walk.h: every live block and every slab, by name.
 *
 * Owns:      telling live blocks from free ones: a block of a slab is free when it stands in a bin,
 * a reserve, its slab's free list or remote queue; every other that was carved is live. Knows not:
 * what the walk is for. Threads:   any; holds every lock meanwhile, and the thread's hit paths
 * miss, so that a malloc or free in the visitor ends the program with a line instead of changing
 * what is walked. What other threads' hit paths take or give back meanwhile may be named or not.
 */
#ifndef HAK_WALK_H
#define HAK_WALK_H

#include "base.h"
#include "hakmem.h"

typedef int hak_visitor_t(const hak_visit_t *what, void *arg);

/* As hak_heap_visit(). */
int hak_walk(hak_visitor_t *visit, void *arg);

#endif
