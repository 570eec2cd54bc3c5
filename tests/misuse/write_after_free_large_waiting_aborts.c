// A large block freed just now and written to: found when the next of its size is to get its memory.
// expect: hakmem: use after free: %Q was written to after it was freed \(in [0-9]+ free bytes at %P\)
// hardened: hakmem: use after free of %P \(guarded, [0-9]+ bytes\): access to 0x[0-9a-f]+
#include "misuse.h"

int main(void) {
    void *blocks[3];
    malloc_many(blocks, 3, 100000);
    announce('P', blocks[1]);
    announce('Q', moved(blocks[1], 8));
    free(hide(blocks[1]));
    memset(moved(blocks[1], 8), 'a', 8);
    return malloc(100000) == NULL;
}
