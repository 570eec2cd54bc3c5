// env: HAKMEM_HARDEN=1
// expect: hakmem: invalid operator delete\[\] of %P: allocated by operator new \(guarded, 100000 bytes\)
#include "misuse.h"

int main() {
    void *p = ::operator new(100000);
    announce('P', p);
    ::operator delete[](hide(p));
    return 0;
}
