// malloc_usable_size of a sampled block that was freed.
// env: HAKMEM_GUARD_SAMPLE=1 HAKMEM_HARDEN=0
// expect: hakmem: use after free: malloc_usable_size of %P \(guarded, 100 bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(100);
    announce('P', p);
    free(hide(p));
    return malloc_usable_size(hide(p)) != 0;
}
