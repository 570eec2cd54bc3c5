// A block too large for any cache freed twice: its mapping is returned.
// expect: hakmem: double free of %P \((large, [0-9]+ bytes|memory already returned)\)
#include "misuse.h"

int main(void) {
    void *p = malloc((size_t)1 << 30);
    announce('P', p);
    free(hide(p));
    free(hide(p));
    return 0;
}
