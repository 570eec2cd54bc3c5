// One byte behind a large block in fresh memory: found when the block is freed.
// expect: hakmem: heap overflow past %P \(large, 100000 bytes\): %Q was written to
// hardened: hakmem: heap overflow past %P \(guarded, [0-9]+ bytes\): (access to 0x[0-9a-f]+|byte [0-9]+ was written to)
#include "misuse.h"

int main(void) {
    char *p = malloc(100000);
    announce('P', p);
    announce('Q', moved(p, 100000));
    memset(p, 'a', 100000);
    *(char *)moved(p, 100000) = 'a';
    free(hide(p));
    return 0;
}
