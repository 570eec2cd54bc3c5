// All blocks of a slab are free: its memory is nobody's.
// env: HAKMEM_HARDEN=1
// expect: hakmem: use after free, or a stray access: 0x[0-9a-f]+ is in memory of no block
#include "misuse.h"

int main(void) {
    enum { COUNT = 3000 };
    static char *blocks[COUNT];
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = malloc(1000);
    }
    for (int i = 0; i < COUNT; i++) {
        free(hide(blocks[i]));
    }
    unsigned sum = 0;
    for (int i = 0; i < COUNT; i++) {
        sum += *(volatile unsigned char *)moved(blocks[i], 8);
    }
    _exit(sum % 2);
}
