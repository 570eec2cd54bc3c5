// Sixteen bytes into a block, in a slab of several slots.
// expect: hakmem: invalid free of %P: inside a block \(class [0-9]+, [0-9]+ bytes, block at %Q\)
#include "misuse.h"

int main(void) {
    char *p = malloc(12000);
    announce('P', moved(p, 16));
    announce('Q', p);
    free(moved(p, 16));
    return 0;
}
