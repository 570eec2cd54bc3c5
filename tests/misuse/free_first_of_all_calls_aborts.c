// An invalid free by a program that has not allocated anything: the allocator may be uninitialised.
// expect: hakmem: invalid free of 0x400000000: not allocated by hakmem
#include "misuse.h"

int main(void) {
    free(hide((void *)(uintptr_t)0x400000000));
    return 0;
}
