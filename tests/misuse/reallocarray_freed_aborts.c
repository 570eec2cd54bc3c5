// reallocarray of a freed block.
// expect: hakmem: use after free: realloc(array)? of %P \(class [0-9]+, 64 bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(64);
    announce('P', p);
    free(hide(p));
    return reallocarray(hide(p), 10, 50) == NULL;
}
