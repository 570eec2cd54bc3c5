// env: HAKMEM_HARDEN=1
// expect: hakmem: heap overflow past %P \(class [0-9]+, 5000 bytes\): byte 5000 was written to
#include "misuse.h"

int main(void) {
    char *p = malloc(5000);
    announce('P', p);
    *(volatile char *)moved(p, 5000) = 'x';
    return malloc_usable_size(hide(p)) == 0;
}
