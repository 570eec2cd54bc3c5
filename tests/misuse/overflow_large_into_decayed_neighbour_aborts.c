// A large block written past its slack where the freed neighbour's memory is about to be given back for its age.
// expect: hakmem: heap overflow past %P \(large, 40000 bytes\): 0x[0-9a-f]+ was written to
// env: HAKMEM_DECAY_MS=20
#include "misuse.h"

int main(void) {
    void *blocks[8];
    malloc_many(blocks, 8, 40000);
    announce('P', blocks[3]);
    free(hide(blocks[4]));
    if (malloc(300000) == NULL) { // another size: the freed block waits no more
        return 1;
    }
    size_t room = (size_t)((char *)blocks[4] - (char *)blocks[3]);
    memset(moved(blocks[3], 40000), 'a', room - 40000 + 32);
    usleep(100000);
    free(hide(blocks[3]));
    return 0;
}
