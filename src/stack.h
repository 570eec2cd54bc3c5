/* stack.h: by which calls a thread came to where it is.
 *
 * Owns:      taking the return addresses on a stack, and telling them as lines of details.
 * Knows not: whose stacks are kept or why.
 * Threads:   any, but hak_stack_start(). Nobody may hold a lock of hakmem when one is taken: libc's
 *            loader may have to be waited for, and whoever is in it may allocate.
 */
#ifndef HAK_STACK_H
#define HAK_STACK_H

#include "base.h"

#define HAK_STACK_FRAMES 16U

typedef struct {
    unsigned count;
    void *frames[HAK_STACK_FRAMES]; /* the innermost first, hakmem's own left out */
} hak_stack_t;

/* Once, when libraries may be loaded: before, and where the system cannot do it, stacks are empty.
 */
void hak_stack_start(void);
void hak_stack_take(hak_stack_t *out);
/* "hakmem:   what", and a line for each frame: its address, and where that is in which file.
 * Nothing for an empty one. For the end of the process: any lock may be held. */
void hak_stack_tell(const char *what, const hak_stack_t *stack);

#endif
