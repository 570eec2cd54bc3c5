// A tiny block freed, its second word overwritten through a stale pointer, freed again: its bin runs in a circle.
// expect: hakmem: double free: a block came home twice, near 0x[0-9a-f]+ \(class [0-9]+, 64 bytes\)
// hardened: hakmem: double free of 0x[0-9a-f]+ \(class [0-9]+, [0-9]+ bytes\)
#include "misuse.h"

int main(void) {
    void *blocks[8];
    malloc_many(blocks, 8, 64);
    for (int i = 0; i < 5; i++) {
        free(hide(blocks[i]));
    }
    memset((char *)hide(blocks[2]) + 8, 0, 8);
    free(hide(blocks[2]));
    (void)malloc_trim(0);
    return 0;
}
