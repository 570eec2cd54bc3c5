// env: HAKMEM_HARDEN=1
// expect: hakmem: use after free of %P \(guarded, 100000 bytes\): access to 0x[0-9a-f]+
#include "misuse.h"

int main(void) {
    char *p = malloc(100000);
    announce('P', p);
    free(hide(p));
    return *(volatile char *)moved(p, 50000);
}
