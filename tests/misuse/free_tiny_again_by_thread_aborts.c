// A tiny block freed by its owner, then by another thread.
// expect: hakmem: double free of %P \(class [0-9]+, 64 bytes\)
#include "misuse.h"

int main(void) {
    void *blocks[10];
    malloc_many(blocks, 10, 64);
    announce('P', blocks[5]);
    free(hide(blocks[5]));
    free_in_thread(blocks[5]);
    return 0;
}
