// A tiny block freed again after the bin overflowed and sent blocks home, other blocks still live.
// expect: hakmem: double free of %P \(class [0-9]+, 64 bytes\)
#include "misuse.h"

#define COUNT 20000

int main(void) {
    static void *blocks[COUNT];
    malloc_many(blocks, COUNT, 64);
    void *p = blocks[1001];
    announce('P', p);
    // Every second block stays live, so no slab runs empty.
    for (size_t i = 1; i < COUNT; i += 2) {
        free(hide(blocks[i]));
    }
    free(hide(p));
    return 0;
}
