// realloc of a freed tiny block to its own size: nothing would have to move.
// expect: hakmem: use after free: realloc of %P \(class [0-9]+, 64 bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(64);
    announce('P', p);
    free(hide(p));
    return realloc(hide(p), 64) == NULL;
}
