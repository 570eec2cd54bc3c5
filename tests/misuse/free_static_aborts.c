// A static array.
// expect: hakmem: invalid free of %P: not allocated by hakmem
#include "misuse.h"

static _Alignas(16) char array[64] = "static";

int main(void) {
    announce('P', array);
    free(hide(array));
    return 0;
}
