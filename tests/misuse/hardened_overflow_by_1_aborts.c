// One byte behind the size that was asked for.
// env: HAKMEM_HARDEN=1
// expect: hakmem: heap overflow past %P \(class [0-9]+, 100 bytes\): byte 100 was written to
#include "misuse.h"

int main(void) {
    char *p = malloc(100);
    announce('P', p);
    *(volatile char *)moved(p, 100) = 0;
    free(hide(p));
    return 0;
}
