// A large block written past its slack, into the memory of the next one, which was freed: the line names the
// block that was overrun.
// expect: hakmem: heap overflow past %P \(large, 200000 bytes\): 0x[0-9a-f]+ was written to
// hardened: hakmem: heap overflow past %P \(guarded, [0-9]+ bytes\): (access to 0x[0-9a-f]+|byte [0-9]+ was written to)
#include "misuse.h"

int main(void) {
    void *blocks[4];
    malloc_many(blocks, 4, 200000);
    announce('P', blocks[0]);
    free(hide(blocks[1]));
    size_t room = (size_t)((char *)blocks[1] - (char *)blocks[0]);
    memset(moved(blocks[0], 200000), 'a', room - 200000 + 32);
    free(hide(blocks[0]));
    free(hide(blocks[2]));
    return 0;
}
