/* trace.h: a schedule for people to read.
 *
 * Owns:      names for variables and their values.
 */
#ifndef MODEL_TRACE_H
#define MODEL_TRACE_H

#include "scheduler.h"

/* The lines of the last run, and how it ended. */
void trace_print(const scenario_t *scenario);

#endif
