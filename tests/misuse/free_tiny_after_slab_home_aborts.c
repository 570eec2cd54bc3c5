// 100,000 blocks allocated and freed, so that slabs go back to the pool; one freed again.
// expect: hakmem: double free of %P \((class [0-9]+, 64 bytes|memory already returned)\)
#include "misuse.h"

#define COUNT 100000

int main(void) {
    static void *blocks[COUNT];
    malloc_many(blocks, COUNT, 64);
    announce('P', blocks[COUNT / 2]);
    free_many(blocks, COUNT);
    free(hide(blocks[COUNT / 2]));
    return 0;
}
