// Between the block and the page that nobody can touch.
// env: HAKMEM_HARDEN=1
// expect: hakmem: heap overflow past %P \(guarded, 100001 bytes\): byte 100001 was written to
#include "misuse.h"

int main(void) {
    char *p = malloc(100001);
    announce('P', p);
    *(volatile char *)moved(p, 100001) = 0;
    free(hide(p));
    return 0;
}
