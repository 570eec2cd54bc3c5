// malloc_usable_size of a variable of the stack.
// expect: hakmem: invalid malloc_usable_size of %P: not allocated by hakmem
#include "misuse.h"

int main(void) {
    _Alignas(16) char local[64] = {0};
    announce('P', local);
    return malloc_usable_size(hide(local)) == 0;
}
