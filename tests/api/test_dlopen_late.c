// The library loaded late, by dlopen, beside libc's own malloc: it works, and a block of libc that
// is handed to it goes back to libc. The program starts itself again without LD_PRELOAD.
#include "check.h"

extern char **environ;

static void *(*late_malloc)(size_t);
static void *(*late_realloc)(void *, size_t);
static void (*late_free)(void *);

static void find_in(void *handle, const char *name, void *function) {
    void *symbol = dlsym(handle, name);
    CHECK(symbol != NULL);
    memcpy(function, &symbol, sizeof symbol);
}

static void load_library(void) {
    void *handle = dlopen(getenv("LATE_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
    CHECK(handle != NULL);
    find_in(handle, "malloc", &late_malloc);
    find_in(handle, "realloc", &late_realloc);
    find_in(handle, "free", &late_free);
}

static void *use_every_tier(void *unused) {
    for (size_t size = 1; size <= 4 * MIB; size = size * 2 + 1) {
        void *p = late_malloc(size);
        CHECK(p != NULL);
        pattern_fill(p, size, 1);
        p = late_realloc(p, size * 3);
        CHECK(p != NULL && pattern_holds(p, size, 1));
        late_free(p);
    }
    return unused;
}

static void library_loaded_late_works(void) {
    if (getenv("LATE_LIBRARY") == NULL) {
        SKIP("no library under test");
    }
    load_library();
    use_every_tier(NULL);
    in_thread(use_every_tier, NULL);
}

static void blocks_of_libc_go_back_to_libc(void) {
    if (getenv("LATE_LIBRARY") == NULL) {
        SKIP("no library under test");
    }
    for (size_t size = 1; size <= 4 * MIB; size = size * 2 + 1) {
        void *p = malloc(size);
        CHECK(p != NULL);
        pattern_fill(p, size, 1);
        p = late_realloc(p, size * 2);
        CHECK(p != NULL && pattern_holds(p, size, 1));
        // Whoever holds the block now: late_free() has to know.
        late_free(p);
        late_free(malloc(size));
    }
}

static const check_case_t cases[] = {CASE(library_loaded_late_works),
                                     CASE(blocks_of_libc_go_back_to_libc)};

int main(void) {
    char *arguments[] = {(char *)"test_dlopen_late", NULL};
    Dl_info info;
    if (runs_under_hakmem() && dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) != 0) {
        CHECK(setenv("LATE_LIBRARY", info.dli_fname, 1) == 0);
        CHECK(unsetenv("LD_PRELOAD") == 0);
        execve("/proc/self/exe", arguments, environ);
        CHECK(false);
    }
    return check_run(cases, COUNT_OF(cases));
}
