// A stale pointer freed after its memory may serve another class: whatever the slab holds now, the
// pointer is not the start of a live block.
// expect: hakmem: (double free of %P \(.*\)|invalid free of %P: (inside a|not allocated).*)
#include "misuse.h"

#define COUNT 20000

static void *stale[COUNT];
static void *fresh[COUNT];

static int is_live(const void *p) {
    for (size_t i = 0; i < COUNT; i++) {
        if (fresh[i] == p) {
            return 1;
        }
    }
    return 0;
}

int main(void) {
    malloc_many(stale, COUNT, 64);
    free_many(stale, COUNT);
    malloc_many(fresh, COUNT, 48);
    size_t i = COUNT / 2;
    while (i < COUNT && is_live(stale[i])) {
        i++;
    }
    if (i == COUNT) {
        return 2;
    }
    announce('P', stale[i]);
    free(hide(stale[i]));
    return 0;
}
