// realloc of a pointer one page into a large block.
// expect: hakmem: invalid realloc of %P: inside a large block \(block at %Q, [0-9]+ bytes\)
#include "misuse.h"

int main(void) {
    void *p = malloc(100000);
    announce('P', moved(p, 4096));
    announce('Q', p);
    return realloc(moved(p, 4096), 200000) == NULL;
}
