// A large block written to after it was freed: found when the block before it is freed too.
// expect: hakmem: use after free: %P was written to after it was freed \(in [0-9]+ free bytes at %P\)
// hardened: hakmem: use after free of %P \(guarded, [0-9]+ bytes\): access to 0x[0-9a-f]+
#include "misuse.h"

int main(void) {
    void *blocks[4];
    malloc_many(blocks, 4, 200000);
    announce('P', blocks[1]);
    free(hide(blocks[1]));
    *(char *)hide(blocks[1]) = 'a';
    free(hide(blocks[0]));
    free(hide(blocks[2]));
    return 0;
}
