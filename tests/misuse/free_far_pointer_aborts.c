// A pointer far from any mapping of the allocator.
// expect: hakmem: invalid free of 0x7fff00000000: not allocated by hakmem
#include "misuse.h"

int main(void) {
    free(hide((void *)(uintptr_t)0x7fff00000000));
    return 0;
}
