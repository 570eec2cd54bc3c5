/* toys.h: the searches put to the test on small programs whose outcomes are known.
 *
 * Owns:      random programs of up to three threads, for which each search must reach the same final
 *            states as one that leaves nothing out; textbook bugs that must be found.
 * Knows not: hakmem, but for the names of its atomics and locks.
 */
#ifndef MODEL_TOYS_H
#define MODEL_TOYS_H

#include <stdbool.h>

/* Prints a line; false when a search left something out. */
bool toys_check(unsigned programs);

#endif
