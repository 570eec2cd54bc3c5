// A pointer 4 MiB into a block of 8 MiB: another 2 MiB unit of the address window.
// expect: hakmem: invalid free of %P: inside a large block \(block at %Q, [0-9]+ bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc((size_t)8 << 20);
    announce('P', moved(p, 4 << 20));
    announce('Q', p);
    free(moved(p, 4 << 20));
    return 0;
}
