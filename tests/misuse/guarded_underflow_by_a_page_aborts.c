// A store a page in front of a sampled block.
// env: HAKMEM_GUARD_SAMPLE=1 HAKMEM_HARDEN=0
// expect: hakmem: heap underflow before %P \(guarded, 100 bytes\): access to 0x[0-9a-f]+
#include "misuse.h"

int main(void) {
    void *p = malloc(100);
    announce('P', p);
    *(volatile char *)moved(p, -4096) = 0;
    return 0;
}
