// A large block with a mapping of its own freed twice: the mapping may be cached or gone.
// expect: hakmem: double free of %P \((large, [0-9]+ bytes|memory already returned)\)
#include "misuse.h"

int main(void) {
    void *p = malloc((size_t)8 << 20);
    announce('P', p);
    free(hide(p));
    free(hide(p));
    return 0;
}
