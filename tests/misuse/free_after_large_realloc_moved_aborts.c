// The old pointer freed after realloc shrank a large block into a small one.
// expect: hakmem: double free of %P \((large, [0-9]+ bytes|memory already returned)\)
#include "misuse.h"

int main(void) {
    void *p = malloc(300000);
    announce('P', p);
    void *q = realloc(hide(p), 100);
    if (q == NULL || hide(q) == hide(p)) {
        return 2;
    }
    free(hide(p));
    return 0;
}
