/* readable.h: whether memory can be read, found out without a fault.
 *
 * Owns:      a pipe: the system's write() reads the byte, or says that it cannot.
 */
#ifndef READABLE_H
#define READABLE_H

#include <unistd.h>

#include "unit.h"

static int readable_ends[2];

/* Before the first question. */
static inline bool readable_start(void) {
    return pipe(readable_ends) == 0;
}

static inline bool is_readable(const char *p) {
    char byte;
    bool readable = write(readable_ends[1], p, 1) == 1;
    if (readable) {
        CHECK(read(readable_ends[0], &byte, 1) == 1);
    }
    return readable;
}

#endif
