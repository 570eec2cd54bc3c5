/* operators.c: the C++ operators new and delete, all twenty, from C.
 *
 * Owns:      the mangled names; the new-handler loop; throwing std::bad_alloc.
 * Threads:   as alloc.h.
 *
 * The library links no C++ runtime. Where a program has one, the two functions below are there
 * when they are needed; an exception then passes through these frames by the unwind tables that
 * every x86-64 and aarch64 object carries (-fexceptions makes sure).
 */
#include <dlfcn.h>

#include "alloc_fast.h"
#include "message.h"

#define NOTHROW const void *nothrow

typedef void (*new_handler_t)(void);

/* std::get_new_handler() and std::__throw_bad_alloc() */
extern new_handler_t _ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

/* A C++ runtime that was loaded later, with dlopen(), does not resolve weak references. */
static void *look_up(const char *name) {
    return dlsym(RTLD_DEFAULT, name);
}

static new_handler_t current_handler(void) {
    new_handler_t (*get)(void) = _ZSt15get_new_handlerv;
    if (get == NULL) {
        void *symbol = look_up("_ZSt15get_new_handlerv");
        __builtin_memcpy(&get, &symbol, sizeof get);
    }
    return get != NULL ? get() : NULL;
}

static HAK_COLD HAK_NORETURN void throw_bad_alloc(size_t size) {
    void (*throw)(void) = _ZSt17__throw_bad_allocv;
    if (throw == NULL) {
        void *symbol = look_up("_ZSt17__throw_bad_allocv");
        __builtin_memcpy(&throw, &symbol, sizeof throw);
    }
    if (throw != NULL) {
        throw();
    }
    hak_message_fatal("out of memory in operator new(%zu), and no C++ runtime to throw bad_alloc",
                      size);
}

/* Tries again as long as there is a handler, which may free memory, throw, or end the program. */
static void *alloc_or_handle(size_t size, size_t align) {
    for (;;) {
        void *block = hak_alloc_aligned(size, align);
        if (block != NULL) {
            return block;
        }
        new_handler_t handler = current_handler();
        if (handler == NULL) {
            return NULL;
        }
        handler();
    }
}

static HAK_COLD void *new_miss(size_t size) {
    void *block = alloc_or_handle(size, 1);
    if (block == NULL) {
        throw_bad_alloc(size);
    }
    return block;
}

static HAK_COLD void *runtime_nothrow(size_t size) {
    void *(*next)(size_t, NOTHROW);
    void *symbol = dlsym(RTLD_NEXT, "_ZnwmRKSt9nothrow_t");
    __builtin_memcpy(&next, &symbol, sizeof next);
    return next != NULL ? next(size, NULL) : NULL;
}

static HAK_COLD void *runtime_aligned_nothrow(size_t size, size_t align) {
    void *(*next)(size_t, size_t, NOTHROW);
    void *symbol = dlsym(RTLD_NEXT, "_ZnwmSt11align_val_tRKSt9nothrow_t");
    __builtin_memcpy(&next, &symbol, sizeof next);
    return next != NULL ? next(size, align, NULL) : NULL;
}

/* A handler may throw, and a nothrow form must then return NULL; C cannot catch. So where there is
 * a handler, the C++ runtime's own nothrow form takes over: it calls operator new and catches. */
static HAK_COLD void *new_nothrow_miss(size_t size) {
    void *block = hak_alloc_aligned(size, 1);
    if (block != NULL || current_handler() == NULL) {
        return block;
    }
    return runtime_nothrow(size);
}

static void *new_aligned_nothrow(size_t size, size_t align) {
    void *block = hak_alloc_aligned(size, align);
    if (block != NULL || current_handler() == NULL) {
        return block;
    }
    return runtime_aligned_nothrow(size, align);
}

static void *new_aligned(size_t size, size_t align) {
    void *block = alloc_or_handle(size, align);
    if (block == NULL) {
        throw_bad_alloc(size);
    }
    return block;
}

/* A program may replace some of these operators; the standard says which of the others then follow
 * suit. As in every C++ runtime, only the base forms allocate and free; the rest call them through
 * the symbols that a program can replace. */
typedef void *(*new_t)(size_t);
typedef void *(*new_aligned_t)(size_t, size_t);

