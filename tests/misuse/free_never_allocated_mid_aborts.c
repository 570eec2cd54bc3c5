// The address two strides behind the only mid-size block of its class.
// The hit path of free() cannot tell it from a live block; it is told when the bin goes home.
// expect: hakmem: (double free of %P \(.*\)|invalid free of %P: .*)
#include "misuse.h"

#include <malloc.h>

int main(void) {
    void *p = malloc(6000);
    size_t stride = malloc_usable_size(p);
    stride = (stride + 15) & ~(size_t)15;
    announce('P', moved(p, (intptr_t)(2 * stride)));
    free(moved(p, (intptr_t)(2 * stride)));
    malloc_trim(0);
    return 0;
}
