// The start of a sampled block's run, where no block is, freed.
// env: HAKMEM_GUARD_SAMPLE=1 HAKMEM_HARDEN=0
// expect: hakmem: invalid free of %Q: inside a block \(guarded, 100 bytes, block at %P\)
#include "misuse.h"

int main(void) {
    void *p = malloc(100);
    announce('P', p);
    void *run = hide((void *)(((uintptr_t)p & ~(uintptr_t)4095) - 4096));
    announce('Q', run);
    free(run);
    return 0;
}
