// A tiny block freed again after fifty frees of its class: it lies in the middle of its bin.
// expect: hakmem: double free of %P \(class [0-9]+, 64 bytes\)
#include "misuse.h"

int main(void) {
    void *blocks[100];
    malloc_many(blocks, 100, 64);
    announce('P', blocks[50]);
    free_many(blocks, 100);
    free(hide(blocks[50]));
    return 0;
}
