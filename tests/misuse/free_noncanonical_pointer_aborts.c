// An address that no x86-64 or arm64 process can hold.
// expect: hakmem: invalid free of 0xdead000000000010: not allocated by hakmem
#include "misuse.h"

int main(void) {
    free(hide((void *)(uintptr_t)0xdead000000000010));
    return 0;
}
