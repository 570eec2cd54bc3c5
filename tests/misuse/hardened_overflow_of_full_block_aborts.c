// A terminator behind a block without slack: it hits the header of the next.
// env: HAKMEM_HARDEN=1
// expect: hakmem: heap overflow past %P \(class [0-9]+, 111 bytes\): byte 111 was written to
#include "misuse.h"

int main(void) {
    char *p = malloc(111);
    announce('P', p);
    *(volatile char *)moved(p, 111) = 0;
    free(hide(p));
    return 0;
}
