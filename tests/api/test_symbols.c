// Every name by which glibc hands out or takes back heap memory is served, all from one heap.
#include "check.h"

#include <malloc.h>

typedef void *malloc_t(size_t);
typedef void free_t(void *);
typedef void *calloc_t(size_t, size_t);
typedef void *realloc_t(void *, size_t);
typedef void *memalign_t(size_t, size_t);
typedef void free_sized_t(void *, size_t);
typedef void free_aligned_sized_t(void *, size_t, size_t);

static void names_are_served_by_hakmem(void) {
    static const char *const names[] = {
        "malloc",          "free",          "calloc",         "realloc",
        "reallocarray",    "memalign",      "aligned_alloc",  "posix_memalign",
        "valloc",          "pvalloc",       "cfree",          "malloc_usable_size",
        "mallinfo",        "mallinfo2",     "mallopt",        "malloc_trim",
        "malloc_stats",    "malloc_info",   "free_sized",     "free_aligned_sized",
        "__libc_malloc",   "__libc_free",   "__libc_calloc",  "__libc_realloc",
        "__libc_memalign", "__libc_valloc", "__libc_pvalloc",
    };
    if (!runs_under_hakmem()) {
        SKIP("runs under libc's malloc");
    }
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (!is_served_by_hakmem(names[i])) {
            check_print(STDERR_FILENO, names[i]);
            check_print(STDERR_FILENO, ": ");
            CHECK(is_served_by_hakmem(names[i]));
        }
    }
}

static void libc_malloc_block_is_freed_by_free(void) {
    malloc_t *libc_malloc = NULL;
    free_t *libc_free = NULL;
    CHECK(find_function("__libc_malloc", &libc_malloc));
    CHECK(find_function("__libc_free", &libc_free));
    for (size_t size = 1; size <= 4 * MIB; size *= 3) {
        void *p = libc_malloc(size);
        void *q = malloc(size);
        CHECK(p != NULL && q != NULL);
        pattern_fill(p, size, 1);
        pattern_fill(q, size, 2);
        CHECK(pattern_holds(p, size, 1));
        CHECK(malloc_usable_size(p) >= size);
        free(p);
        libc_free(q);
    }
}

static void libc_calloc_and_realloc_work_with_the_others(void) {
    calloc_t *libc_calloc = NULL;
    realloc_t *libc_realloc = NULL;
    CHECK(find_function("__libc_calloc", &libc_calloc));
    CHECK(find_function("__libc_realloc", &libc_realloc));
    for (size_t size = 1; size <= 4 * MIB; size *= 3) {
        void *p = libc_calloc(size, 2);
        CHECK(p != NULL && all_zero(p, size * 2));
        pattern_fill(p, size * 2, 3);
        p = realloc(p, size * 3);
        CHECK(p != NULL && pattern_holds(p, size * 2, 3));
        p = libc_realloc(p, size * 5);
        CHECK(p != NULL && pattern_holds(p, size * 2, 3));
        free(p);
    }
}

static void libc_aligned_names_work_with_free(void) {
    memalign_t *libc_memalign = NULL;
    malloc_t *libc_valloc = NULL;
    malloc_t *libc_pvalloc = NULL;
    CHECK(find_function("__libc_memalign", &libc_memalign));
    CHECK(find_function("__libc_valloc", &libc_valloc));
    CHECK(find_function("__libc_pvalloc", &libc_pvalloc));
    for (size_t alignment = 16; alignment <= MIB; alignment *= 4) {
        void *p = libc_memalign(alignment, 1000);
        CHECK(p != NULL && is_aligned(p, alignment));
        free(p);
    }
    void *p = libc_valloc(100);
    void *q = libc_pvalloc(100);
    CHECK(p != NULL && is_aligned(p, 4096) && q != NULL && is_aligned(q, 4096));
    free(p);
    free(q);
}

static void cfree_frees(void) {
    free_t *old_free = NULL;
    if (!find_function("cfree", &old_free)) {
        CHECK(!runs_under_hakmem());
        SKIP("this libc has no cfree");
    }
    old_free(NULL);
    for (int i = 0; i < 20000; i++) {
        char *p = malloc(100000);
        CHECK(p != NULL);
        memset(p, 1, 100000);
        old_free(p);
    }
    CHECK(status_kib("VmRSS") < 200 * 1024);
}

static void free_sized_frees(void) {
    free_sized_t *sized = NULL;
    if (!find_function("free_sized", &sized)) {
        CHECK(!runs_under_hakmem());
        SKIP("this libc has no free_sized");
    }
    sized(NULL, 0);
    sized(NULL, 100);
    for (size_t size = 0; size <= 4 * MIB; size = size * 2 + 1) {
        sized(malloc(size), size);
        sized(calloc(1, size), size);
        sized(realloc(malloc(7), size + 1), size + 1);
    }
}

static void free_aligned_sized_frees(void) {
    free_aligned_sized_t *aligned_sized = NULL;
    if (!find_function("free_aligned_sized", &aligned_sized)) {
        CHECK(!runs_under_hakmem());
        SKIP("this libc has no free_aligned_sized");
    }
    aligned_sized(NULL, 64, 100);
    for (size_t alignment = 16; alignment <= MIB; alignment *= 4) {
        for (size_t size = 1; size <= 4 * MIB; size *= 5) {
            aligned_sized(aligned_alloc(alignment, size), alignment, size);
        }
    }
}

static void libc_internals_use_the_same_heap(void) {
    char *line = NULL;
    size_t capacity = 0;
    FILE *stream = fopen("/proc/self/status", "r");
    CHECK(stream != NULL);
    while (getline(&line, &capacity, stream) > 0) {
        char *copy = strdup(line);
        CHECK(copy != NULL && malloc_usable_size(copy) >= strlen(line) + 1);
        free(copy);
    }
    fclose(stream);
    free(line);
    char *text = NULL;
    CHECK(asprintf(&text, "%0500d", 7) == 500);
    free(realloc(text, 5000));
    char *path = realpath("/proc/self/..", NULL);
    CHECK(path != NULL);
    free(path);
}

CHECK_MAIN(CASE(names_are_served_by_hakmem), CASE(libc_malloc_block_is_freed_by_free),
           CASE(libc_calloc_and_realloc_work_with_the_others),
           CASE(libc_aligned_names_work_with_free), CASE(cfree_frees), CASE(free_sized_frees),
           CASE(free_aligned_sized_frees), CASE(libc_internals_use_the_same_heap))
