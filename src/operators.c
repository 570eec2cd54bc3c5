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

/* What the hardened mode remembers and compares; HAK_BY_ANY once a program turns out to have
 * replaced some of a family: then who allocates and who frees need not be of the same. Const once
 * hakmem has started. */
static hak_origin_t by_new = HAK_BY_NEW;
static hak_origin_t by_new_array = HAK_BY_NEW_ARRAY;

/* Tries again as long as there is a handler, which may free memory, throw, or end the program. */
static void *alloc_or_handle(size_t size, size_t align, hak_origin_t by) {
    for (;;) {
        void *block = hak_alloc_cold(size, align, by);
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

static HAK_COLD void *new_beyond(size_t size, size_t align, hak_origin_t by) {
    void *block = alloc_or_handle(size, align, by);
    if (block == NULL) {
        throw_bad_alloc(size);
    }
    return block;
}

static HAK_COLD void *new_miss(size_t size) {
    return new_beyond(size, 1, by_new);
}

static HAK_COLD void *new_array_miss(size_t size) {
    return new_beyond(size, 1, by_new_array);
}

/* A handler may throw, and a nothrow form must then return NULL; C cannot catch. So where there is
 * a handler, the C++ runtime's own nothrow form takes over: it calls the throwing form and catches.
 * So it does where the program has replaced that. */
static HAK_COLD void *runtime_nothrow(const char *name, size_t size) {
    void *(*next)(size_t, NOTHROW);
    void *symbol = dlsym(RTLD_NEXT, name);
    __builtin_memcpy(&next, &symbol, sizeof next);
    return next != NULL ? next(size, NULL) : NULL;
}

static HAK_COLD void *runtime_aligned_nothrow(const char *name, size_t size, size_t align) {
    void *(*next)(size_t, size_t, NOTHROW);
    void *symbol = dlsym(RTLD_NEXT, name);
    __builtin_memcpy(&next, &symbol, sizeof next);
    return next != NULL ? next(size, align, NULL) : NULL;
}

#define NEW_NOTHROW "_ZnwmRKSt9nothrow_t"
#define NEW_ARRAY_NOTHROW "_ZnamRKSt9nothrow_t"
#define NEW_ALIGNED_NOTHROW "_ZnwmSt11align_val_tRKSt9nothrow_t"
#define NEW_ARRAY_ALIGNED_NOTHROW "_ZnamSt11align_val_tRKSt9nothrow_t"

static HAK_COLD void *new_nothrow_miss(size_t size) {
    void *block = hak_alloc_cold(size, 1, by_new);
    return block != NULL || current_handler() == NULL ? block : runtime_nothrow(NEW_NOTHROW, size);
}

static HAK_COLD void *new_array_nothrow_miss(size_t size) {
    void *block = hak_alloc_cold(size, 1, by_new_array);
    return block != NULL || current_handler() == NULL ? block
                                                      : runtime_nothrow(NEW_ARRAY_NOTHROW, size);
}

static void *new_aligned_nothrow(const char *name, size_t size, size_t align, hak_origin_t by) {
    void *block = align <= HAK_ALIGNMENT && size <= HAK_MID_MAX && by == by_new
                      ? hak_alloc_fast(size, new_nothrow_miss)
                      : hak_alloc_cold(size, align, by);
    return block != NULL || current_handler() == NULL ? block
                                                      : runtime_aligned_nothrow(name, size, align);
}

/* A program may replace some of these operators; the standard says which of the others then follow
 * suit. As in every C++ runtime, only the base forms allocate and free; the rest call them through
 * the symbols that a program can replace. */
HAK_EXPORT void *_Znwm(size_t size);
HAK_EXPORT void *_Znwm(size_t size) {
    return hak_alloc_fast(size, new_miss);
}

HAK_EXPORT void *_ZnwmSt11align_val_t(size_t size, size_t align);
HAK_EXPORT void *_ZnwmSt11align_val_t(size_t size, size_t align) {
    return new_beyond(size, align, by_new);
}

HAK_EXPORT void _ZdlPv(void *p);
HAK_EXPORT void _ZdlPv(void *p) {
    hak_free_fast_by(p, by_new, HAK_SIZE_UNKNOWN);
}

HAK_EXPORT void _ZdlPvSt11align_val_t(void *p, size_t align);
HAK_EXPORT void _ZdlPvSt11align_val_t(void *p, size_t align) {
    (void)align;
    hak_free_fast_by(p, by_new, HAK_SIZE_UNKNOWN);
}

/* ---- Forms that call a base form ------------------------------------------------------------- */

/* Where they jump to. The hardened mode tells arrays from single objects and compares sizes, so it
 * puts its own functions in the place of this library's base forms, before the first allocation;
 * what a program has replaced stays. In the default mode it is the same jump as through the
 * linker's table. A base form that gets more arguments than it takes leaves them alone, by the
 * calling conventions of all machines that os_linux.c knows. */
typedef void *(*new_t)(size_t size);
typedef void *(*new_aligned_t)(size_t size, size_t align);
typedef void (*delete_t)(void *p, size_t size);
typedef void (*delete_aligned_t)(void *p, size_t size_or_align, size_t align);

typedef void (*any_t)(void);

HAK_EXPORT void _ZdaPv(void *p);
HAK_EXPORT void _ZdaPvSt11align_val_t(void *p, size_t align);

static new_t new_array = _Znwm;
static new_aligned_t new_array_aligned = _ZnwmSt11align_val_t;
static delete_t delete_array = (delete_t)(any_t)_ZdlPv;
static delete_t delete_sized = (delete_t)(any_t)_ZdlPv;
static delete_t delete_array_sized = (delete_t)(any_t)_ZdaPv;
static delete_aligned_t delete_array_aligned = (delete_aligned_t)(any_t)_ZdlPvSt11align_val_t;
static delete_aligned_t delete_aligned_sized = (delete_aligned_t)(any_t)_ZdlPvSt11align_val_t;
static delete_aligned_t delete_array_aligned_sized = (delete_aligned_t)(any_t)_ZdaPvSt11align_val_t;

static void *hardened_new_array(size_t size) {
    return new_array_miss(size);
}

static void *hardened_new_array_aligned(size_t size, size_t align) {
    return new_beyond(size, align, by_new_array);
}

static void hardened_delete_array(void *p, size_t unused) {
    (void)unused;
    hak_free_cold_by(p, by_new_array, HAK_SIZE_UNKNOWN);
}

static void hardened_delete_sized(void *p, size_t size) {
    hak_free_cold_by(p, by_new, size);
}

static void hardened_delete_array_sized(void *p, size_t size) {
    hak_free_cold_by(p, by_new_array, size);
}

static void hardened_delete_array_aligned(void *p, size_t align, size_t unused) {
    (void)align;
    hardened_delete_array(p, unused);
}

static void hardened_delete_aligned_sized(void *p, size_t size, size_t align) {
    (void)align;
    hardened_delete_sized(p, size);
}

static void hardened_delete_array_aligned_sized(void *p, size_t size, size_t align) {
    (void)align;
    hardened_delete_array_sized(p, size);
}

#define DEFINE(result, name, parameters, body)                                                     \
    HAK_EXPORT result name parameters;                                                             \
    HAK_EXPORT result name parameters {                                                            \
        body;                                                                                      \
    }
#pragma GCC diagnostic ignored "-Wunused-parameter"

DEFINE(void *, _Znam, (size_t size), return new_array(size))
DEFINE(void *, _ZnamSt11align_val_t, (size_t size, size_t align),
       return new_array_aligned(size, align))
DEFINE(void, _ZdaPv, (void *p), delete_array(p, 0))
DEFINE(void, _ZdaPvSt11align_val_t, (void *p, size_t align), delete_array_aligned(p, align, 0))

/* This library's own forms, whatever the program has put in their place. */
#define OWN(result, own, name, parameters)                                                         \
    extern HAK_HIDDEN result own parameters __attribute__((alias(#name)));                         \
    static bool is_##own(void) {                                                                   \
        return (any_t)name == (any_t)own;                                                          \
    }

OWN(void *, own_new, _Znwm, (size_t size))
OWN(void *, own_new_array, _Znam, (size_t size))
OWN(void *, own_new_aligned, _ZnwmSt11align_val_t, (size_t size, size_t align))
OWN(void *, own_new_array_aligned, _ZnamSt11align_val_t, (size_t size, size_t align))
OWN(void, own_delete, _ZdlPv, (void *p))
OWN(void, own_delete_array, _ZdaPv, (void *p))
OWN(void, own_delete_aligned, _ZdlPvSt11align_val_t, (void *p, size_t align))
OWN(void, own_delete_array_aligned, _ZdaPvSt11align_val_t, (void *p, size_t align))

/* Both the array form and what it calls. */
static bool are_own_new_arrays(void) {
    return is_own_new() && is_own_new_array();
}

static bool are_own_new_arrays_aligned(void) {
    return is_own_new_aligned() && is_own_new_array_aligned();
}

void hak_operators_harden(void) {
    if (!are_own_new_arrays() || !is_own_delete() || !is_own_delete_array() ||
        !are_own_new_arrays_aligned() || !is_own_delete_aligned() ||
        !is_own_delete_array_aligned()) {
        by_new = by_new_array = HAK_BY_ANY;
        return;
    }
    new_array = hardened_new_array;
    new_array_aligned = hardened_new_array_aligned;
    delete_array = hardened_delete_array;
    delete_sized = hardened_delete_sized;
    delete_array_sized = hardened_delete_array_sized;
    delete_array_aligned = hardened_delete_array_aligned;
    delete_aligned_sized = hardened_delete_aligned_sized;
    delete_array_aligned_sized = hardened_delete_array_aligned_sized;
}

/* A nothrow form calls the throwing form and turns an exception into NULL. With hakmem's no
 * exception need arise; with the program's, the C++ runtime's nothrow form does the catching. */
DEFINE(void *, _ZnwmRKSt9nothrow_t, (size_t size, NOTHROW),
       return HAK_LIKELY(is_own_new()) ? hak_alloc_fast(size, new_nothrow_miss)
                                       : runtime_nothrow(NEW_NOTHROW, size))
DEFINE(void *, _ZnamRKSt9nothrow_t, (size_t size, NOTHROW),
       return HAK_LIKELY(are_own_new_arrays()) ? hak_alloc_fast(size, new_array_nothrow_miss)
                                               : runtime_nothrow(NEW_ARRAY_NOTHROW, size))
DEFINE(void *, _ZnwmSt11align_val_tRKSt9nothrow_t, (size_t size, size_t align, NOTHROW),
       return HAK_LIKELY(is_own_new_aligned())
                  ? new_aligned_nothrow(NEW_ALIGNED_NOTHROW, size, align, by_new)
                  : runtime_aligned_nothrow(NEW_ALIGNED_NOTHROW, size, align))
DEFINE(void *, _ZnamSt11align_val_tRKSt9nothrow_t, (size_t size, size_t align, NOTHROW),
       return HAK_LIKELY(are_own_new_arrays_aligned())
                  ? new_aligned_nothrow(NEW_ARRAY_ALIGNED_NOTHROW, size, align, by_new_array)
                  : runtime_aligned_nothrow(NEW_ARRAY_ALIGNED_NOTHROW, size, align))

/* What follows p is a promise of the caller's; the checks of free() need none of it. */
DEFINE(void, _ZdlPvRKSt9nothrow_t, (void *p, NOTHROW), _ZdlPv(p))
DEFINE(void, _ZdaPvRKSt9nothrow_t, (void *p, NOTHROW), _ZdaPv(p))
DEFINE(void, _ZdlPvm, (void *p, size_t size), delete_sized(p, size))
DEFINE(void, _ZdaPvm, (void *p, size_t size), delete_array_sized(p, size))
DEFINE(void, _ZdlPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, NOTHROW),
       _ZdlPvSt11align_val_t(p, align))
DEFINE(void, _ZdaPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, NOTHROW),
       _ZdaPvSt11align_val_t(p, align))
DEFINE(void, _ZdlPvmSt11align_val_t, (void *p, size_t size, size_t align),
       delete_aligned_sized(p, size, align))
DEFINE(void, _ZdaPvmSt11align_val_t, (void *p, size_t size, size_t align),
       delete_array_aligned_sized(p, size, align))
