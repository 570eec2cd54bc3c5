// The last 16 bytes of the address space.
// expect: hakmem: invalid free of 0xfffffffffffffff0: not allocated by hakmem
#include "misuse.h"

int main(void) {
    free(moved(NULL, -16));
    return 0;
}
