// A string literal, which stands at any alignment.
// expect: hakmem: invalid free of %P: (misaligned pointer|not allocated by hakmem)
#include "misuse.h"

int main(void) {
    const char *literal = "a string literal";
    announce('P', literal);
    free(hide(literal));
    return 0;
}
