// realloc of a block's address plus 8.
// expect: hakmem: invalid realloc of %P: misaligned pointer
#include "misuse.h"

int main(void) {
    void *p = malloc(64);
    announce('P', moved(p, 8));
    return realloc(moved(p, 8), 500) == NULL;
}
