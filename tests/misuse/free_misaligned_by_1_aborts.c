// A block's address plus 1.
// expect: hakmem: invalid free of %P: misaligned pointer
#include "misuse.h"

int main(void) {
    void *p = malloc(64);
    announce('P', moved(p, 1));
    free(moved(p, 1));
    return 0;
}
