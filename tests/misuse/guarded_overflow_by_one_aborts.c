// A sampled block overrun by one byte, noticed when it is freed.
// env: HAKMEM_GUARD_SAMPLE=1 HAKMEM_HARDEN=0
// expect: hakmem: heap overflow past %P \(guarded, 100 bytes\): byte 100 was written to
#include "misuse.h"

int main(void) {
    void *p = malloc(100);
    announce('P', p);
    *(volatile char *)moved(p, 100) = 0;
    free(hide(p));
    return 0;
}
