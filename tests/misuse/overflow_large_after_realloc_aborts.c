// Bytes behind a large block that was made smaller where it stands: what is behind it was its own.
// expect: hakmem: heap overflow past %P \(large, 90000 bytes\): %Q was written to
// hardened: hakmem: heap overflow past %P \(guarded, [0-9]+ bytes\): (access to 0x[0-9a-f]+|byte [0-9]+ was written to)
#include "misuse.h"

int main(void) {
    void *block;
    malloc_many(&block, 1, 90100);
    char *p = realloc(hide(block), 90000);
    announce('P', p);
    announce('Q', moved(p, 90000));
    *(char *)moved(p, 90000) = 'a';
    free(hide(p));
    return 0;
}
