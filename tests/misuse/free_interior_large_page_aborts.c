// A pointer 16 pages into a large block of a shared mapping.
// expect: hakmem: invalid free of %P: inside a large block \(block at %Q, [0-9]+ bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(200000);
    announce('P', moved(p, 65536));
    announce('Q', p);
    free(moved(p, 65536));
    return 0;
}
