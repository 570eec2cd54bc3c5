/* foreign.c: see foreign.h.
 *
 * A library loaded in a scope of its own binds to libc's malloc, and its blocks may end up here.
 * Giving one to libc is right; giving it a stray pointer would hide a bug behind a crash in libc.
 * So a pointer must look like a block of libc's before it is offered: libc's malloc must be in use
 * at all, and the pointer must lie in its heap (brk) or carry the mark of a mapped chunk.
 *
 * Threads:   any; the symbols are looked up on each call, which is rare.
 */
#include "foreign.h"

#include <dlfcn.h>
#include <malloc.h>
#include <unistd.h>

#define IS_MAPPED 2U

typedef struct mallinfo2 libc_info_t;

/* POSIX makes dlsym's result convertible; C does not, hence the copy. */
#define LOOK_UP(name, pointer)                                                                     \
    do {                                                                                           \
        void *symbol_ = dlsym(RTLD_NEXT, name);                                                    \
        __builtin_memcpy(&(pointer), &symbol_, sizeof(pointer));                                   \
    } while (0)

static bool is_libc_block(const void *p) {
    libc_info_t (*info)(void);
    LOOK_UP("mallinfo2", info);
    if (info == NULL || (uintptr_t)p % 16 != 0) {
        return false;
    }
    libc_info_t now = info();
    uintptr_t top = (uintptr_t)sbrk(0);
    if ((uintptr_t)p < top && (uintptr_t)p >= top - now.arena) {
        return now.arena != 0;
    }
    /* A mapped chunk starts two words behind a page's start and its size is whole pages. */
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (now.hblks == 0 || (uintptr_t)p % page != 16) {
        return false;
    }
    size_t header = ((const size_t *)p)[-1];
    return (header & 7) == IS_MAPPED && (header & ~(size_t)7) % page == 0 &&
           (header & ~(size_t)7) <= now.hblkhd;
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
