// malloc_usable_size of a freed block.
// expect: hakmem: (use after free: malloc_usable_size|invalid malloc_usable_size) of %P.*
#include "misuse.h"

int main(void) {
    void *p = malloc(64);
    announce('P', p);
    free(hide(p));
    return malloc_usable_size(hide(p)) == 0;
}
