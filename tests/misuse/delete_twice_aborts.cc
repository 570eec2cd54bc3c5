// operator delete twice on one object.
// expect: hakmem: double free of %P \(class [0-9]+, 48 bytes\)
#include "misuse.h"

struct node {
    long words[6];
};

int main() {
    node *p = new node;
    announce('P', p);
    delete static_cast<node *>(hide(p));
    delete static_cast<node *>(hide(p));
    return 0;
}
