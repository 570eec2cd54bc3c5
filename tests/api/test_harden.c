// The hardened mode: what lawful programs see of it, and HAKMEM_HARDEN=warn, in which a program goes on.
#include "check.h"

#include <malloc.h>

enum { TEXT_BYTES = 8192 };

// Runs this program's course of the given name under HAKMEM_HARDEN=mode; what it says on stderr goes to
// text. Returns its exit status as wait() tells it.
static int run_course(const char *mode, const char *course, char *text) {
    int ends[2];
    int status = 0;
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        setenv("HAKMEM_HARDEN", mode, 1);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl("/proc/self/exe", "test_harden", course, (char *)NULL);
        _exit(99);
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t n;
    while ((n = read(ends[0], text + used, TEXT_BYTES - 1 - used)) > 0) {
        used += (size_t)n;
    }
    text[used] = '\0';
    close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

static size_t count_lines(const char *text, const char *with) {
    size_t count = 0;
    for (const char *line = strstr(text, with); line != NULL; line = strstr(line + 1, with)) {
        count++;
    }
    return count;
}

// ---- courses, in a process of their own

static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 111, 1000, 1024, 5000, 32767, 32768, 100000, 3 << 20, 8 << 20};

static void see_sizes_and_zeros(void) {
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            char *p = malloc(sizes[i]);
            CHECK(p != NULL && (uintptr_t)p % 16 == 0);
            CHECK(malloc_usable_size(p) == sizes[i]);
            CHECK(all_zero(p, sizes[i]));
            memset(p, 0x5a, sizes[i]);
            size_t more = sizes[i] * 3 / 2 + 1;
            p = realloc(p, more);
            CHECK(p != NULL && malloc_usable_size(p) == more);
            for (size_t k = 0; k < more; k++) {
                CHECK(p[k] == (k < sizes[i] ? 0x5a : 0));
            }
            p = realloc(p, sizes[i] / 2 + 1);
            CHECK(p != NULL && malloc_usable_size(p) == sizes[i] / 2 + 1);
            free(p);
        }
    }
    char *aligned = aligned_alloc(128, 490); // of a class that serves alignment only
    CHECK((uintptr_t)aligned % 128 == 0 && realloc(aligned, 500) == aligned);
    aligned = realloc(aligned, 520);
    CHECK(aligned != NULL && malloc_usable_size(aligned) == 520);
    free(aligned);
}

// A block that was freed does not come back at once.
static void see_reuse_delayed(void) {
    for (size_t size = 24; size < 30000; size = size * 2) {
        int at_once = 0;
        for (int i = 0; i < 100; i++) {
            void *p = malloc(size);
            void *address = opaque_pointer(p);
            free(p);
            p = malloc(size);
            at_once += p == address;
            free(p);
        }
        CHECK(at_once < 30);
    }
}

static void see_random_order(void) {
    int ascending = 0;
    char *before = malloc(200);
    for (int i = 0; i < 1000; i++) {
        char *p = malloc(200);
        ascending += (uintptr_t)p - (uintptr_t)before < 400; // the very next
        before = p;
    }
    CHECK(ascending < 200);
}

static void misuse_and_go_on(void) {
    char *p = malloc(100);
    ((char *)opaque_pointer(p))[100] = 1; // 1: overflow
    free(p);
    free(opaque_pointer(p));               // 2: double free
    free((char *)opaque_pointer(&p));      // 3: the stack
    p = malloc(200);
    free((char *)opaque_pointer(p) + 16);  // 4: inside
    CHECK(realloc((char *)opaque_pointer(p) + 16, 10) == NULL); // 5
    free(p);
    CHECK(malloc_usable_size(opaque_pointer(p)) == 0); // 6
    ((char *)opaque_pointer(p))[3] = 1; // 7, said at the end
    p = malloc(100001);
    ((char *)opaque_pointer(p))[100001] = 1; // 8
    free(p);
    free(opaque_pointer(p)); // 9
    see_sizes_and_zeros();
}

static void hold_many_large(void) {
    enum { MANY = 40000 };
    static void *blocks[MANY];
    for (int i = 0; i < MANY; i++) {
        blocks[i] = malloc(33000);
        CHECK(blocks[i] != NULL);
        *(char *)blocks[i] = 1;
    }
    for (int i = 0; i < MANY; i++) {
        free(blocks[i]);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} courses[] = {{"sizes", see_sizes_and_zeros}, {"delay", see_reuse_delayed},
               {"order", see_random_order},    {"misuse", misuse_and_go_on},
               {"many", hold_many_large}};

// ---- cases

static void expect_silence(const char *course) {
    static char text[TEXT_BYTES];
    if (!runs_under_hakmem()) {
        SKIP("only hakmem has it");
    }
    int status = run_course("1", course, text);
    if (status != 0) {
        fprintf(stderr, "%s: status %#x: %s\n", course, (unsigned)status, text);
    }
    CHECK(status == 0 && text[0] == '\0');
}

static void hardened_sizes_are_exact_and_memory_is_zero(void) {
    expect_silence("sizes");
}

static void hardened_reuse_is_delayed(void) {
    expect_silence("delay");
}

static void hardened_order_is_random(void) {
    expect_silence("order");
}

static void hardened_large_blocks_beyond_the_limit_of_mappings_are_served(void) {
    expect_silence("many");
}

static void hardened_warn_tells_all_and_goes_on(void) {
    static char text[TEXT_BYTES];
    if (!runs_under_hakmem()) {
        SKIP("only hakmem has it");
    }
    CHECK(run_course("warn", "misuse", text) == 0);
    CHECK(count_lines(text, "hakmem: ") == 9);
    CHECK(count_lines(text, "heap overflow past") == 2);
    CHECK(count_lines(text, "double free") == 2);
    CHECK(count_lines(text, "not allocated by hakmem") == 1);
    CHECK(count_lines(text, "inside a block") == 2);
    CHECK(count_lines(text, "use after free: malloc_usable_size") == 1);
    CHECK(count_lines(text, "was written to at") == 1);
}

int main(int argc, char **argv) {
    static const check_case_t cases[] = {
        CASE(hardened_sizes_are_exact_and_memory_is_zero),
        CASE(hardened_reuse_is_delayed),
        CASE(hardened_order_is_random),
        CASE(hardened_large_blocks_beyond_the_limit_of_mappings_are_served),
        CASE(hardened_warn_tells_all_and_goes_on),
    };
    for (size_t i = 0; argc > 1 && i < COUNT_OF(courses); i++) {
        if (strcmp(argv[1], courses[i].name) == 0) {
            courses[i].run();
            return 0;
        }
    }
    return check_run(cases, COUNT_OF(cases));
}
