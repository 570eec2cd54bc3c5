// malloc_usable_size of a pointer 16 bytes into a 64-byte block.
// expect: hakmem: invalid malloc_usable_size of %P: inside a block \(class .*, block at %Q\)
#include "misuse.h"

int main(void) {
    void *p = malloc(64);
    announce('P', moved(p, 16));
    announce('Q', p);
    return malloc_usable_size(moved(p, 16)) == 0;
}
