// malloc_usable_size of a block's address plus 1.
// expect: hakmem: invalid malloc_usable_size of %P: misaligned pointer
#include "misuse.h"

int main(void) {
    void *p = malloc(64);
    announce('P', moved(p, 1));
    return malloc_usable_size(moved(p, 1)) == 0;
}
