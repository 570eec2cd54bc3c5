// A mid-size block freed by another thread, then by its owner.
// expect: hakmem: double free of %P \(class [0-9]+, [0-9]+ bytes\)
#include "misuse.h"

int main(void) {
    void *blocks[10];
    malloc_many(blocks, 10, 4000);
    announce('P', blocks[5]);
    free_in_thread(blocks[5]);
    free(hide(blocks[5]));
    return 0;
}
