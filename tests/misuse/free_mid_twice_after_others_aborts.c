// A mid-size block freed again after other frees of its class, half of the class still live.
// expect: hakmem: double free of %P \(class [0-9]+, [0-9]+ bytes\)
#include "misuse.h"

#define COUNT 400

int main(void) {
    static void *blocks[COUNT];
    malloc_many(blocks, COUNT, 3000);
    announce('P', blocks[101]);
    for (size_t i = 1; i < COUNT; i += 2) {
        free(hide(blocks[i]));
    }
    free(hide(blocks[101]));
    return 0;
}
