// A sampled block freed twice.
// env: HAKMEM_GUARD_SAMPLE=1 HAKMEM_HARDEN=0
// expect: hakmem: double free of %P \(guarded, 100 bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(100);
    announce('P', p);
    free(hide(p));
    free(hide(p));
    return 0;
}
