// A page-aligned pointer into a 20,000-byte block.
// expect: hakmem: invalid free of %P: inside a block \(class [0-9]+, [0-9]+ bytes, block at %Q\)
#include "misuse.h"

int main(void) {
    char *p = malloc(20000);
    char *page = (char *)(((uintptr_t)p + 8192) & ~(uintptr_t)4095);
    announce('P', page);
    announce('Q', p);
    free(hide(page));
    return 0;
}
