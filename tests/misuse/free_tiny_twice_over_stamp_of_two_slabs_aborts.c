// As in free_tiny_twice_over_stamp_aborts.c, and the circle leads through two slabs.
// expect: hakmem: double free: a block came home twice, near 0x[0-9a-f]+ \(class [0-9]+, 1040 bytes\)
// hardened: hakmem: double free of 0x[0-9a-f]+ \(class [0-9]+, [0-9]+ bytes\)
#include "misuse.h"

int main(void) {
    void *blocks[70]; /* 63 fill a slab */
    malloc_many(blocks, 70, 1024);
    for (int i = 0; i < 3; i++) {
        free(hide(blocks[i]));
        free(hide(blocks[69 - i]));
    }
    memset((char *)hide(blocks[1]) + 8, 0, 8);
    free(hide(blocks[1]));
    (void)malloc_trim(0);
    return 0;
}
