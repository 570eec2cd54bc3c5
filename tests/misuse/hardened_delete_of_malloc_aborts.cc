// env: HAKMEM_HARDEN=1
// expect: hakmem: invalid operator delete of %P: allocated by malloc \(class [0-9]+, 100 bytes\)
#include "misuse.h"

int main() {
    void *p = malloc(100);
    announce('P', p);
    ::operator delete(hide(p));
    return 0;
}
