/* compare_child.c: one run of one program: preload, wait, usage, score.
 *
 * Owns:      the child while it runs, and the signals that could end this program meanwhile.
 * Knows not: workloads, allocators, rounds.
 * Threads:   one. SIGCHLD and the signals that end programs are blocked from the start and taken by
 *            sigtimedwait() while a child runs: no handler, and no moment in which one gets lost.
 *
 * Invariant: each child leads a process group of its own, and that group is killed before the child
 * is reaped. So nothing that it started outlives its run, however the run ends, and the group's
 * number cannot have been given to others.
 */
#include "compare.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A run takes seconds. One that takes minutes hangs. */
#define LIMIT_S 300

/* Scores stand near the end of what a program prints, complaints at the start. */
#define SCORE_WINDOW_BYTES 65536
#define COMPLAINT_BYTES 4096

static sigset_t waited_signals; /* const after compare_block_signals() */
static sigset_t original_mask;  /* likewise */
static int interrupting_signal;

/* ---- text and paths ---- */

void compare_path(char *to, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(to, size, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= size) {
        fprintf(stderr, "compare: a path is too long: %s...\n", to);
        exit(2);
    }
}

void compare_text(char *to, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(to, size, format, arguments);
    va_end(arguments);
}

/* ---- signals ---- */

void compare_block_signals(void) {
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(&waited_signals);
    sigaddset(&waited_signals, SIGCHLD);
    for (size_t i = 0; i < COMPARE_COUNT(ending); i++) {
        struct sigaction now;
        sigaction(ending[i], NULL, &now);
        if (now.sa_handler != SIG_IGN) { /* nohup and the like had it ignored: leave it so */
            sigaddset(&waited_signals, ending[i]);
        }
    }
    signal(SIGCHLD, SIG_DFL); /* where it is inherited as ignored, there is no child to wait for */
    sigprocmask(SIG_BLOCK, &waited_signals, &original_mask);
}

int compare_interrupted(void) {
    return interrupting_signal;
}

void compare_die_of_signal(int signal_number) {
    signal(signal_number, SIG_DFL);
    raise(signal_number);
    sigprocmask(SIG_SETMASK, &original_mask, NULL);
    _exit(128 + signal_number); /* where the mask was inherited with the signal blocked */
}

/* ---- the child's side, between fork and exec ---- */

_Noreturn static void fail_in_child(const char *what) {
    dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
    _exit(127);
}

static void set_environment(const compare_command_t *command) {
    unsetenv("LD_PRELOAD");
    if (command->preload != NULL) {
        setenv("LD_PRELOAD", command->preload, 1);
    }
    for (const char *const *entry = command->environment; *entry != NULL; entry++) {
        putenv((char *)(size_t)*entry); /* putenv keeps the text and does not write to it */
    }
}

_Noreturn static void become(const compare_command_t *command, int output, int complaints) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* if this program is killed in a way it cannot see */
    int input = open("/dev/null", O_RDONLY);
    if (chdir(command->directory) != 0) {
        fail_in_child(command->directory);
    }
    if (command->input != NULL) {
        input = open(command->input, O_RDONLY);
    }
    if (input < 0) {
        fail_in_child("cannot open the input");
    }
    dup2(complaints, STDERR_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(input, STDIN_FILENO);
    if (input > STDERR_FILENO) {
        close(input);
    }
    set_environment(command);
    sigprocmask(SIG_SETMASK, &original_mask, NULL);
    execv(command->argv[0], command->argv);
    fail_in_child(command->argv[0]);
}

/* ---- waiting ---- */

double compare_now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool has_ended(pid_t child) {
    siginfo_t info = {0};
    int flags = WEXITED | WNOHANG | WNOWAIT; /* seen, and not yet reaped */
    return waitid(P_PID, (id_t)child, &info, flags) == 0 && info.si_pid == child;
}

/* Returns when the child has ended, its time is over or a signal asks this program to end.
 * False: the time is over. */
static bool wait_for(pid_t child, double deadline_s) {
    while (!has_ended(child)) {
        double left_s = deadline_s - compare_now_s();
        if (left_s <= 0.0) {
            return false;
        }
        struct timespec left = {.tv_sec = (time_t)left_s + 1};
        int signal_number = sigtimedwait(&waited_signals, NULL, &left);
        if (signal_number > 0 && signal_number != SIGCHLD) {
            interrupting_signal = signal_number;
            return true;
        }
    }
    return true;
}

