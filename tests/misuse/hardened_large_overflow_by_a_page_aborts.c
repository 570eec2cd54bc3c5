// env: HAKMEM_HARDEN=1
// expect: hakmem: heap overflow past %P \(guarded, 100000 bytes\): access to 0x[0-9a-f]+
#include "misuse.h"

int main(void) {
    char *p = malloc(100000);
    announce('P', p);
    *(volatile char *)moved(p, 100000 + 4000) = 0;
    return 0;
}
