// A pointer inside a sampled block freed.
// env: HAKMEM_GUARD_SAMPLE=1 HAKMEM_HARDEN=0
// expect: hakmem: invalid free of %Q: inside a block \(guarded, 100 bytes, block at %P\)
#include "misuse.h"

int main(void) {
    void *p = malloc(100);
    announce('P', p);
    announce('Q', moved(p, 32));
    free(moved(p, 32));
    return 0;
}
