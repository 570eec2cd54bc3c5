// The largest tiny request freed twice.
// expect: hakmem: double free of %P \(class [0-9]+, 1040 bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(1024);
    announce('P', p);
    free(hide(p));
    free(hide(p));
    return 0;
}
