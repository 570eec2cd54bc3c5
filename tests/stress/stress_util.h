// What the stress programs share: random numbers, memory figures, watchdogs, and waits that end.
#ifndef STRESS_UTIL_H
#define STRESS_UTIL_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Ends the process with a message. Writes directly: stdio may hang in a broken child.
#define STRESS_FAIL(...)                                                                           \
    do {                                                                                           \
        char fail_text_[300];                                                                      \
        snprintf(fail_text_, sizeof fail_text_, __VA_ARGS__);                                      \
        stress_print(fail_text_);                                                                  \
        _exit(1);                                                                                  \
    } while (0)

// HAKMEM_HARDEN is set.
static inline bool stress_is_hardened(void) {
    const char *mode = getenv("HAKMEM_HARDEN");
    return mode != NULL && mode[0] != '0';
}

static inline void stress_print(const char *text) {
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

// xorshift64*: state must not be 0.
static inline uint64_t stress_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1d;
}

// A uniform number below `bound`, which is above 0 and far below 2^32.
static inline size_t stress_below(uint64_t *state, size_t bound) {
    return (size_t)(((stress_random(state) >> 32) * bound) >> 32);
}

static inline uint64_t stress_mix(uint64_t x) {
    x = (x ^ (x >> 31)) * 0x7fb5d329728ea185;
    x = (x ^ (x >> 27)) * 0x81dadef4bc2dd44d;
    return x ^ (x >> 33);
}

static inline double stress_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline void stress_sleep_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

// The resident set in KiB, read without the allocator.
static inline long stress_rss_kib(void) {
    char text[200];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0) {
        STRESS_FAIL("cannot read /proc/self/statm\n");
    }
    close(fd);
    text[n] = '\0';
    char *second = strchr(text, ' ');
    return second == NULL ? 0 : strtol(second, NULL, 10) * (sysconf(_SC_PAGESIZE) / 1024);
}

static inline void stress_alarm_handler(int number) {
    (void)number;
    stress_print("watchdog: no progress, a deadlock\n");
    abort();
}

// Aborts the process when stress_watchdog() is not called again within `seconds`. A child of fork
// has no alarm: it has to ask for its own.
static inline void stress_watchdog(unsigned seconds) {
    static int installed;
    if (!installed) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = stress_alarm_handler;
        sigaction(SIGALRM, &action, NULL);
        installed = 1;
    }
    alarm(seconds);
}

// Waits for a child that has to exit with status 0 in time; reports a hang, a signal or a failure.
static inline void stress_wait_for(pid_t child, double seconds) {
    double end = stress_seconds() + seconds;
    int status = 0;
    for (long pause_ms = 0;; pause_ms = pause_ms < 10 ? pause_ms + 1 : 10) {
        pid_t done = waitpid(child, &status, WNOHANG);
        if (done == child) {
            break;
        }
        if (done < 0 && errno != EINTR) {
            STRESS_FAIL("waitpid: errno %d\n", errno);
        }
        if (stress_seconds() > end) {
            kill(child, SIGABRT);
            STRESS_FAIL("child %d hangs\n", (int)child);
        }
        stress_sleep_ms(pause_ms);
    }
    if (WIFSIGNALED(status)) {
        STRESS_FAIL("child %d died of signal %d\n", (int)child, WTERMSIG(status));
    }
    if (WEXITSTATUS(status) != 0) {
        STRESS_FAIL("child %d failed with status %d\n", (int)child, WEXITSTATUS(status));
    }
}

// The number at argv[index], or `fallback` when there is none.
static inline long stress_argument(int argc, char **argv, int index, long fallback) {
    if (index >= argc) {
        return fallback;
    }
    char *end = NULL;
    long value = strtol(argv[index], &end, 0);
    if (end == argv[index] || *end != '\0' || value <= 0) {
        fprintf(stderr, "%s: '%s' is not a positive number\n", argv[0], argv[index]);
        exit(2);
    }
    return value;
}

#endif
