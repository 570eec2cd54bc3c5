// The largest mid request freed twice.
// expect: hakmem: double free of %P \((class [0-9]+, 32768 bytes|memory already returned)\)
// hardened: hakmem: double free of %P \(guarded, 32768 bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(32768);
    announce('P', p);
    free(hide(p));
    free(hide(p));
    return 0;
}
