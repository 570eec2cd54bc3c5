/* retain.c: see retain.h.
 *
 * Threads:   see retain.h.
 */
#include "retain.h"

hak_retain_t hak_retain;
