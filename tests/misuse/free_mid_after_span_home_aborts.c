// 4,000 mid-size blocks allocated and freed, so that spans go back; then one freed again.
// expect: hakmem: double free of %P \((class [0-9]+, [0-9]+ bytes|memory already returned)\)
#include "misuse.h"

#define COUNT 4000

int main(void) {
    static void *blocks[COUNT];
    malloc_many(blocks, COUNT, 8000);
    announce('P', blocks[COUNT / 2]);
    free_many(blocks, COUNT);
    free(hide(blocks[COUNT / 2]));
    return 0;
}
