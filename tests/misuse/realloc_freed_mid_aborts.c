// realloc of a freed mid-size block.
// expect: hakmem: use after free: realloc of %P \((class .* bytes|memory already returned)\)
#include "misuse.h"

int main(void) {
    void *p = malloc(5000);
    announce('P', p);
    free(hide(p));
    return realloc(hide(p), 9000) == NULL;
}
