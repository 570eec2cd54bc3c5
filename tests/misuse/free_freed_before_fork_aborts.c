// A block freed before fork and again in the child.
// expect: hakmem: double free of %P \(class [0-9]+, 64 bytes\)
#include "misuse.h"

#include <signal.h>
#include <sys/wait.h>

int main(void) {
    void *blocks[10];
    int status = 0;
    malloc_many(blocks, 10, 64);
    announce('P', blocks[5]);
    free(hide(blocks[5]));
    pid_t child = fork();
    if (child == 0) {
        free(hide(blocks[5]));
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFSIGNALED(status)) {
        return 2;
    }
    // The runner sees this process only: end the way the child ended.
    raise(WTERMSIG(status));
    return 2;
}
