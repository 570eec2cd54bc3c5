// A mid-size block freed twice in a row.
// expect: hakmem: double free of %P \(class [0-9]+, [0-9]+ bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(8000);
    announce('P', p);
    free(hide(p));
    free(hide(p));
    return 0;
}
