// A block of posix_memalign freed twice.
// expect: hakmem: double free of %P \((class [0-9]+, [0-9]+ bytes|memory already returned)\)
#include "misuse.h"

int main(void) {
    void *p = NULL;
    if (posix_memalign(&p, 256, 700) != 0) {
        return 2;
    }
    announce('P', p);
    free(hide(p));
    free(hide(p));
    return 0;
}
