// The aligned operator delete twice on one object.
// expect: hakmem: double free of %P \((class [0-9]+, [0-9]+ bytes|memory already returned)\)
#include "misuse.h"

struct alignas(128) line_pair {
    char bytes[128];
};

int main() {
    line_pair *p = new line_pair;
    announce('P', p);
    delete static_cast<line_pair *>(hide(p));
    delete static_cast<line_pair *>(hide(p));
    return 0;
}
