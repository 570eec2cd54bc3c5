// A block of no bytes holds none.
// env: HAKMEM_HARDEN=1
// expect: hakmem: heap overflow past %P \(class [0-9]+, 0 bytes\): byte 0 was written to
#include "misuse.h"

int main(void) {
    char *p = malloc((size_t)(uintptr_t)hide(NULL));
    announce('P', p);
    *(volatile char *)moved(p, 0) = 'x';
    free(hide(p));
    return 0;
}
