// The block is never freed: it is looked at when the program ends.
// env: HAKMEM_HARDEN=1
// expect: hakmem: heap overflow past %P \(class [0-9]+, 100 bytes\): byte 100 was written to
#include "misuse.h"

int main(void) {
    char *p = malloc(100);
    announce('P', p);
    *(volatile char *)moved(p, 100) = 'x';
    return 0;
}
