/* deepbind.c: dlopen() without RTLD_DEEPBIND.
 *
 * Owns:      the one libc function besides malloc's family that hakmem takes over.
 * Threads:   any.
 *
 * A library loaded with RTLD_DEEPBIND binds malloc and free to libc behind hakmem's back, and
 * blocks that cross its border then meet the wrong free(). So the flag is dropped. libc finds
 * RUNPATH, $ORIGIN and the namespace by the return address of dlopen()'s caller; the call to libc
 * is therefore a true tail call (a jump), which scripts/check-object.sh proves on the built
 * library. dlmopen() is left alone: what it loads has a libc of its own, and keeps its blocks.
 */
#include <dlfcn.h>

#include "atomic.h"

typedef void *(*dlopen_t)(const char *file, int flags);

static _Atomic uintptr_t libc_dlopen; /* the same value whoever writes it */

static HAK_NOINLINE dlopen_t find_dlopen(void) {
    uintptr_t found = (uintptr_t)dlsym(RTLD_NEXT, "dlopen");
    hak_store_relaxed(&libc_dlopen, found);
    return (dlopen_t)found;
}

HAK_EXPORT void *dlopen(const char *file, int flags) {
    uintptr_t known = hak_load_relaxed(&libc_dlopen);
    dlopen_t next = known != 0 ? (dlopen_t)known : find_dlopen();
    return next(file, flags & ~RTLD_DEEPBIND);
}
