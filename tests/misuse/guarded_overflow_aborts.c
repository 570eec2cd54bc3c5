// A sampled block overrun, byte by byte, up to the page behind it.
// env: HAKMEM_GUARD_SAMPLE=1 HAKMEM_HARDEN=0
// expect: hakmem: heap overflow past %P \(guarded, 100 bytes\): access to 0x[0-9a-f]+000
#include "misuse.h"

int main(void) {
    void *p = malloc(100);
    announce('P', p);
    for (volatile char *at = p;; at++) {
        *at = 1;
    }
}
