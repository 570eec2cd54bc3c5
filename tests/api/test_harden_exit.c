// The hardened mode looks at every block when the program ends, also where blocks are aligned above a page
// and where exit() comes from a signal handler that interrupted malloc.
#include "check.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

static void *aligned[8];

static void leave_aligned_blocks(void) {
    for (size_t i = 0; i < COUNT_OF(aligned); i++) {
        CHECK(posix_memalign(&aligned[i], (size_t)65536 << i % 6, 100 + i) == 0);
        CHECK((uintptr_t)aligned[i] % ((size_t)65536 << i % 6) == 0);
    }
    exit(0);
}

static void leave_now(int number) {
    (void)number;
    exit(0);
}

static void leave_in_a_handler(void) {
    struct itimerval soon = {{0, 0}, {0, 3000}};
    CHECK(signal(SIGALRM, leave_now) != SIG_ERR);
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    for (;;) {
        free(opaque_pointer(malloc(1000)));
    }
}

static int run_course(const char *course) {
    int status = 0;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        setenv("HAKMEM_HARDEN", "1", 1);
        execl("/proc/self/exe", "test_harden_exit", course, (char *)NULL);
        _exit(99);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

static void exit_with_aligned_blocks_live_is_silent(void) {
    CHECK(run_course("aligned") == 0);
}

static void exit_in_a_handler_that_interrupted_malloc_ends(void) {
    for (int i = 0; i < 20; i++) {
        CHECK(run_course("handler") == 0);
    }
}

int main(int argc, char **argv) {
    static const check_case_t cases[] = {CASE(exit_with_aligned_blocks_live_is_silent),
                                         CASE(exit_in_a_handler_that_interrupted_malloc_ends)};
    if (argc > 1 && strcmp(argv[1], "aligned") == 0) {
        leave_aligned_blocks();
    }
    if (argc > 1) {
        leave_in_a_handler();
    }
    return check_run(cases, COUNT_OF(cases));
}
