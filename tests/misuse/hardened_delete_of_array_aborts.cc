// env: HAKMEM_HARDEN=1
// expect: hakmem: invalid operator delete of %P: allocated by operator new\[\] \(class [0-9]+, 100 bytes\)
#include "misuse.h"

int main() {
    void *p = ::operator new[](100);
    announce('P', p);
    ::operator delete(hide(p));
    return 0;
}
