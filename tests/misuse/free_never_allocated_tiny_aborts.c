// The address a few strides behind the only block of its class: a stride boundary of a live slab
// that no malloc has handed out.
// The hit path of free() cannot tell it from a live block; it is told when the bin goes home.
// expect: hakmem: (double free of %P \(.*\)|invalid free of %P: .*)
#include "misuse.h"

#include <malloc.h>

int main(void) {
    void *p = malloc(900);
    size_t stride = malloc_usable_size(p);
    stride = (stride + 15) & ~(size_t)15;
    announce('P', moved(p, (intptr_t)(4 * stride)));
    free(moved(p, (intptr_t)(4 * stride)));
    malloc_trim(0);
    return 0;
}
