// A block's address plus 8, in a slab of several slots.
// expect: hakmem: invalid free of %P: misaligned pointer
#include "misuse.h"

int main(void) {
    void *p = malloc(20000);
    announce('P', moved(p, 8));
    free(moved(p, 8));
    return 0;
}
