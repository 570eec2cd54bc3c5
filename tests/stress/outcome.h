// How a child process ended that is allowed to be stopped by the allocator, but not to go wrong.
//
// outcome_of() runs body() in a child and sorts its end: OUTCOME_WELL (status 0, nothing on stderr),
// OUTCOME_STOPPED (SIGABRT after one line that starts with "hakmem: ", and its details, which start with
// "hakmem:   "), or OUTCOME_WRONG: a hang, another signal, another status, another text. The tally counts stops by their text.
#ifndef OUTCOME_H
#define OUTCOME_H

#include <poll.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "stress_util.h"

enum { OUTCOME_LINES = 16, OUTCOME_TEXT = 400, OUTCOME_STDERR = 16384, OUTCOME_SECONDS = 20 };

typedef enum { OUTCOME_WELL, OUTCOME_STOPPED, OUTCOME_WRONG } outcome_kind_t;

typedef struct {
    long well, stopped;
    char lines[OUTCOME_LINES][OUTCOME_TEXT]; // numbers left out
    long counts[OUTCOME_LINES];
} tally_t;

typedef struct {
    outcome_kind_t kind;
    int status;
    bool hung;
    char text[OUTCOME_STDERR]; // what it wrote to stderr
} outcome_t;

static inline void outcome_read(int fd, outcome_t *outcome) {
    double end = stress_seconds() + OUTCOME_SECONDS;
    size_t used = 0;
    struct pollfd wish = {.fd = fd, .events = POLLIN};
    for (;;) {
        int left_ms = (int)((end - stress_seconds()) * 1000);
        if (left_ms <= 0) {
            outcome->hung = true;
            break;
        }
        if (poll(&wish, 1, left_ms) <= 0) {
            continue;
        }
        char scrap[OUTCOME_TEXT];
        ssize_t n = read(fd, scrap, sizeof scrap);
        if (n <= 0) {
            break;
        }
        size_t room = OUTCOME_STDERR - 1 - used;
        size_t taken = (size_t)n < room ? (size_t)n : room;
        memcpy(outcome->text + used, scrap, taken);
        used += taken;
    }
    outcome->text[used] = '\0';
}

// One line, and behind it details only, all of them whole.
static inline bool outcome_is_report(const char *text) {
    const char *newline = strchr(text, '\n');
    while (newline != NULL && newline[1] != '\0') {
        if (strncmp(newline + 1, "hakmem:   ", 10) != 0) {
            return false;
        }
        newline = strchr(newline + 1, '\n');
    }
    return newline != NULL && strncmp(text, "hakmem: ", 8) == 0;
}

static inline outcome_kind_t outcome_kind(const outcome_t *outcome) {
    if (!outcome->hung && outcome->status == 0 && outcome->text[0] == '\0') {
        return OUTCOME_WELL;
    }
    if (!outcome->hung && WIFSIGNALED(outcome->status) && WTERMSIG(outcome->status) == SIGABRT &&
        outcome_is_report(outcome->text)) {
        return OUTCOME_STOPPED;
    }
    return OUTCOME_WRONG;
}

// The text with each number replaced by N, so that equal stops count together.
static inline void outcome_shape(const char *text, char *shape) {
    size_t used = 0;
    for (const char *at = text; *at != '\0' && *at != '\n' && used < OUTCOME_TEXT - 2; at++) {
        bool digit = *at >= '0' && *at <= '9';
        if (digit) {
            shape[used++] = 'N';
            at += strncmp(at, "0x", 2) == 0 ? 2 : 0;
            at += strspn(at, "0123456789abcdef") - 1;
        } else {
            shape[used++] = *at;
        }
    }
    shape[used] = '\0';
}

static inline void tally_add(tally_t *tally, const outcome_t *outcome) {
    char shape[OUTCOME_TEXT];
    if (outcome->kind == OUTCOME_WELL) {
        tally->well++;
        return;
    }
    tally->stopped++;
    outcome_shape(outcome->text, shape);
    for (int i = 0; i < OUTCOME_LINES; i++) {
        if (tally->counts[i] == 0) {
            memcpy(tally->lines[i], shape, OUTCOME_TEXT);
        }
        if (strcmp(tally->lines[i], shape) == 0) {
            tally->counts[i]++;
            return;
        }
    }
}

static inline void tally_print(const tally_t *tally) {
    for (int i = 0; i < OUTCOME_LINES && tally->counts[i] != 0; i++) {
        printf("  %ld stopped: %s\n", tally->counts[i], tally->lines[i]);
    }
}

// body() must end the child itself or return, which is status 0.
static inline outcome_t outcome_of(void (*body)(void)) {
    static const struct rlimit no_core = {0, 0};
    outcome_t outcome = {.kind = OUTCOME_WRONG};
    int ends[2];
    if (pipe(ends) != 0) {
        STRESS_FAIL("cannot make a pipe: errno %d\n", errno);
    }
    pid_t child = fork();
    if (child < 0) {
        STRESS_FAIL("cannot fork: errno %d\n", errno);
    }
    if (child == 0) {
#ifndef OUTCOME_CORES
        setrlimit(RLIMIT_CORE, &no_core);
#else
        (void)no_core;
#endif
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        body();
        _exit(0);
    }
    close(ends[1]);
    outcome_read(ends[0], &outcome);
    if (outcome.hung) {
        kill(child, SIGKILL);
    }
    close(ends[0]);
    if (waitpid(child, &outcome.status, 0) != child) {
        STRESS_FAIL("waitpid: errno %d\n", errno);
    }
    outcome.kind = outcome_kind(&outcome);
    return outcome;
}

#endif