static double seconds_of(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

/* Starts the child, waits for it and fills the sample, all but the score. Returns the wait status,
 * or -1 with the reason. */
static int run_child(const compare_command_t *command, int output, int complaints,
                     compare_sample_t *sample, char *reason, size_t reason_size) {
    double start_s = compare_now_s();
    /* fork and not vfork or posix_spawn: with those the child shares this program's memory until it
     * executes, and the kernel counts that memory's peak as the child's own. */
    pid_t child = fork();
    if (child < 0) {
        compare_text(reason, reason_size, "cannot fork: %s", strerror(errno));
        return -1;
    }
    if (child == 0) {
        become(command, output, complaints);
    }
    setpgid(child, child); /* as the child does: whoever comes first */
    bool in_time = wait_for(child, start_s + LIMIT_S);
    double end_s = compare_now_s();
    kill(-child, SIGKILL);

    int status = 0;
    struct rusage usage;
    while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    sample->wall_s = end_s - start_s;
    sample->system_s = seconds_of(usage.ru_stime);
    sample->cpu_s = seconds_of(usage.ru_utime) + sample->system_s;
    sample->peak_rss_mib = (double)usage.ru_maxrss / 1024.0;
    sample->minor_faults = (double)usage.ru_minflt;
    sample->major_faults = (double)usage.ru_majflt;
    if (!in_time) {
        compare_text(reason, reason_size, "no end after %d seconds", LIMIT_S);
        return -1;
    }
    return status;
}

/* ---- what the child printed ---- */

/* Reads up to size - 1 bytes from the start or the end of the file; returns them as a string. */
static char *read_part(int file, char *text, size_t size, bool from_end) {
    off_t length = lseek(file, 0, SEEK_END);
    off_t start = from_end && length > (off_t)size - 1 ? length - ((off_t)size - 1) : 0;
    ssize_t got = pread(file, text, size - 1, start);
    text[got > 0 ? got : 0] = '\0';
    for (ssize_t i = 0; i < got; i++) {
        if (text[i] == '\0') {
            text[i] = '?';
        }
    }
    return text;
}

/* The first place in `text` where the pattern stands, '#' matching a number. */
static bool find_score(const char *text, const char *pattern, double *score) {
    const char *mark = strchr(pattern, '#');
    size_t before = (size_t)(mark - pattern);
    const char *after = mark + 1;
    for (const char *at = text; *at != '\0'; at++) {
        if (strncmp(at, pattern, before) != 0) {
            continue;
        }
        const char *number = at + before;
        if (before == 0 && !isdigit((unsigned char)*number)) {
            continue;
        }
        char *end = NULL;
        double value = strtod(number, &end);
        if (end != number && value > 0.0 && strncmp(end, after, strlen(after)) == 0) {
            *score = value;
            return true;
        }
    }
    return false;
}

/* The child's first complaint in one line, for the reason of a failure. */
static void append_complaint(int complaints, char *reason, size_t reason_size) {
    char text[COMPLAINT_BYTES];
    read_part(complaints, text, sizeof text, false);
    text[strcspn(text, "\n")] = '\0';
    size_t length = strlen(reason);
    if (text[0] != '\0') {
        compare_text(reason + length, reason_size - length, ": %s", text);
    }
}

static bool ended_well(int status, int complaints, char *reason, size_t reason_size) {
    if (WIFSIGNALED(status)) {
        int number = WTERMSIG(status);
        compare_text(reason, reason_size, "signal %d (%s)", number, strsignal(number));
    } else if (WEXITSTATUS(status) != 0) {
        compare_text(reason, reason_size, "exit status %d", WEXITSTATUS(status));
    } else {
        return true;
    }
    append_complaint(complaints, reason, reason_size);
    return false;
}

/* Without this check a library that the loader refuses would be reported as a copy of the system's
 * malloc. */
static bool was_preloaded(int complaints, char *reason, size_t reason_size) {
    char text[COMPLAINT_BYTES];
    if (strstr(read_part(complaints, text, sizeof text, false), "cannot be preloaded") == NULL) {
        return true;
    }
    compare_text(reason, reason_size, "the loader refused the library");
    append_complaint(complaints, reason, reason_size);
    return false;
}

static bool take_score(const compare_command_t *command, int output, compare_sample_t *sample,
                       char *reason, size_t reason_size) {
    static char text[SCORE_WINDOW_BYTES];
    if (command->score == NULL) {
        sample->score = sample->cpu_s > 1e-6 ? sample->cpu_s : 1e-6; /* the clock's step */
        return true;
    }
    if (find_score(read_part(output, text, sizeof text, true), command->score, &sample->score)) {
        return true;
    }
    compare_text(reason, reason_size, "no line \"%s\" in its output", command->score);
    return false;
}

bool compare_run(const compare_command_t *command, compare_sample_t *sample, char *reason,
                 size_t reason_size) {
    /* Files in memory: they need no name, so there is nothing to remove. */
    int output = memfd_create("output", MFD_CLOEXEC);
    int complaints = memfd_create("complaints", MFD_CLOEXEC);
    bool good = false;
    if (output < 0 || complaints < 0) {
        compare_text(reason, reason_size, "no file for the output: %s", strerror(errno));
    } else {
        int status = run_child(command, output, complaints, sample, reason, reason_size);
        good = status != -1 && ended_well(status, complaints, reason, reason_size) &&
               was_preloaded(complaints, reason, reason_size) &&
               take_score(command, output, sample, reason, reason_size);
    }
    close(output);
    close(complaints);
    return good;
}
