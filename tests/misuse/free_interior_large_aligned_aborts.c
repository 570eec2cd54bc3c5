// A pointer 4 KiB into a large block of aligned_alloc with a large alignment.
// expect: hakmem: invalid free of %P: inside a large block \(block at 0x[0-9a-f]+, [0-9]+ bytes\)
#include "misuse.h"

int main(void) {
    void *p = aligned_alloc((size_t)1 << 20, (size_t)3 << 20);
    announce('P', moved(p, 4096));
    free(moved(p, 4096));
    return 0;
}
