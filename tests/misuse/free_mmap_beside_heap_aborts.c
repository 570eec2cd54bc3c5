// Memory that the program mapped in the first free 2 MiB unit above a heap block: inside the
// address window, yet not the allocator's.
// expect: hakmem: invalid free of %P: not allocated by hakmem
#include "misuse.h"

#include <sys/mman.h>

#define UNIT ((uintptr_t)2 << 20)

int main(void) {
    void *block = malloc(64);
    uintptr_t unit = ((uintptr_t)block + UNIT) & ~(UNIT - 1);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    void *p = MAP_FAILED;
    for (int i = 0; i < 1000 && p == MAP_FAILED; i++, unit += UNIT) {
        p = mmap((void *)unit, UNIT, PROT_READ | PROT_WRITE, flags, -1, 0);
    }
    if (p == MAP_FAILED) {
        return 2;
    }
    announce('P', p);
    free(hide(p));
    return 0;
}
