// What small programs and idle threads cost above what they cost under glibc. The test starts
// programs, itself among them, with and without the library, stops each at its exit and reads what
// it holds.
//
// Private memory is compared: what would be free if the process were gone. It is all anonymous
// memory, and the library's own pages as long as no other process uses them. Resident memory also
// counts the code of libc, in pieces of 64 KiB that the kernel maps around each fault as it likes.
#include "check.h"

#include <signal.h>
#include <sys/ptrace.h>

extern char **environ;

enum { NO_TRACING = 42, THREADS = 100 };

static char self[4096];
static char preload[4096 + 16]; // "LD_PRELOAD=..."

static size_t field_kib(const char *text, const char *key) {
    const char *line = strstr(text, key);
    CHECK(line != NULL);
    return (size_t)strtoull(line + strlen(key), NULL, 10);
}

static size_t private_kib(pid_t process) {
    char path[64];
    char text[4096] = {0};
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)process);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    return field_kib(text, "Private_Clean:") + field_kib(text, "Private_Dirty:");
}

static void start_traced(char **arguments, bool with_library) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        _exit(NO_TRACING);
    }
    CHECK(unsetenv("LD_PRELOAD") == 0);
    if (with_library) {
        CHECK(putenv(preload) == 0);
    }
    execve(arguments[0], arguments, environ);
    _exit(4);
}

// Its cost at its exit, which has to be with status 0; 0 where tracing is not permitted.
static size_t cost_kib(char **arguments, bool with_library) {
    size_t cost = 0;
    int status = 0;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        start_traced(arguments, with_library);
    }
    CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_TRACING) {
        return 0;
    }
    CHECK(WIFSTOPPED(status)); // by its exec
    CHECK(ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACEEXIT) == 0);
    for (;;) {
        CHECK(ptrace(PTRACE_CONT, child, NULL, NULL) == 0);
        CHECK(waitpid(child, &status, 0) == child);
        if (WIFEXITED(status)) {
            CHECK(WEXITSTATUS(status) == 0 && cost != 0);
            return cost;
        }
        CHECK(WIFSTOPPED(status) && status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8));
        cost = private_kib(child);
    }
}

static void check_costs_300_kib_more_at_most(char **arguments) {
    size_t plain = cost_kib(arguments, false);
    if (plain == 0) {
        SKIP("tracing a child is not permitted here");
    }
    size_t loaded = cost_kib(arguments, true);
    CHECK(loaded <= plain + (is_hardened() ? 500 : 300));
    CHECK(!runs_under_hakmem() || loaded > plain); // or the library was not there
}

static void bin_true_costs_300_kib_more_at_most(void) {
    check_costs_300_kib_more_at_most((char *[]){(char *)"/bin/true", NULL});
}

static void one_block_of_each_tiny_class_costs_300_kib_more_at_most(void) {
    check_costs_300_kib_more_at_most((char *[]){self, (char *)"classes", NULL});
}

static int allocate_one_of_each_class(void) {
    for (size_t size = 16; size <= 1024; size += 16) {
        volatile char *p = malloc(size);
        if (p == NULL) {
            return 1;
        }
        *p = 1;
    }
    return 0;
}

// ---- threads ----

static pthread_barrier_t barrier;

static void idle(void) {
    pthread_barrier_wait(&barrier); // all have come here
    pthread_barrier_wait(&barrier); // the program has been looked at
}

static void *only_idle(void *unused) {
    idle();
    return unused;
}

// Eight sizes, 13 KiB in all. (Each class that a thread uses costs it a page at least.)
static void *allocate_and_idle(void *unused) {
    static const size_t sizes[] = {24, 40, 64, 100, 128, 256, 512, 1000};
    for (size_t i = 0; i < 50; i++) {
        char *p = malloc(sizes[i % COUNT_OF(sizes)]);
        CHECK(p != NULL);
        memset(p, 1, sizes[i % COUNT_OF(sizes)]);
    }
    idle();
    return unused;
}

static size_t resident_kib_of_each(void *(*body)(void *)) {
    pthread_t threads[THREADS];
    size_t before = rollup_kib("Rss:");
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS + 1) == 0);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, body, NULL) == 0);
    }
    pthread_barrier_wait(&barrier);
    size_t after = rollup_kib("Rss:");
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    return (after - before) / THREADS;
}

static void start_threads(void) {
    // What libc keeps of ended threads for others, some stacks and tables, is not hakmem's.
    (void)resident_kib_of_each(only_idle);
    size_t allocating = resident_kib_of_each(allocate_and_idle);
    CHECK(allocating >= 13);
    CHECK(!runs_under_hakmem() || allocating <= 64);
}

static void threads_with_13_kib_cost_64_kib_each_at_most(void) {
    in_child(start_threads);
}

int main(int argc, char **argv) {
    static const check_case_t cases[] = {
        CASE(bin_true_costs_300_kib_more_at_most),
        CASE(one_block_of_each_tiny_class_costs_300_kib_more_at_most),
        CASE(threads_with_13_kib_cost_64_kib_each_at_most)};
    if (argc > 1 && strcmp(argv[1], "classes") == 0) {
        return allocate_one_of_each_class();
    }
    Dl_info info;
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    CHECK(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) != 0);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%.4096s", info.dli_fname);
    return check_run(cases, COUNT_OF(cases));
}
