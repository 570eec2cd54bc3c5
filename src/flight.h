/* flight.h: what is told of a block behind a fatal line: its slab, its neighbours, the last events.
 *
 * Owns:      those lines; each starts with "hakmem:   ". The events stand in the heaps (shelf.h).
 * Knows not: what went wrong; the line before says it.
 * Threads:   the one that ends the process, whatever locks it holds: it waits for none. What others
 *            guard and do not let go is left out.
 */
#ifndef HAK_FLIGHT_H
#define HAK_FLIGHT_H

#include "bins.h"

/* The heap that the reporting thread had; NULL for none. */
extern hak_heap_t *hak_flight_heap;

void hak_flight_report(const void *about);

#endif
