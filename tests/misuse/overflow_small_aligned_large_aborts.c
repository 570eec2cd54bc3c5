// One byte behind a small block of a large alignment, in the line where what is free is stamped:
// found when it is freed.
// expect: hakmem: heap overflow past %P \(large, 5 bytes\): %Q was written to
// hardened: hakmem: heap overflow past %P \(guarded, [0-9]+ bytes\): (access to 0x[0-9a-f]+|byte [0-9]+ was written to)
#include "misuse.h"

int main(void) {
    char *p = aligned_alloc(65536, 5);
    announce('P', p);
    announce('Q', moved(p, 5));
    *(char *)moved(p, 5) = 'a';
    free(hide(p));
    return 0;
}
