/* foreign.h: blocks that came from the C library's own malloc.
 *
 * Owns:      telling such a block from a stray pointer, and handing it back.
 * Knows not: hakmem's own memory.
 * Threads:   any.
 */
#ifndef HAK_FOREIGN_H
#define HAK_FOREIGN_H

#include "base.h"

/* True when the C library's malloc handed p out and took it back. */
bool hak_libc_free(void *p);
/* Its usable size, or 0. */
size_t hak_libc_size(const void *p);

#endif
