// A tiny block freed by its owner, then neighbours freed by another thread, then freed again.
// expect: hakmem: double free of %P \(class [0-9]+, 64 bytes\)
#include "misuse.h"

#define COUNT 400

static void *blocks[COUNT];

static void *free_the_others(void *unused) {
    (void)unused;
    for (size_t i = 1; i < COUNT; i += 2) {
        free(hide(blocks[i]));
    }
    return NULL;
}

int main(void) {
    malloc_many(blocks, COUNT, 64);
    announce('P', blocks[200]);
    free(hide(blocks[200]));
    in_thread(free_the_others, NULL);
    free(hide(blocks[200]));
    return 0;
}
