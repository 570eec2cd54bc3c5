// A sampled block overrun by a few bytes, noticed by realloc.
// env: HAKMEM_GUARD_SAMPLE=1 HAKMEM_HARDEN=0
// expect: hakmem: heap overflow past %P \(guarded, 100 bytes\): byte 107 was written to
#include "misuse.h"

int main(void) {
    void *p = malloc(100);
    announce('P', p);
    *(volatile char *)moved(p, 107) = 1;
    return realloc(hide(p), 5000) != NULL;
}
