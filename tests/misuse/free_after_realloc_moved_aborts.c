// The old pointer freed after realloc moved the block.
// expect: hakmem: double free of %P \(class [0-9]+, 64 bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(64);
    announce('P', p);
    void *q = realloc(hide(p), 4096);
    if (q == NULL || hide(q) == hide(p)) {
        return 2;
    }
    free(hide(p));
    return 0;
}
