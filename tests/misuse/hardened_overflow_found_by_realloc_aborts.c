// env: HAKMEM_HARDEN=1
// expect: hakmem: heap overflow past %P \(class [0-9]+, 100 bytes\): byte 101 was written to
#include "misuse.h"

int main(void) {
    char *p = malloc(100);
    announce('P', p);
    *(volatile char *)moved(p, 101) = 'x';
    return realloc(hide(p), 50) == NULL;
}
