// A read of a sampled block that was freed.
// env: HAKMEM_GUARD_SAMPLE=1 HAKMEM_HARDEN=0
// expect: hakmem: use after free of %P \(guarded, 100 bytes\): access to %P
#include "misuse.h"

int main(void) {
    void *p = malloc(100);
    announce('P', p);
    free(hide(p));
    (void)*(volatile char *)hide(p);
    return 0;
}
