// A string's end written behind a large block whose memory was in use before.
// expect: hakmem: heap overflow past %P \(large, 100000 bytes\): %Q was written to
// hardened: hakmem: heap overflow past %P \(guarded, [0-9]+ bytes\): (access to 0x[0-9a-f]+|byte [0-9]+ was written to)
#include "misuse.h"

int main(void) {
    void *block;
    malloc_many(&block, 1, 101000);
    free(hide(block));
    char *p = malloc(100000);
    announce('P', p);
    announce('Q', moved(p, 100000));
    *(char *)moved(p, 100000) = '\0';
    free(hide(p));
    return 0;
}
