// Bytes behind a large block, which then is to grow.
// expect: hakmem: heap overflow past %P \(large, 100000 bytes\): %Q was written to
// hardened: hakmem: heap overflow past %P \(guarded, [0-9]+ bytes\): (access to 0x[0-9a-f]+|byte [0-9]+ was written to)
#include "misuse.h"

int main(void) {
    char *p = malloc(100000);
    announce('P', p);
    announce('Q', moved(p, 100031));
    *(char *)moved(p, 100031) = 'a';
    return realloc(hide(p), 200000) == NULL;
}
