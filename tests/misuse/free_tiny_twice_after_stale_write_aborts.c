// A tiny block freed, written to through a stale pointer behind link and stamp, freed again.
// expect: hakmem: double free of %P \(class [0-9]+, 64 bytes\)
#include "misuse.h"

int main(void) {
    void *blocks[8];
    malloc_many(blocks, 8, 64);
    char *p = blocks[3];
    announce('P', p);
    free(hide(p));
    memset((char *)hide(p) + 16, 0x77, 48);
    free(hide(p));
    return 0;
}
