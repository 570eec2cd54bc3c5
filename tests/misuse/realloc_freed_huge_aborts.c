// realloc of a freed block that had a mapping of its own.
// expect: hakmem: use after free: realloc of %P \((large, [0-9]+ bytes|memory already returned)\)
#include "misuse.h"

int main(void) {
    void *p = malloc((size_t)8 << 20);
    announce('P', p);
    free(hide(p));
    return realloc(hide(p), (size_t)16 << 20) == NULL;
}
