// A callback of hak_heap_visit() that allocates, though the thread's bin has a block.
// expect: hakmem: malloc or free in a callback of hak_heap_visit
#include "misuse.h"

#include "../../include/hakmem.h"

#pragma weak hak_heap_visit

static int allocate(const hak_visit_t *what, void *arg) {
    (void)what;
    *(void **)arg = malloc(100);
    return 0;
}

int main(void) {
    void *p = malloc(64);
    free(malloc(100));
    if (hak_heap_visit == NULL) {
        return 3;
    }
    hak_heap_visit(allocate, &p);
    return 0;
}
