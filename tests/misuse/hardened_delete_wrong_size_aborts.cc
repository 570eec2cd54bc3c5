// env: HAKMEM_HARDEN=1
// expect: hakmem: invalid operator delete of %P: the size given is 99 \(class [0-9]+, 100 bytes\)
#include "misuse.h"

int main() {
    void *p = ::operator new(100);
    announce('P', p);
    ::operator delete(hide(p), static_cast<size_t>(99));
    return 0;
}
