// A pointer 16 bytes into a block of aligned_alloc.
// expect: hakmem: invalid free of %P: inside a block \(class .*, block at 0x[0-9a-f]+\)
#include "misuse.h"

int main(void) {
    void *p = aligned_alloc(64, 256);
    announce('P', moved(p, 16));
    free(moved(p, 16));
    return 0;
}
