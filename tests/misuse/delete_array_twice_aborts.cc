// operator delete[] twice on one array.
// expect: hakmem: double free of %P \(class [0-9]+, 80 bytes\)
#include "misuse.h"

int main() {
    long *p = new long[10];
    announce('P', p);
    delete[] static_cast<long *>(hide(p));
    delete[] static_cast<long *>(hide(p));
    return 0;
}
