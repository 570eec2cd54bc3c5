// Between blocks that were handed out, one that never was.
// env: HAKMEM_HARDEN=1
// expect: hakmem: invalid free of %P: not allocated by hakmem
#include "misuse.h"

int main(void) {
    char *p = malloc(3000); // the first block of the slab is never used
    void *base = (void *)((uintptr_t)hide(p) & ~(uintptr_t)65535);
    announce('P', base);
    free(base);
    return 0;
}
