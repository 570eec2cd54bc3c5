// A pointer 16 bytes into a large block.
// expect: hakmem: invalid free of %P: inside a large block \(block at %Q, [0-9]+ bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(100000);
    announce('P', moved(p, 16));
    announce('Q', p);
    free(moved(p, 16));
    return 0;
}
