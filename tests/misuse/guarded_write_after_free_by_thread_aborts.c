// A write to a sampled block that another thread freed.
// env: HAKMEM_GUARD_SAMPLE=1 HAKMEM_HARDEN=0
// expect: hakmem: use after free of %P \(guarded, 100 bytes\): access to 0x[0-9a-f]+
#include "misuse.h"

int main(void) {
    void *p = malloc(100);
    announce('P', p);
    free_in_thread(p);
    *(volatile char *)moved(p, 99) = 1;
    return 0;
}
