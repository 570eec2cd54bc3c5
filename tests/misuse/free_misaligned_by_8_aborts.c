// A block's address plus 8.
// expect: hakmem: invalid free of %P: misaligned pointer
#include "misuse.h"

int main(void) {
    void *p = malloc(64);
    announce('P', moved(p, 8));
    free(moved(p, 8));
    return 0;
}
