// A block of calloc freed twice.
// expect: hakmem: double free of %P \(class [0-9]+, 96 bytes\)
#include "misuse.h"

int main(void) {
    void *p = calloc(6, 16);
    announce('P', p);
    free(hide(p));
    free(hide(p));
    return 0;
}
