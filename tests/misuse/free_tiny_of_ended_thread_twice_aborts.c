// Blocks of a thread that has ended, one of them freed twice by the main thread.
// expect: hakmem: double free of %P \((class [0-9]+, 64 bytes|memory already returned)\)
#include "misuse.h"

static void *blocks[100];

static void *allocate(void *unused) {
    (void)unused;
    malloc_many(blocks, 100, 64);
    return NULL;
}

int main(void) {
    in_thread(allocate, NULL);
    announce('P', blocks[7]);
    free(hide(blocks[7]));
    free(hide(blocks[7]));
    return 0;
}
