// A large block written past its slack, into the memory of a block freed just now: the line names the block that
// was overrun.
// expect: hakmem: heap overflow past %P \(large, 100000 bytes\): 0x[0-9a-f]+ was written to
// hardened: hakmem: heap overflow past %P \(guarded, [0-9]+ bytes\): (access to 0x[0-9a-f]+|byte [0-9]+ was written to)
#include "misuse.h"

int main(void) {
    void *blocks[4];
    malloc_many(blocks, 4, 100000);
    announce('P', blocks[0]);
    free(hide(blocks[1]));
    size_t room = (size_t)((char *)blocks[1] - (char *)blocks[0]);
    memset(moved(blocks[0], 100000), 'a', room - 100000 + 32);
    free(hide(blocks[0]));
    free(hide(blocks[2]));
    return 0;
}
