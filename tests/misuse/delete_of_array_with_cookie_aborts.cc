// delete on an array with destructors (delete[] was meant): the pointer stands 8 bytes behind the
// block's start, after the element count.
// expect: hakmem: invalid free of %P: misaligned pointer
#include "misuse.h"

struct counted {
    static volatile int alive;
    long value = 0;
    counted() {
        alive = alive + 1;
    }
    ~counted() {
        alive = alive - 1;
    }
};

volatile int counted::alive = 0;

int main() {
    counted *p = new counted[5];
    announce('P', p);
    delete static_cast<counted *>(hide(p));
    return 0;
}
