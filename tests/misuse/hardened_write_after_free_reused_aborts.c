// Found when the block is to be handed out again.
// env: HAKMEM_HARDEN=1
// expect: hakmem: use after free: %P was written to at 0x[0-9a-f]+ after it was freed \(class [0-9]+, [0-9]+ bytes\)
#include "misuse.h"

int main(void) {
    char *p = malloc(5000);
    announce('P', p);
    free(hide(p));
    *(volatile char *)moved(p, 4000) = 0;
    for (int i = 0; i < 10000; i++) {
        free(malloc(5000));
    }
    _exit(0);
}
