// A read far beyond a sampled block.
// env: HAKMEM_GUARD_SAMPLE=1 HAKMEM_HARDEN=0
// expect: hakmem: heap overflow past %P \(guarded, 100 bytes\): access to 0x[0-9a-f]+
#include "misuse.h"

int main(void) {
    void *p = malloc(100);
    announce('P', p);
    (void)*(volatile char *)moved(p, 300);
    return 0;
}
