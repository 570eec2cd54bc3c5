// A byte in front of a large block: found when the block before it is freed.
// expect: hakmem: heap underflow before %P: %Q was written to \(behind 0x[0-9a-f]+, large, 100000 bytes\)
// hardened: hakmem: heap underflow before %P \(guarded, [0-9]+ bytes\)(: access to 0x[0-9a-f]+)?
#include "misuse.h"

static int by_address(const void *a, const void *b) {
    const char *left = *(char *const *)a;
    const char *right = *(char *const *)b;
    return (left > right) - (left < right);
}

int main(void) {
    void *blocks[3];
    malloc_many(blocks, 3, 100000);
    qsort(blocks, 3, sizeof *blocks, by_address);
    announce('P', blocks[1]);
    announce('Q', moved(blocks[1], -1));
    *(char *)moved(blocks[1], -1) = 'a';
    free_many(blocks, 3);
    return 0;
}
