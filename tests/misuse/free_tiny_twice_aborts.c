// A tiny block freed twice in a row: the block is the head of its bin.
// expect: hakmem: double free of %P \(class [0-9]+, 64 bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(64);
    announce('P', p);
    free(hide(p));
    free(hide(p));
    return 0;
}
