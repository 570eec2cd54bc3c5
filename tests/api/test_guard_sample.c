// HAKMEM_GUARD_SAMPLE: lawful programs behave as ever, and about one allocation in N is a sample.
//
// Each case is this program once more, with the option set and the name of a body: it is read at
// start.
#include "check.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/wait.h>

typedef struct {
    const char *name;
    void (*run)(void);
} body_t;

static __thread unsigned long long random_state = 88172645463325252ULL;

static size_t below(size_t n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state >> 20) % n;
}

// The figure of that name in the statistics.
static long figure(const char *name) {
    static char text[1 << 16];
    void (*print)(int fd) = NULL;
    char key[64];
    CHECK(find_function("hak_stats_json", &print));
    int fd = memfd_create("statistics", 0);
    CHECK(fd >= 0);
    print(fd);
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    CHECK(length > 0);
    text[length] = '\0';
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(text, key);
    CHECK(at != NULL);
    return strtol(at + strlen(key), NULL, 10);
}

static size_t option(void) {
    return strtoul(getenv("HAKMEM_GUARD_SAMPLE"), NULL, 10);
}

// ---- Lawful programs ---------------------------------------------------------------------

enum { SLOTS = 300, STEPS = 8000 };

typedef struct {
    unsigned char *block;
    size_t size;
    unsigned seed;
} slot_t;

static unsigned char *allocate(size_t size, unsigned how) {
    void *p = NULL;
    switch (how % 4) {
    case 0:
        p = calloc(1, size);
        CHECK(all_zero(p, size));
        return p;
    case 1: {
        size_t align = (size_t)16 << below(10);
        CHECK(posix_memalign(&p, align, size) == 0 && is_aligned(p, align));
        return p;
    }
    default:
        return malloc(size);
    }
}

static void replace(slot_t *slot, unsigned step) {
    CHECK(slot->block == NULL || pattern_holds(slot->block, slot->size, slot->seed));
    size_t size = below(20) == 0 ? below(200000) : below(2000);
    if (slot->block != NULL && step % 3 == 0) {
        size = size == 0 ? 1 : size;
        slot->block = realloc(slot->block, size);
        size_t kept = size < slot->size ? size : slot->size;
        CHECK(slot->block != NULL && pattern_holds(slot->block, kept, slot->seed));
    } else {
        free(slot->block);
        slot->block = allocate(size, step);
    }
    CHECK(slot->block != NULL && is_aligned(slot->block, 16));
    slot->size = malloc_usable_size(slot->block);
    CHECK(slot->size >= size);
    slot->seed = step;
    pattern_fill(slot->block, slot->size, slot->seed);
}

static void *random_calls(void *unused) {
    static __thread slot_t slots[SLOTS];
    (void)unused;
    errno = 77;
    for (unsigned step = 0; step < STEPS; step++) {
        replace(&slots[below(SLOTS)], step);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        CHECK(slots[i].block == NULL ||
              pattern_holds(slots[i].block, slots[i].size, slots[i].seed));
        free(slots[i].block);
        slots[i].block = NULL;
    }
    CHECK(errno == 77);
    return NULL;
}

static void body_random(void) {
    (void)random_calls(NULL);
    CHECK(figure("guard_samples") > 0);
}

static void body_threads(void) {
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        CHECK(pthread_create(&threads[i], NULL, random_calls, NULL) == 0);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

static unsigned char *shared[2000];

static void *free_shared(void *unused) {
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(shared); i++) {
        CHECK(pattern_holds(shared[i], 100, (unsigned)i));
        free(shared[i]);
    }
    return NULL;
}

static void fill_shared(void) {
    for (size_t i = 0; i < COUNT_OF(shared); i++) {
        shared[i] = malloc(100);
        pattern_fill(shared[i], 100, (unsigned)i);
    }
}

static void body_freed_by_another_thread(void) {
    for (int round = 0; round < 5; round++) {
        fill_shared();
        (void)in_thread(free_shared, NULL);
    }
}

static void free_and_go_on(void) {
    (void)free_shared(NULL);
    (void)random_calls(NULL);
    (void)in_thread(random_calls, NULL);
}

