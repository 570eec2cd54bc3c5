/* unit.h: what every unit test shares: CMocka, random numbers, children that may crash.
 *
 * Owns:      helpers, header-only. CMocka's assertions hold in the process of the test only; a child
 *            uses CHECK(), which ends it with a line and status 1.
 * Knows not: hakmem.
 * Threads:   the thread that runs the test; unit_random() any, each with a state of its own.
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* For children and threads, where CMocka's assertions cannot jump back. */
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            dprintf(2, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond);                        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* xorshift64*; the state must not be 0. */
static inline uint64_t unit_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1DU;
}

/* 0 to below - 1. */
static inline size_t unit_below(uint64_t *state, size_t below) {
    return (size_t)(unit_random(state) >> 16) % below;
}

/* Waits for a child, and kills it when it takes longer: a fork handler that hangs does so before
 * the child could set an alarm. Returns the wait status, SIGKILL's if it hung. */
static inline int unit_wait(pid_t child, unsigned seconds) {
    int status = 0;
    for (unsigned steps = 0; steps < seconds * 1000; steps++) {
        if (waitpid(child, &status, WNOHANG) == child) {
            return status;
        }
        usleep(1000);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return status;
}

/* Reads until nobody has the other end any more, or for so many seconds; false when time ran out. */
static inline bool unit_read(int fd, char *text, size_t capacity, int seconds) {
    size_t used = 0;
    ssize_t got = 1;
    time_t end = time(NULL) + seconds;
    while (got > 0 && used + 1 < capacity && time(NULL) <= end) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, 1000) > 0) {
            got = read(fd, text + used, capacity - 1 - used);
            used += got > 0 ? (size_t)got : 0;
        }
    }
    text[used] = '\0';
    return time(NULL) <= end;
}

/* Runs f(argument) in a child, gathers what it writes to stderr; returns the wait status. What the
 * child has forked ends with it at the latest. */
static inline int unit_child(void (*f)(void *), void *argument, char *text, size_t capacity) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)setpgid(0, 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* none outlives a test that is stopped */
        (void)signal(SIGABRT, SIG_DFL);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        f(argument);
        _exit(0);
    }
    (void)setpgid(child, child);
    close(ends[1]);
    if (!unit_read(ends[0], text, capacity, 100)) {
        kill(-child, SIGKILL);
    }
    close(ends[0]);
    int status = 0;
    assert_true(waitpid(child, &status, 0) == child);
    return status;
}

/* Its length, with the newline. */
static inline size_t hak_unit_first_line(const char *text) {
    const char *end = strchr(text, '\n');
    return end != NULL ? (size_t)(end - text) + 1 : strlen(text);
}

/* f must end by SIGABRT after exactly this line on stderr, behind which only details may stand. */
static inline void unit_assert_aborts(void (*f)(void *), void *argument, const char *line) {
    char text[16384];
    int status = unit_child(f, argument, text, sizeof text);
    char *details = text + hak_unit_first_line(text);
    for (char *at = details; *at != '\0'; at += hak_unit_first_line(at)) {
        assert_memory_equal(at, "hakmem:   ", 10);
    }
    *details = '\0';
    assert_string_equal(text, line);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* f must come to its end, every CHECK() true. */
static inline void unit_assert_succeeds(void (*f)(void *), void *argument) {
    char text[1024];
    int status = unit_child(f, argument, text, sizeof text);
    if (status != 0) {
        print_error("child: status %#x: %s\n", (unsigned)status, text);
    }
    assert_int_equal(status, 0);
}

/* A case that runs in a process of its own: UNIT_CHILD(name) { ... CHECK(...); ... } */
#define UNIT_CHILD(name)                                                                           \
    static void name##_in_child(void *unused);                                                     \
    static void name(void **state) {                                                               \
        (void)state;                                                                               \
        unit_assert_succeeds(name##_in_child, NULL);                                               \
    }                                                                                              \
    static void name##_in_child(void *unused __attribute__((unused)))

#define UNIT_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#endif
