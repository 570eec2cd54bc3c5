// The first word of a freed block now leads into live memory, which is not handed out.
// expect: hakmem: free list is corrupt: %P was written to after it was freed \(class [0-9]+, 64 bytes\)
#include "misuse.h"

int main(void) {
    void *blocks[8];
    malloc_many(blocks, 8, 64);
    announce('P', blocks[5]);
    free(hide(blocks[3]));
    *(void **)hide(blocks[3]) = blocks[5];
    return malloc(64) == malloc(64);
}
