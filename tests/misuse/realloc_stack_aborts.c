// realloc of a variable of the stack.
// expect: hakmem: invalid realloc of %P: not allocated by hakmem
#include "misuse.h"

int main(void) {
    _Alignas(16) char local[64] = {0};
    announce('P', local);
    return realloc(hide(local), 500) == NULL;
}
