// Found in quarantine, when the program ends.
// env: HAKMEM_HARDEN=1
// expect: hakmem: use after free: %P was written to at 0x[0-9a-f]+ after it was freed \(class [0-9]+, [0-9]+ bytes\)
#include "misuse.h"

int main(void) {
    char *p = malloc(100);
    announce('P', p);
    free(hide(p));
    *(volatile char *)moved(p, 40) = 0;
    return 0;
}
