// A large block with a large alignment freed twice.
// expect: hakmem: double free of %P \((large, [0-9]+ bytes|memory already returned)\)
#include "misuse.h"

int main(void) {
    void *p = aligned_alloc((size_t)4 << 20, (size_t)4 << 20);
    announce('P', p);
    free(hide(p));
    free(hide(p));
    return 0;
}
