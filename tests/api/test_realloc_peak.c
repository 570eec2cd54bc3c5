// A buffer grown to 256 MiB never stands in memory twice. A program of its own, since it reads the
// peak of the whole process.
#include "check.h"

static void realloc_in_steps_holds_one_copy(void) {
    size_t target = 256 * MIB;
    size_t before = status_kib("VmHWM");
    char *p = NULL;
    size_t size = 0;
    while (size < target) {
        size_t wanted = size + MIB;
        p = realloc(p, wanted);
        CHECK(p != NULL);
        memset(p + size, 1, wanted - size);
        size = wanted;
    }
    size_t peak = status_kib("VmHWM");
    CHECK(peak - before < target / KIB + 32 * 1024);
    free(p);
}

static void realloc_doubling_holds_one_copy(void) {
    size_t target = 256 * MIB;
    char *p = NULL;
    for (size_t size = 4 * MIB; size <= target; size *= 2) {
        p = realloc(p, size);
        CHECK(p != NULL);
        memset(p + size / 2, 1, size / 2);
    }
    size_t peak = status_kib("VmHWM");
    CHECK(peak < target / KIB + 64 * 1024);
    free(p);
}

CHECK_MAIN(CASE(realloc_in_steps_holds_one_copy), CASE(realloc_doubling_holds_one_copy))
