// Libraries loaded with RTLD_DEEPBIND or into another namespace: blocks cross the border both
// ways, and dlopen still finds libraries as seen from its caller. Needs lib_deepbind.so beside the
// program, and the program linked with -Wl,-rpath,$ORIGIN.
#include "check.h"

#include <malloc.h>

typedef struct {
    void *handle;
    void *(*malloc_)(size_t);
    void *(*realloc_)(void *, size_t);
    char *(*strdup_)(const char *);
    void (*free_)(void *);
} library_t;

static void find_in(void *handle, const char *name, void *function) {
    void *symbol = dlsym(handle, name);
    CHECK(symbol != NULL);
    memcpy(function, &symbol, sizeof symbol);
}

static library_t bind_library(void *handle) {
    library_t library = {.handle = handle};
    CHECK(handle != NULL);
    find_in(handle, "lib_malloc", &library.malloc_);
    find_in(handle, "lib_realloc", &library.realloc_);
    find_in(handle, "lib_strdup", &library.strdup_);
    find_in(handle, "lib_free", &library.free_);
    return library;
}

// The library's full path, found without the dlopen under test.
static const char *library_path(void) {
    static char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 40);
    CHECK(n > 0);
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    CHECK(slash != NULL);
    strcpy(slash + 1, "lib_deepbind.so");
    return path;
}

static void exchange_blocks(const library_t *library) {
    for (size_t size = 1; size <= 4 * MIB; size *= 3) {
        void *p = library->malloc_(size);
        CHECK(p != NULL);
        pattern_fill(p, size, 1);
        CHECK(malloc_usable_size(p) >= size);
        p = realloc(p, size * 2);
        CHECK(p != NULL && pattern_holds(p, size, 1));
        p = library->realloc_(p, size * 4);
        CHECK(p != NULL && pattern_holds(p, size, 1));
        free(p);
        library->free_(malloc(size));
        library->free_(aligned_alloc(4096, size));
    }
    char *string = library->strdup_("from the library");
    CHECK(string != NULL && strcmp(string, "from the library") == 0);
    free(string);
    library->free_(strdup("from the program"));
}

static void deepbind_library_and_program_share_a_heap(void) {
    library_t library = bind_library(dlopen(library_path(), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND));
    exchange_blocks(&library);
    CHECK(dlclose(library.handle) == 0);
}

static void deepbind_lazy_global_library_shares_the_heap(void) {
    int flags = RTLD_LAZY | RTLD_GLOBAL | RTLD_DEEPBIND;
    library_t library = bind_library(dlopen(library_path(), flags));
    exchange_blocks(&library);
    CHECK(dlclose(library.handle) == 0);
}

static void plain_dlopen_by_name_sees_the_callers_runpath(void) {
    library_t library = bind_library(dlopen("lib_deepbind.so", RTLD_NOW | RTLD_LOCAL));
    exchange_blocks(&library);
    CHECK(dlclose(library.handle) == 0);
}

static void deepbind_by_name_sees_the_callers_runpath(void) {
    library_t library = bind_library(dlopen("lib_deepbind.so", RTLD_NOW | RTLD_DEEPBIND));
    exchange_blocks(&library);
    CHECK(dlclose(library.handle) == 0);
}

static void dlopen_null_is_the_program(void) {
    void *self = dlopen(NULL, RTLD_NOW);
    CHECK(self != NULL);
    CHECK(dlsym(self, "malloc") != NULL);
    CHECK(dlclose(self) == 0);
}

static void dlopen_failure_reports_an_error(void) {
    CHECK(dlopen("/nonexistent/library.so", RTLD_NOW | RTLD_DEEPBIND) == NULL);
    CHECK(dlerror() != NULL);
}

static void library_in_its_own_namespace_works(void) {
    library_t library = bind_library(dlmopen(LM_ID_NEWLM, library_path(), RTLD_NOW | RTLD_LOCAL));
    // Another namespace has its own libc and its own malloc: its blocks stay with it.
    for (size_t size = 1; size <= 4 * MIB; size *= 3) {
        void *p = library.malloc_(size);
        CHECK(p != NULL);
        pattern_fill(p, size, 1);
        p = library.realloc_(p, size * 3);
        CHECK(p != NULL && pattern_holds(p, size, 1));
        library.free_(p);
        free(malloc(size));
    }
    CHECK(dlclose(library.handle) == 0);
}

CHECK_MAIN(CASE(deepbind_library_and_program_share_a_heap),
           CASE(deepbind_lazy_global_library_shares_the_heap),
           CASE(plain_dlopen_by_name_sees_the_callers_runpath),
           CASE(deepbind_by_name_sees_the_callers_runpath), CASE(dlopen_null_is_the_program),
           CASE(dlopen_failure_reports_an_error), CASE(library_in_its_own_namespace_works))
