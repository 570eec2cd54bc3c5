// A byte in front of a sampled block written to, noticed when it is freed.
// env: HAKMEM_GUARD_SAMPLE=1 HAKMEM_HARDEN=0
// expect: hakmem: heap underflow before %P \(guarded, 100 bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(100);
    announce('P', p);
    *(volatile char *)moved(p, -1) = 0;
    free(hide(p));
    return 0;
}