static void body_fork(void) {
    fill_shared();
    for (int i = 0; i < 5; i++) {
        in_child(free_and_go_on);
    }
    (void)free_shared(NULL);
}

static void body_realloc_growth(void) {
    unsigned char *p = NULL;
    for (size_t size = 1; size < 3 * MIB; size += size / 3 + 1) {
        p = realloc(p, size);
        CHECK(p != NULL && pattern_holds(p, size - size / 4 - 1, 5));
        pattern_fill(p, size, 5);
    }
    for (size_t size = 3 * MIB; size != 0; size /= 2) {
        p = realloc(p, size);
        CHECK(p != NULL && pattern_holds(p, size < MIB ? size : MIB, 5));
    }
    free(p);
}

// The usable size of a sample is what was asked for, and its neighbourhood is not the program's.
static void body_usable_size(void) {
    for (size_t size = 0; size < 70000; size += size / 10 + 1) {
        char *p = malloc(size);
        size_t usable = malloc_usable_size(p);
        CHECK(usable >= size);
        CHECK(option() != 1 || usable == size);
        memset(p, 1, usable);
        CHECK(malloc_usable_size(p) == usable);
        free(p);
    }
}

static void body_trim_and_limits(void) {
    for (int round = 0; round < 3; round++) {
        (void)random_calls(NULL);
        (void)malloc_trim(0);
    }
    CHECK(malloc(opaque((size_t)1 << 60)) == NULL && errno == ENOMEM);
    CHECK(calloc(opaque((size_t)1 << 40), opaque((size_t)1 << 40)) == NULL);
    CHECK(aligned_alloc(opaque(3), 10) == NULL);
    struct mallinfo2 info = mallinfo2();
    CHECK(info.uordblks < 16 * MIB);
}

static __attribute__((noinline)) void free_twice(void) {
    void *p = malloc(100);
    free(opaque_pointer(p));
    free(opaque_pointer(p));
}

static void read_all(int fd, char *text, size_t capacity) {
    size_t used = 0;
    ssize_t got;
    while ((got = read(fd, text + used, capacity - 1 - used)) > 0) {
        used += (size_t)got;
    }
    text[used] = '\0';
}

// What a fatal line is followed by: where the block was allocated and freed, as files and offsets.
static void body_stacks(void) {
    char text[8192];
    int ends[2];
    int status;
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        free_twice();
        _exit(0);
    }
    close(ends[1]);
    read_all(ends[0], text, sizeof text);
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    const char *allocated = strstr(text, "\nhakmem:   allocated at\nhakmem:     0x");
    const char *freed = strstr(text, "\nhakmem:   freed at\nhakmem:     0x");
    CHECK(allocated != NULL && freed > allocated);
    CHECK(strstr(allocated, " test_guard_sample+0x") < freed);
    CHECK(strstr(freed, " test_guard_sample+0x") != NULL);
    CHECK(strstr(text, " libhakmem") == NULL);
}

// ---- The share ---------------------------------------------------------------------

static size_t allocations;

static void *counted(size_t size) {
    allocations++;
    char *p = malloc(size);
    CHECK(p != NULL);
    *(volatile char *)p = 1;
    return p;
}

static void pairs(size_t size, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(counted(size));
    }
}

static void waves(size_t length, size_t count) {
    static void *blocks[100000];
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < length; k++) {
            blocks[k] = counted(48);
        }
        for (size_t k = 0; k < length; k++) {
            free(blocks[k]);
        }
    }
}

static void random_replace(size_t count) {
    static void *blocks[3000];
    for (size_t i = 0; i < count; i++) {
        size_t k = below(COUNT_OF(blocks));
        free(blocks[k]);
        blocks[k] = counted(16 + below(1000));
    }
}

static void run_pairs_of_64(void) {
    pairs(64, 3000000);
}

static void run_pairs_of_20000(void) {
    pairs(20000, 500000);
}

static void run_pairs_of_40000(void) {
    pairs(40000, 100000);
}

static void run_waves(void) {
    waves(1000, 1500);
    waves(100000, 15);
}

static void run_replace(void) {
    random_replace(2000000);
}

