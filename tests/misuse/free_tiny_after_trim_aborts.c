// 100,000 blocks allocated, freed and trimmed, their memory given back; one freed again.
// expect: hakmem: double free of %P \((class [0-9]+, 64 bytes|memory already returned)\)
#include "misuse.h"

#define COUNT 100000

int main(void) {
    static void *blocks[COUNT];
    malloc_many(blocks, COUNT, 64);
    announce('P', blocks[COUNT / 2]);
    free_many(blocks, COUNT);
    malloc_trim(0);
    free(hide(blocks[COUNT / 2]));
    return 0;
}
