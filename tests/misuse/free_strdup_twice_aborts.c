// A block that libc allocated for the program freed twice.
// expect: hakmem: double free of %P \(class [0-9]+, 32 bytes\)
#include "misuse.h"

int main(void) {
    void *p = strdup("twenty-eight bytes of string");
    announce('P', p);
    free(hide(p));
    free(hide(p));
    return 0;
}