// A sum of gaps that are each even from 0 to 2 N: its deviation is N * sqrt(k / 3) for k samples.
// Five of them, and some more, for what a few bins hold.
static void check_share(void (*run)(void)) {
    long before = figure("guard_samples");
    allocations = 0;
    run();
    double wanted = (double)allocations / (double)option();
    double off = (double)(figure("guard_samples") - before) - wanted;
    CHECK(off * off < 25 * (wanted / 3) + 9 + 0.0009 * wanted * wanted);
}

static void body_share_pairs(void) {
    check_share(run_pairs_of_64);
}

static void body_share_wide_pairs(void) {
    check_share(run_pairs_of_20000);
}

static void body_share_large_pairs(void) {
    check_share(run_pairs_of_40000);
}

static void body_share_waves(void) {
    check_share(run_waves);
}

static void body_share_replace(void) {
    check_share(run_replace);
}

static void *replace_in_thread(void *unused) {
    (void)unused;
    random_replace(1000000);
    return NULL;
}

static void run_in_threads(void) {
    for (int i = 0; i < 3; i++) {
        (void)in_thread(replace_in_thread, NULL);
    }
}

static void body_share_threads(void) {
    check_share(run_in_threads);
}

// ---- Again, with the option ---------------------------------------------------------------------

static const body_t bodies[] = {
    {"random", body_random},
    {"threads", body_threads},
    {"freed_by_another_thread", body_freed_by_another_thread},
    {"fork", body_fork},
    {"realloc_growth", body_realloc_growth},
    {"usable_size", body_usable_size},
    {"trim_and_limits", body_trim_and_limits},
    {"stacks", body_stacks},
    {"share_pairs", body_share_pairs},
    {"share_wide_pairs", body_share_wide_pairs},
    {"share_large_pairs", body_share_large_pairs},
    {"share_waves", body_share_waves},
    {"share_replace", body_share_replace},
    {"share_threads", body_share_threads},
};

static void again(const char *n, const char *body) {
    int status = 0;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        setenv("HAKMEM_GUARD_SAMPLE", n, 1);
        setenv("HAKMEM_HARDEN", "0", 1);
        execl("/proc/self/exe", "test_guard_sample", body, (char *)NULL);
        _exit(2);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

#define LAWFUL(name)                                                                               \
    static void name##_is_as_ever(void) {                                                          \
        again("1", #name);                                                                         \
        again("100", #name);                                                                       \
    }
#define SHARE(name)                                                                                \
    static void name##_is_one_in_n(void) {                                                         \
        again("200", #name);                                                                       \
        again("5000", #name);                                                                      \
    }

LAWFUL(random)
LAWFUL(threads)
LAWFUL(freed_by_another_thread)
LAWFUL(fork)
LAWFUL(realloc_growth)
LAWFUL(usable_size)
LAWFUL(trim_and_limits)
static void stacks_are_told(void) {
    again("1", "stacks");
}

SHARE(share_pairs)
SHARE(share_wide_pairs)
SHARE(share_large_pairs)
SHARE(share_waves)
SHARE(share_replace)
SHARE(share_threads)

static int run_cases(void) {
    static const check_case_t cases[] = {
        CASE(random_is_as_ever),
        CASE(threads_is_as_ever),
        CASE(freed_by_another_thread_is_as_ever),
        CASE(fork_is_as_ever),
        CASE(realloc_growth_is_as_ever),
        CASE(usable_size_is_as_ever),
        CASE(trim_and_limits_is_as_ever),
        CASE(stacks_are_told),
        CASE(share_pairs_is_one_in_n),
        CASE(share_wide_pairs_is_one_in_n),
        CASE(share_large_pairs_is_one_in_n),
        CASE(share_waves_is_one_in_n),
        CASE(share_replace_is_one_in_n),
        CASE(share_threads_is_one_in_n),
    };
    return check_run(cases, COUNT_OF(cases));
}

int main(int argc, char **argv) {
    if (argc == 1) {
        if (!runs_under_hakmem()) {
            check_print(STDOUT_FILENO, "skip guard_sample: not hakmem\ndone 1\n");
            return 0;
        }
        return run_cases();
    }
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        if (strcmp(bodies[i].name, argv[1]) == 0) {
            bodies[i].run();
            return 0;
        }
    }
    return 2;
}
