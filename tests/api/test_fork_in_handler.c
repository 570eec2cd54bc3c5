// fork in a signal handler that interrupted malloc or free, in a process of one thread: parent and
// child come back to the interrupted call and go on.
#include "check.h"

#include <signal.h>
#include <sys/time.h>

enum { FORKS = 100, BLOCKS = 10000 };

static volatile sig_atomic_t forks_done;
static volatile sig_atomic_t children_failed;
static volatile sig_atomic_t is_child;

// Odd children end at once; even ones come back into what was interrupted, like the parent.
static void fork_here(int signal_number) {
    (void)signal_number;
    int saved = errno;
    int status = 0;
    if (is_child || forks_done >= FORKS) { /* where a fork takes longer than the timer, no end else */
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        is_child = 1;
        if (forks_done % 2 == 1) {
            _exit(0);
        }
        alarm(0);
        errno = saved;
        return;
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    children_failed += child < 0 || status != 0;
    forks_done++;
    errno = saved;
}

static void churn_once(void) {
    static char *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = 16 + i % 3000;
        blocks[i] = malloc(size);
        CHECK(blocks[i] != NULL);
        blocks[i][0] = blocks[i][size - 1] = (char)i;
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        CHECK(blocks[i][0] == (char)i && blocks[i][15 + i % 3000] == (char)i);
        free(blocks[i]);
    }
}

static void fork_in_a_handler_that_interrupted_malloc_goes_on(void) {
    struct sigaction action = {.sa_handler = fork_here};
    struct itimerval every = {{0, 2000}, {0, 2000}};
    struct itimerval never = {{0, 0}, {0, 0}};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    while (forks_done < FORKS) {
        churn_once();
        if (is_child) {
            churn_once();
            _exit(0);
        }
    }
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK(children_failed == 0);
}

CHECK_MAIN(CASE(fork_in_a_handler_that_interrupted_malloc_goes_on))
