// A pointer 16 bytes into a 64-byte block.
// expect: hakmem: invalid free of %P: inside a block \(class [0-9]+, 64 bytes, block at %Q\)
#include "misuse.h"

int main(void) {
    void *p = malloc(64);
    announce('P', moved(p, 16));
    announce('Q', p);
    free(moved(p, 16));
    return 0;
}