HAK_EXPORT void *_Znwm(size_t size);
HAK_EXPORT void *_Znwm(size_t size) {
    return hak_alloc_fast(size, new_miss);
}

HAK_EXPORT void *_ZnwmSt11align_val_t(size_t size, size_t align);
HAK_EXPORT void *_ZnwmSt11align_val_t(size_t size, size_t align) {
    return new_aligned(size, align);
}

HAK_EXPORT void *_Znam(size_t size);
HAK_EXPORT void *_Znam(size_t size) {
    return _Znwm(size);
}

HAK_EXPORT void *_ZnamSt11align_val_t(size_t size, size_t align);
HAK_EXPORT void *_ZnamSt11align_val_t(size_t size, size_t align) {
    return _ZnwmSt11align_val_t(size, align);
}

/* This library's own base forms, whatever the program has put in their place. */
extern HAK_HIDDEN void *hak_own_new(size_t size) __attribute__((alias("_Znwm")));
extern HAK_HIDDEN void *hak_own_new_aligned(size_t size, size_t align)
    __attribute__((alias("_ZnwmSt11align_val_t")));

/* A nothrow form calls the base form and turns an exception into NULL. With hakmem's base form no
 * exception need arise; with the program's, the C++ runtime's nothrow form does the catching. */
#define NEW_NOTHROW(name)                                                                          \
    HAK_EXPORT void *name(size_t size, NOTHROW);                                                   \
    HAK_EXPORT void *name(size_t size, NOTHROW) {                                                  \
        (void)nothrow;                                                                             \
        if (HAK_UNLIKELY((new_t)_Znwm != (new_t)hak_own_new)) {                                    \
            return runtime_nothrow(size);                                                          \
        }                                                                                          \
        return hak_alloc_fast(size, new_nothrow_miss);                                             \
    }
#define NEW_ALIGNED_NOTHROW(name)                                                                  \
    HAK_EXPORT void *name(size_t size, size_t align, NOTHROW);                                     \
    HAK_EXPORT void *name(size_t size, size_t align, NOTHROW) {                                    \
        (void)nothrow;                                                                             \
        if (HAK_UNLIKELY((new_aligned_t)_ZnwmSt11align_val_t !=                                    \
                         (new_aligned_t)hak_own_new_aligned)) {                                    \
            return runtime_aligned_nothrow(size, align);                                           \
        }                                                                                          \
        return new_aligned_nothrow(size, align);                                                   \
    }

NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
NEW_NOTHROW(_ZnamRKSt9nothrow_t)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)

HAK_EXPORT void _ZdlPv(void *p);
HAK_EXPORT void _ZdlPv(void *p) {
    hak_free_fast(p);
}

HAK_EXPORT void _ZdlPvSt11align_val_t(void *p, size_t align);
HAK_EXPORT void _ZdlPvSt11align_val_t(void *p, size_t align) {
    (void)align;
    hak_free_fast(p);
}

/* What follows p is a promise of the caller's; the checks of free() need none of it. */
#define DELETE(name, parameters, call)                                                             \
    HAK_EXPORT void name parameters;                                                               \
    HAK_EXPORT void name parameters {                                                              \
        call;                                                                                      \
    }
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define PLAIN _ZdlPv(p)
#define ALIGNED _ZdlPvSt11align_val_t(p, align)

DELETE(_ZdaPv, (void *p), PLAIN)
DELETE(_ZdlPvRKSt9nothrow_t, (void *p, NOTHROW), PLAIN)
DELETE(_ZdaPvRKSt9nothrow_t, (void *p, NOTHROW), _ZdaPv(p))
DELETE(_ZdlPvm, (void *p, size_t size), PLAIN)
DELETE(_ZdaPvm, (void *p, size_t size), _ZdaPv(p))
DELETE(_ZdaPvSt11align_val_t, (void *p, size_t align), ALIGNED)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, NOTHROW), ALIGNED)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, NOTHROW),
       _ZdaPvSt11align_val_t(p, align))
DELETE(_ZdlPvmSt11align_val_t, (void *p, size_t size, size_t align), ALIGNED)
DELETE(_ZdaPvmSt11align_val_t, (void *p, size_t size, size_t align),
       _ZdaPvSt11align_val_t(p, align))
