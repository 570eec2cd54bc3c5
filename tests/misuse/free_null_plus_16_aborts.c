// NULL plus 16: a member's address of an object that is not there.
// expect: hakmem: invalid free of 0x10: not allocated by hakmem
#include "misuse.h"

int main(void) {
    free(moved(NULL, 16));
    return 0;
}
