// Processes with locked memory, or with a seccomp filter that lets only memory calls through.
#include "check.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static const size_t sizes[] = {10, 500, 1024, 3000, 20000, 32768, 50000, 400000, 3 << 20};

static void dirty_and_free(size_t size) {
    void *p = malloc(size);
    CHECK(p != NULL);
    memset(p, 0xa5, malloc_usable_size(p));
    free(p);
}

static void calloc_in_locked_memory(void) {
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        _exit(42);
    }
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            dirty_and_free(sizes[i]);
            malloc_trim(0);
            void *p = calloc(1, sizes[i]);
            CHECK(p != NULL && all_zero(p, sizes[i]));
            free(p);
        }
    }
}

static void calloc_in_locked_memory_is_zero(void) {
    int status = 0;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        calloc_in_locked_memory();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    if (WEXITSTATUS(status) == 42) {
        SKIP("mlockall is not permitted here");
    }
    CHECK(WEXITSTATUS(status) == 0);
}

#define ALLOW(call)                                                                                \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

// Everything but memory calls, read, write and exit gets `verdict`.
static bool confine(unsigned verdict) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_read),
        ALLOW(SYS_write),
        ALLOW(SYS_exit),
        ALLOW(SYS_exit_group),
        ALLOW(SYS_rt_sigreturn),
        ALLOW(SYS_brk),
        ALLOW(SYS_mmap),
        ALLOW(SYS_munmap),
        ALLOW(SYS_mremap),
        ALLOW(SYS_mprotect),
        ALLOW(SYS_madvise),
        ALLOW(SYS_futex),
        ALLOW(SYS_clock_gettime),
        BPF_STMT(BPF_RET | BPF_K, verdict),
    };
    struct sock_fprog program = {(unsigned short)COUNT_OF(filter), filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static unsigned child_verdict;

static void use_every_tier_confined(void) {
    // Programs confine themselves after their start-up, which has allocated.
    free(malloc(1));
    if (!confine(child_verdict)) {
        return;
    }
    static void *blocks[2000];
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            size_t size = sizes[i % 7] + i;
            blocks[i] = i % 3 == 0 ? calloc(1, size) : malloc(size);
            CHECK(blocks[i] != NULL);
            pattern_fill(blocks[i], size, (unsigned)i);
        }
        for (size_t i = 0; i < COUNT_OF(blocks); i++) {
            blocks[i] = realloc(blocks[i], sizes[(i + 1) % 7]);
            CHECK(blocks[i] != NULL);
            free(blocks[i]);
        }
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            dirty_and_free(sizes[i]);
            free(aligned_alloc(4096, sizes[i]));
        }
    }
}

static void seccomp_that_kills_lets_the_heap_work(void) {
    child_verdict = SECCOMP_RET_KILL_PROCESS;
    in_child(use_every_tier_confined);
}

static void seccomp_that_refuses_lets_the_heap_work(void) {
    child_verdict = SECCOMP_RET_ERRNO | EPERM;
    in_child(use_every_tier_confined);
}

CHECK_MAIN(CASE(calloc_in_locked_memory_is_zero), CASE(seccomp_that_kills_lets_the_heap_work),
           CASE(seccomp_that_refuses_lets_the_heap_work))
