// realloc of a sampled block that was freed.
// env: HAKMEM_GUARD_SAMPLE=1 HAKMEM_HARDEN=0
// expect: hakmem: use after free: realloc of %P \(guarded, 100 bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(100);
    announce('P', p);
    free(hide(p));
    return realloc(hide(p), 200) != NULL;
}
