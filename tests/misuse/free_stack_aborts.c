// A variable of the stack.
// expect: hakmem: invalid free of %P: not allocated by hakmem
#include "misuse.h"

int main(void) {
    _Alignas(16) char local[64] = {0};
    announce('P', local);
    free(hide(local));
    return 0;
}
