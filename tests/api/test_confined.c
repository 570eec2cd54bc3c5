// Processes with locked memory, with a seccomp filter that lets only memory calls through, on
// kernels that lack an madvise, or where every writable page must be promised.
#include "check.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static const size_t sizes[] = {10, 500, 1024, 3000, 20000, 32768, 50000, 400000, 3 << 20};

static void dirty_and_free(size_t size) {
    void *p = malloc(size);
    CHECK(p != NULL);
    memset(p, 0xa5, malloc_usable_size(p));
    free(p);
}

// A block that shrinks leaves dirty pages behind, one that moves a dirty block.
static void dirty_and_resize(size_t size) {
    void *p = malloc(size);
    CHECK(p != NULL);
    memset(p, 0xa5, malloc_usable_size(p));
    p = realloc(p, size / 3 + 1);
    CHECK(p != NULL);
    p = realloc(p, size * 2);
    CHECK(p != NULL);
    memset(p, 0xa5, malloc_usable_size(p));
    free(p);
}

static void check_calloc_is_zero(void) {
    // In use, so that free memory beside it is not unmapped but purged.
    void *neighbours[] = {malloc(40000), malloc(1000)};
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            dirty_and_free(sizes[i]);
            dirty_and_resize(sizes[i]);
            if (round % 2 == 0) {
                malloc_trim(0);
            }
            void *p = calloc(1, sizes[i]);
            CHECK(p != NULL && all_zero(p, sizes[i]));
            free(p);
        }
    }
    free(neighbours[0]);
    free(neighbours[1]);
}

static void calloc_in_locked_memory(void) {
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        _exit(42);
    }
    check_calloc_is_zero();
}

static void in_confined_child(void (*body)(void)) {
    int status = 0;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        body();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    if (WEXITSTATUS(status) == 42) {
        SKIP("this confinement is not permitted here");
    }
    CHECK(WEXITSTATUS(status) == 0);
}

static void calloc_in_locked_memory_is_zero(void) {
    in_confined_child(calloc_in_locked_memory);
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

// ---- kernels that lack an advice ----

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static bool apply(struct sock_filter *filter, size_t length) {
    struct sock_fprog program = {(unsigned short)length, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#define LOAD(field)                                                                                \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, field))

// madvise with these advices fails by EINVAL, as on a kernel that does not know them.
static bool lack_advices(unsigned one, unsigned other) {
    struct sock_filter filter[] = {
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 4),
        LOAD(args[2]), // its low half: both of our machines are little-endian
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, one, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, other, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    return apply(filter, COUNT_OF(filter));
}

enum { GROWING = 40000 };

// Enough of one size that hakmem asks for pages ahead of faults; a few stay, so that it has to
// purge.
static void grow_and_shrink(void) {
    static unsigned char *blocks[GROWING];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < GROWING; i++) {
            blocks[i] = blocks[i] != NULL ? blocks[i] : malloc(512);
            CHECK(blocks[i] != NULL);
            pattern_fill(blocks[i], 512, (unsigned)i);
        }
        for (size_t i = 0; i < GROWING; i++) {
            CHECK(pattern_holds(blocks[i], 512, (unsigned)i));
            if (i % 4000 != 0) {
                free(blocks[i]);
                blocks[i] = NULL;
            }
        }
    }
}

static void without_new_advices(void) {
    if (!lack_advices(MADV_FREE, MADV_POPULATE_WRITE)) {
        _exit(42);
    }
    CHECK(madvise(NULL, 4096, MADV_FREE) == -1 && errno == EINVAL);
    size_t start = rollup_kib("Rss:");
    grow_and_shrink();
    check_calloc_is_zero();
    if (runs_under_hakmem()) {
        // It gives back 20 MiB by an older one, but for the bound: 4 MiB, and as the rounds are pulses,
        // 4 MiB and a SuperSlab more; and what lies in bins.
        CHECK(rollup_kib("Rss:") <= start + 12 * MIB / KIB);
    }
}

static void without_dontneed(void) {
    if (!lack_advices(MADV_DONTNEED, MADV_FREE)) {
        _exit(42);
    }
    CHECK(madvise(NULL, 4096, MADV_DONTNEED) == -1 && errno == EINVAL);
    grow_and_shrink();
    check_calloc_is_zero();
}

static void kernel_without_free_and_populate_gets_memory_back(void) {
    in_confined_child(without_new_advices);
}

static void kernel_that_takes_nothing_back_never_breaks_calloc(void) {
    in_confined_child(without_dontneed);
}

// ---- every writable page must be promised ----

// RLIMIT_DATA counts what vm.overcommit_memory=2 counts, for one process: private writable
// mappings, touched or not, MAP_NORESERVE or not.
static void with_64_mib_promised(void) {
    static void *blocks[1 << 16];
    struct rlimit limit = {64 * MIB, 64 * MIB};
    size_t counts[2] = {0};
    CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
    for (int round = 0; round < 2; round++) {
        size_t count = 0;
        errno = 0;
        while (count < COUNT_OF(blocks) && (blocks[count] = malloc(sizes[count % 8])) != NULL) {
            count++;
        }
        CHECK(count < COUNT_OF(blocks) && errno == ENOMEM);
        CHECK(count / 8 * 507000 >= 40 * MIB); // of the first eight sizes together
        counts[round] = count;
        while (count > 0) {
            free(blocks[--count]);
        }
        check_calloc_is_zero();
    }
    CHECK(counts[1] >= counts[0]);
}

static void promised_memory_runs_out_and_comes_back(void) {
    in_confined_child(with_64_mib_promised);
}

CHECK_MAIN(CASE(calloc_in_locked_memory_is_zero), CASE(seccomp_that_kills_lets_the_heap_work),
           CASE(seccomp_that_refuses_lets_the_heap_work),
           CASE(kernel_without_free_and_populate_gets_memory_back),
           CASE(kernel_that_takes_nothing_back_never_breaks_calloc),
           CASE(promised_memory_runs_out_and_comes_back))
