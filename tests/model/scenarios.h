/* scenarios.h: the situations that are explored. Each is the smallest in which its race can happen. */
#ifndef MODEL_SCENARIOS_H
#define MODEL_SCENARIOS_H

#include "scheduler.h"

extern const scenario_t scenarios[];
extern const unsigned scenario_count;
/* lock.c itself. */
extern const scenario_t lock_scenario;

#endif
