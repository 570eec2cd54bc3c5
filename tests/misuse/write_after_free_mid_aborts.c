// A mid block written to after it was freed: found when it is to be handed out again.
// expect: hakmem: free list is corrupt: %P was written to after it was freed \(class [0-9]+, 21760 bytes\)
// hardened: hakmem: use after free: %P was written to at 0x[0-9a-f]+ after it was freed \(class [0-9]+, [0-9]+ bytes\)
#include "misuse.h"

int main(void) {
    void *blocks[8];
    malloc_many(blocks, 8, 20000);
    char *p = blocks[3];
    announce('P', p);
    free(hide(p));
    memset(moved(p, 8), 0, 100);
    return malloc(20000) == NULL;
}
