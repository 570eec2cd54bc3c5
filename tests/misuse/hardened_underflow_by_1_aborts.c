// The byte in front of a block.
// env: HAKMEM_HARDEN=1
// expect: hakmem: heap (underflow before %P \(class [0-9]+, 100 bytes\)|overflow past 0x[0-9a-f]+ .*)
#include "misuse.h"

int main(void) {
    char *p = malloc(100);
    announce('P', p);
    *(volatile char *)moved(p, -1) = 0;
    free(hide(p));
    return 0;
}
