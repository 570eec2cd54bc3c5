// A pointer 32 bytes into a block that is free already.
// expect: hakmem: invalid free of %P: inside a block \(class [0-9]+, 112 bytes, block at %Q\)
#include "misuse.h"

int main(void) {
    void *p = malloc(112);
    announce('P', moved(p, 32));
    announce('Q', p);
    free(hide(p));
    free(moved(p, 32));
    return 0;
}
