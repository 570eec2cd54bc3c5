/* foreign.c: see foreign.h.
 *
 * A library loaded in a scope of its own binds to libc's malloc, and its blocks may end up here.
 * Giving one to libc is right; giving it a stray pointer would hide a bug behind a crash in libc.
 * So a pointer must look like a block of libc's before it is offered: libc's malloc must be in use
 * at all, and the pointer must lie in its heap (brk), or in the heap of another arena of its, or
 * carry the mark of a mapped chunk.
 *
 * Threads:   any; the symbols are looked up on each call, which is rare.
 */
#include "foreign.h"

#include <dlfcn.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

/* glibc's marks in the word before a block, and the alignment of its further arenas' heaps. */
#define IS_MAPPED 2U
#define OTHER_ARENA 4U
#define ARENA_HEAP_BYTES ((size_t)64 << 20)

typedef struct mallinfo2 libc_info_t;

/* POSIX makes dlsym's result convertible; C does not, hence the copy. */
#define LOOK_UP(name, pointer)                                                                     \
    do {                                                                                           \
        void *symbol_ = dlsym(RTLD_NEXT, name);                                                    \
        __builtin_memcpy(&(pointer), &symbol_, sizeof(pointer));                                   \
    } while (0)

static bool is_mapped(const void *p, size_t page) {
    unsigned char there;
    return mincore((void *)((uintptr_t)p & ~(uintptr_t)(page - 1)), 1, &there) == 0;
}

static bool is_libc_block(const void *p) {
    libc_info_t (*info)(void);
    LOOK_UP("mallinfo2", info);
    if (info == NULL || (uintptr_t)p % 16 != 0) {
        return false;
    }
    libc_info_t now = info();
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if ((now.arena == 0 && now.hblks == 0) || !is_mapped(p, page) ||
        !is_mapped((const size_t *)p - 1, page)) {
        return false;
    }
    size_t header = ((const size_t *)p)[-1];
    size_t chunk_bytes = header & ~(size_t)7;
    if ((header & IS_MAPPED) != 0) {
        return (header & 7) == IS_MAPPED && (uintptr_t)p % page == 16 && chunk_bytes % page == 0 &&
               chunk_bytes <= now.hblkhd;
    }
    if (chunk_bytes < 32 || chunk_bytes % 16 != 0 || chunk_bytes > now.arena) {
        return false;
    }
    if ((header & OTHER_ARENA) != 0) { /* its heap's head names its arena */
        const void *heap = (const void *)((uintptr_t)p & ~(uintptr_t)(ARENA_HEAP_BYTES - 1));
        return is_mapped(heap, page) && *(void *const *)heap != NULL;
    }
    uintptr_t top = (uintptr_t)sbrk(0);
    return (uintptr_t)p < top && (uintptr_t)p >= top - now.arena;
}

bool hak_libc_free(void *p) {
    void (*libc_free)(void *);
    if (!is_libc_block(p)) {
        return false;
    }
    LOOK_UP("free", libc_free);
    libc_free(p);
    return true;
}

size_t hak_libc_size(const void *p) {
    size_t (*libc_size)(const void *);
    if (!is_libc_block(p)) {
        return 0;
    }
    LOOK_UP("malloc_usable_size", libc_size);
    return libc_size(p);
}
