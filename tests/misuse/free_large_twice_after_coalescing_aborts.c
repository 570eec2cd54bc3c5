// A large block freed again after its neighbours were freed: its run is part of a longer free run.
// expect: hakmem: double free of %P \((large, [0-9]+ bytes|memory already returned)\)
#include "misuse.h"

int main(void) {
    void *blocks[12];
    malloc_many(blocks, 12, 100000);
    announce('P', blocks[5]);
    free_many(blocks + 2, 8);
    free(hide(blocks[5]));
    return 0;
}
