// realloc of a freed large block.
// expect: hakmem: use after free: realloc of %P \((large, [0-9]+ bytes|memory already returned)\)
#include "misuse.h"

int main(void) {
    void *p = malloc(100000);
    announce('P', p);
    free(hide(p));
    return realloc(hide(p), 200000) == NULL;
}
