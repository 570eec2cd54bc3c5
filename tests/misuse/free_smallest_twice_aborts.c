// malloc(0) freed twice: the smallest stride has no word to spare beside the link and the stamp.
// expect: hakmem: double free of %P \(class [0-9]+, 16 bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(0);
    announce('P', p);
    free(hide(p));
    free(hide(p));
    return 0;
}
