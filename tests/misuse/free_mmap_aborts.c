// Memory of the program's own mmap.
// expect: hakmem: invalid free of %P: not allocated by hakmem
#include "misuse.h"

#include <sys/mman.h>

int main(void) {
    void *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return 2;
    }
    announce('P', p);
    free(hide(p));
    return 0;
}
