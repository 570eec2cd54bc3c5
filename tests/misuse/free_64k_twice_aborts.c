// A large block inside a shared mapping freed twice.
// expect: hakmem: double free of %P \((large, [0-9]+ bytes|memory already returned)\)
#include "misuse.h"

int main(void) {
    void *p = malloc(65536);
    announce('P', p);
    free(hide(p));
    free(hide(p));
    return 0;
}
