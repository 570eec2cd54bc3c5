// The first word of a freed block now leads into live memory, which is not handed out.
// expect: hakmem: free list is corrupt: %P was written to after it was freed \(class [0-9]+, 64 bytes\)
// hardened: hakmem: use after free: 0x[0-9a-f]+ was written to at 0x[0-9a-f]+ after it was freed \(class [0-9]+, [0-9]+ bytes\)
#include "misuse.h"

int main(void) {
    void *blocks[8];
    malloc_many(blocks, 8, 64);
    announce('P', blocks[5]);
    free(hide(blocks[3]));
    *(void **)hide(blocks[3]) = blocks[5];
    return malloc(64) == malloc(64);
}
