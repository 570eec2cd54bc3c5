// realloc of a freed block to 0 bytes, which is a free.
// expect: hakmem: (use after free: realloc|double free) of %P \(class [0-9]+, 64 bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(64);
    announce('P', p);
    free(hide(p));
    return realloc(hide(p), 0) == NULL;
}
