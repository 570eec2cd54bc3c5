// An object of the program's own allocator, carved from an mmap of 32 MiB.
// expect: hakmem: invalid free of %P: not allocated by hakmem
#include "misuse.h"

#include <sys/mman.h>

typedef struct {
    char *next;
    char *end;
} arena_t;

static void *arena_alloc(arena_t *arena, size_t size) {
    size_t bytes = (size + 15) & ~(size_t)15;
    if ((size_t)(arena->end - arena->next) < bytes) {
        return NULL;
    }
    void *p = arena->next;
    arena->next += bytes;
    return p;
}

int main(void) {
    size_t bytes = (size_t)32 << 20;
    char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        return 2;
    }
    arena_t arena = {base, base + bytes};
    void *p = NULL;
    for (int i = 0; i < 100000; i++) {
        p = arena_alloc(&arena, 64);
        memset(p, 0x5a, 64);
    }
    announce('P', p);
    free(hide(p));
    return 0;
}
