// What the API tests share: cases, checks, patterns, and a few facts about the process.
//
// A program lists its cases in CHECK_MAIN(CASE(f), ...). Each case that returns prints `ok NAME` or
// `skip NAME: why`; a failed check prints file:line and ends the program with status 1; the last
// line, `done N`, tells the runner that no case was lost. No stdio: it would allocate.
#ifndef CHECK_H
#define CHECK_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    const char *name;
    void (*run)(void);
} check_case_t;

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))
#define CASE(function)                                                                             \
    { #function, function }
#define SKIP(why)                                                                                  \
    do {                                                                                           \
        check_skip(why);                                                                           \
        return;                                                                                    \
    } while (0)
#define CHECK_MAIN(...)                                                                            \
    int main(void) {                                                                               \
        static const check_case_t cases[] = {__VA_ARGS__};                                         \
        return check_run(cases, COUNT_OF(cases));                                                  \
    }

static const char *check_skip_reason;

static inline void check_print(int fd, const char *text) {
    size_t length = strlen(text);
    while (length > 0) {
        ssize_t n = write(fd, text, length);
        if (n <= 0) {
            _exit(3);
        }
        text += n;
        length -= (size_t)n;
    }
}

__attribute__((noreturn)) static inline void check_failed(const char *file, int line,
                                                          const char *condition) {
    char text[400];
    const char *base = strrchr(file, '/');
    snprintf(text, sizeof text, "%s:%d: not true: %s (errno %d)\n", base ? base + 1 : file, line,
             condition, errno);
    check_print(STDERR_FILENO, text);
    _exit(1);
}

static inline void check_skip(const char *why) {
    check_skip_reason = why;
}

static inline int check_run(const check_case_t *cases, size_t n) {
    char text[200];
    for (size_t i = 0; i < n; i++) {
        check_skip_reason = NULL;
        cases[i].run();
        if (check_skip_reason != NULL) {
            snprintf(text, sizeof text, "skip %s: %s\n", cases[i].name, check_skip_reason);
        } else {
            snprintf(text, sizeof text, "ok %s\n", cases[i].name);
        }
        check_print(STDOUT_FILENO, text);
    }
    snprintf(text, sizeof text, "done %zu\n", n);
    check_print(STDOUT_FILENO, text);
    return 0;
}

// The same values, unknown to the compiler, which would otherwise warn about impossible sizes.
static inline size_t opaque(size_t n) {
    volatile size_t hidden = n;
    return hidden;
}

static inline void *opaque_pointer(const void *p) {
    volatile uintptr_t hidden = (uintptr_t)p;
    return (void *)hidden;
}

static inline bool is_aligned(const void *p, size_t alignment) {
    return ((uintptr_t)p & (alignment - 1)) == 0;
}

// The byte at `i` of a pattern; differs from page to page and from seed to seed.
static inline unsigned char pattern_byte(size_t i, unsigned seed) {
    return (unsigned char)(seed + i + (i >> 8) + (i >> 16));
}

static inline void pattern_fill(void *p, size_t size, unsigned seed) {
    unsigned char *bytes = (unsigned char *)p;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = pattern_byte(i, seed);
    }
}

static inline bool pattern_holds(const void *p, size_t size, unsigned seed) {
    const unsigned char *bytes = (const unsigned char *)p;
    unsigned char difference = 0;
    for (size_t i = 0; i < size; i++) {
        difference |= (unsigned char)(bytes[i] ^ pattern_byte(i, seed));
    }
    return difference == 0;
}

static inline bool all_zero(const void *p, size_t size) {
    const unsigned char *bytes = (const unsigned char *)p;
    unsigned char any = 0;
    for (size_t i = 0; i < size; i++) {
        any |= bytes[i];
    }
    return any == 0;
}

// Looks `name` up as a new program would; *function stays NULL when there is none.
static inline bool find_function(const char *name, void *function) {
    void *symbol = dlsym(RTLD_DEFAULT, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

// Whether the symbol that programs find under `name` stands in libhakmem.so.
static inline bool is_served_by_hakmem(const char *name) {
    Dl_info info;
    void *symbol = dlsym(RTLD_DEFAULT, name);
    return symbol != NULL && dladdr(symbol, &info) != 0 && info.dli_fname != NULL &&
           strstr(info.dli_fname, "hakmem") != NULL;
}

// False under libc's malloc: cases then leave out what only hakmem promises.
static inline bool runs_under_hakmem(void) {
    return is_served_by_hakmem("malloc");
}

// A "Vm...:" line of /proc/self/status in KiB.
static inline size_t status_kib(const char *key) {
    char text[8192];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    CHECK(n > 0);
    text[n] = '\0';
    const char *line = strstr(text, key);
    CHECK(line != NULL);
    return (size_t)strtoull(line + strlen(key) + 1, NULL, 10);
}

// HAKMEM_HARDEN is set: blocks cost more, and what was freed cannot be read.
static inline int is_hardened(void) {
    const char *mode = getenv("HAKMEM_HARDEN");
    return mode != NULL && mode[0] != '0';
}

// A "Key:" line of /proc/self/smaps_rollup in KiB. The kernel walks the page tables for it, while
// what "Vm...:" lines tell may be behind by some hundred KiB.
static inline size_t rollup_kib(const char *key) {
    char text[4096];
    size_t used = 0;
    ssize_t n;
    int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    while ((n = read(fd, text + used, sizeof text - 1 - used)) > 0) {
        used += (size_t)n;
    }
    close(fd);
    text[used] = '\0';
    const char *line = strstr(text, key);
    CHECK(line != NULL);
    return (size_t)strtoull(line + strlen(key) + 1, NULL, 10);
}

// Runs body() in a child, where a failed check ends the child only; a hang ends it after a minute.
static inline void in_child(void (*body)(void)) {
    int status = 0;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        body();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(!WIFSIGNALED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

// Runs body(arg) in a thread of its own, to its end.
static inline void *in_thread(void *(*body)(void *), void *arg) {
    pthread_t thread;
    void *result = NULL;
    CHECK(pthread_create(&thread, NULL, body, arg) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    return result;
}

#endif
