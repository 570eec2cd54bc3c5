/* os_linux.c: os.h on Linux, by raw system calls.
 *
 * Owns:      every system call, the clock, the environment; all code that depends on kernel or CPU.
 * Knows not: the rest of hakmem.
 * Threads:   stateless, but for the environment buffer, which start-up fills once.
 *
 * Raw calls and not libc's wrappers: those set errno, can be cancellation points, and some are
 * interposed by the very programs that we run under.
 */
#include "os.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define ERR_EXIST 17
#define ERR_INTR 4

#if defined(__x86_64__)
static long call6(long nr, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static long call6(long nr, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = nr;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#else
#error "hakmem knows the system call of x86-64 and aarch64"
#endif

static long call3(long nr, long a, long b, long c) {
    return call6(nr, a, b, c, 0, 0, 0);
}

static bool is_error(long result) {
    return (unsigned long)result > -4096UL;
}

/* The number that stands behind so many others in a file of one line; 0 when there is none. */
static size_t number_in_file(const char *path, unsigned before) {
    char text[64] = {0};
    long fd = call3(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC);
    if (is_error(fd)) {
        return 0;
    }
    (void)call3(SYS_read, fd, (long)text, (long)sizeof text - 1);
    (void)call3(SYS_close, fd, 0, 0);
    const char *at = text;
    size_t number = 0;
    for (; before != 0; before--) {
        while (*at != '\0' && *at != ' ') {
            at++;
        }
        at += *at == ' ';
    }
    for (; *at >= '0' && *at <= '9'; at++) {
        number = number * 10 + (size_t)(*at - '0');
    }
    return number;
}

static long map_memory(void *addr, size_t bytes, int flags) {
    return call6(SYS_mmap, (long)addr, (long)bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static bool os_unmap(void *addr, size_t bytes) {
    return !is_error(call3(SYS_munmap, (long)addr, (long)bytes, 0));
}

static hak_map_result_t os_map_at(void *addr, size_t bytes) {
    long got = map_memory(addr, bytes, MAP_FIXED_NOREPLACE);
    if (got == (long)addr) {
        return HAK_MAP_OK;
    }
    if (is_error(got) && got != -ERR_EXIST) {
        return HAK_MAP_NO_MEMORY; /* also a limit on locked memory, or a filter on system calls */
    }
    if (!is_error(got)) { /* before Linux 4.17 the flag is only a hint */
        os_unmap((void *)got, bytes);
    }
    return HAK_MAP_TAKEN;
}

static void *os_map(size_t bytes) {
    /* Metadata: mostly never touched, so it must not count against what the system promises. */
    long got = map_memory(NULL, bytes, MAP_NORESERVE);
    return is_error(got) ? NULL : (void *)got;
}

static bool os_purge(void *addr, size_t bytes) {
    /* MADV_DONTNEED and not MADV_FREE: the memory is gone at once, so that what the process is
     * said to use is what it uses, and it is known to read as zero. It fails on locked memory. */
    return !is_error(call3(SYS_madvise, (long)addr, (long)bytes, MADV_DONTNEED));
}

static bool os_move(void *from, void *to, size_t bytes) {
    long got = call6(SYS_mremap, (long)from, (long)bytes, (long)bytes,
                     MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, (long)to, 0);
    if (is_error(got)) {
        /* Some kernels drop the target before they find out that they cannot move. It held
         * nothing yet, so map it anew; where even that fails, a hole is left, and who writes there
         * ends the program: nothing is lost silently. */
        (void)map_memory(to, bytes, MAP_FIXED);
        return false;
    }
    return true;
}

static bool os_populate(void *addr, size_t bytes) {
    return !is_error(call3(SYS_madvise, (long)addr, (long)bytes, MADV_POPULATE_WRITE));
}

static void os_huge_pages(void *addr, size_t bytes, hak_huge_t wish) {
    (void)call3(SYS_madvise, (long)addr, (long)bytes,
                wish == HAK_HUGE_PLEASE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

static bool os_protect(void *addr, size_t bytes, bool accessible) {
    return !is_error(call3(SYS_mprotect, (long)addr, (long)bytes,
                           accessible ? PROT_READ | PROT_WRITE : PROT_NONE));
}

static size_t os_mappings_max(void) {
    return number_in_file("/proc/sys/vm/max_map_count", 0);
}

static uint32_t os_cpu(void) {
    int saved = errno;
    int cpu = sched_getcpu();
    errno = saved;
    return cpu >= 0 ? (uint32_t)cpu : 0;
}

static uint32_t os_now_ms(void) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now); /* vDSO: no system call, cannot fail */
    return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

static uint32_t os_now_us(void) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

static void os_wait(void *word, uint32_t while_value) {
    (void)call6(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, (long)while_value, 0, 0, 0);
}

static void os_wake_one(void *word) {
    (void)call6(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

static void os_write(int fd, const char *text, size_t bytes) {
    while (bytes > 0) {
        long wrote = call3(SYS_write, fd, (long)text, (long)bytes);
        if (wrote == -ERR_INTR) {
            continue;
        }
        if (is_error(wrote) || wrote == 0) {
            return;
        }
        text += wrote;
        bytes -= (size_t)wrote;
    }
}

hak_os_t hak_os = {
    .map_at = os_map_at,
    .map = os_map,
    .unmap = os_unmap,
    .purge = os_purge,
    .move = os_move,
    .populate = os_populate,
    .huge_pages = os_huge_pages,
    .protect = os_protect,
    .mappings_max = os_mappings_max,
    .now_ms = os_now_ms,
    .now_us = os_now_us,
    .cpu = os_cpu,
    .wait = os_wait,
    .wake_one = os_wake_one,
    .write = os_write,
};

/* sysinfo(2) is one call; /proc/meminfo would be three and a parser. */
static size_t physical_memory_bytes(void) {
    struct {
        long uptime;
        unsigned long loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
        unsigned short procs, pad;
        unsigned long totalhigh, freehigh;
        unsigned mem_unit;
        char reserve[64];
    } info = {0};
    if (is_error(call3(SYS_sysinfo, (long)&info, 0, 0))) {
        return 0;
    }
    return (size_t)info.totalram * info.mem_unit;
}

void hak_os_read_facts(hak_os_facts_t *facts) {
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    unsigned long page = getauxval(AT_PAGESZ);
    (void)call6(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&limit, 0, 0);
    facts->page_bytes = page != 0 ? page : 4096;
    facts->memory_bytes = physical_memory_bytes();
    facts->address_limit_bytes = limit.rlim_max == RLIM_INFINITY && limit.rlim_cur == RLIM_INFINITY
                                     ? SIZE_MAX
                                     : (size_t)hak_min(limit.rlim_cur, limit.rlim_max);
}

bool hak_os_is_secure(void) {
    return getauxval(AT_SECURE) != 0;
}

void hak_os_random(void *out, size_t size) {
    unsigned char *bytes = out;
    long got = call3(SYS_getrandom, (long)out, (long)size, 1 /* GRND_NONBLOCK */);
    if (got == (long)size) {
        return;
    }
    /* An early boot or a strict filter: the kernel gave each program 16 random bytes at exec. */
    const unsigned char *seed = (const unsigned char *)getauxval(AT_RANDOM);
    uint64_t mix = (uint64_t)(uintptr_t)&mix ^ os_now_ms();
    for (size_t i = 0; i < size; i++) {
        mix = (mix ^ (seed != NULL ? seed[i % 16] : 0)) * 0x9E3779B97F4A7C15U;
        bytes[i] = (unsigned char)(mix >> 56);
    }
}

extern char **environ;

/* What the kernel knows of the environment, for calls that come before libc has set environ. */
static const char *early_environment(void) {
    static char text[16384];
    static bool done;
    if (!done) {
        done = true;
        long fd = call3(SYS_openat, AT_FDCWD, (long)"/proc/self/environ", O_RDONLY | O_CLOEXEC);
        if (!is_error(fd)) {
            size_t used = 0;
            long got;
            while (used < sizeof text - 2 && (got = call3(SYS_read, fd, (long)(text + used),
                                                          (long)(sizeof text - 2 - used))) > 0) {
                used += (size_t)got;
            }
            (void)call3(SYS_close, fd, 0, 0);
        }
    }
    return text;
}

void hak_os_each_env(void (*visit)(const char *entry)) {
    if (environ != NULL) {
        for (char **entry = environ; *entry != NULL; entry++) {
            visit(*entry);
        }
        return;
    }
    for (const char *entry = early_environment(); *entry != '\0';) {
        visit(entry);
        while (*entry != '\0') {
            entry++;
        }
        entry++;
    }
}

bool hak_os_huge_pages_by_default(void) {
    char text[64] = {0};
    long fd = call3(SYS_openat, AT_FDCWD, (long)"/sys/kernel/mm/transparent_hugepage/enabled",
                    O_RDONLY | O_CLOEXEC);
    if (is_error(fd)) {
        return false;
    }
    long got = call3(SYS_read, fd, (long)text, (long)sizeof text - 1);
    (void)call3(SYS_close, fd, 0, 0);
    /* The chosen word stands in brackets: "[always] madvise never". */
    return got > 2 && text[0] == '[' && text[1] == 'a';
}

int hak_os_process_id(void) {
    return (int)call3(SYS_getpid, 0, 0, 0);
}

void hak_os_block_signals(void) {
    const uint64_t all = ~(uint64_t)0; /* the kernel's set, one bit a signal; not libc's sigset_t */
    (void)call6(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, 0, sizeof all, 0, 0);
}

static void (*fault_look)(const void *address); /* written before its handlers are in place */

/* When it returns, the instruction is run again and ends the program; a signal that somebody sent
 * is sent again. */
static void on_fault(int number, siginfo_t *info, void *context) {
    (void)context;
    const bool is_sent = info->si_code <= 0;
    if (!is_sent) {
        fault_look(info->si_addr);
    }
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    (void)sigaction(number, &standard, NULL);
    if (is_sent) {
        (void)call3(SYS_tgkill, hak_os_process_id(), (long)hak_os_thread_id(), number);
    }
}

/* libc's function and not a raw call: the kernel's needs code to return from a handler, which libc
 * has. It is no cancellation point, takes no lock, and touches errno only when it fails. */
static void catch_one(int number) {
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct sigaction before;
    action.sa_sigaction = on_fault;
    if (sigaction(number, NULL, &before) == 0 && (before.sa_flags & SA_SIGINFO) == 0 &&
        before.sa_handler == SIG_DFL) {
        (void)sigaction(number, &action, NULL);
    }
}

void hak_os_catch_faults(void (*look)(const void *address)) {
    fault_look = look;
    catch_one(SIGSEGV);
    catch_one(SIGBUS);
}

uint32_t hak_os_thread_id(void) {
    return (uint32_t)call3(SYS_gettid, 0, 0, 0);
}

int hak_os_open_for_reading(const char *path) {
    long fd = call3(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC);
    return is_error(fd) ? -1 : (int)fd;
}

size_t hak_os_read(int fd, char *text, size_t capacity) {
    long got = call3(SYS_read, fd, (long)text, (long)capacity);
    return is_error(got) ? 0 : (size_t)got;
}

int hak_os_open_for_writing(const char *path) {
    long fd = call6(SYS_openat, AT_FDCWD, (long)path,
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644, 0, 0);
    return is_error(fd) ? -1 : (int)fd;
}

int hak_os_open_for_appending(const char *path, bool fresh) {
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (fresh ? O_TRUNC : 0);
    long fd = call6(SYS_openat, AT_FDCWD, (long)path, flags, 0644, 0, 0);
    return is_error(fd) ? -1 : (int)fd;
}

/* In pages. */
size_t hak_os_resident_bytes(void) {
    return number_in_file("/proc/self/statm", 1) * getauxval(AT_PAGESZ);
}

size_t hak_os_working_directory(char *path, size_t capacity) {
    long length = call3(SYS_getcwd, (long)path, (long)capacity, 0); /* with the final 0 */
    return is_error(length) || length < 2 || path[0] != '/' ? 0 : (size_t)length - 1;
}

/* All of it is there before it is mapped: a full file system must not become a SIGBUS later on. */
static void *map_new_file(int fd, size_t bytes) {
    if (is_error(call6(SYS_fallocate, fd, 0, 0, (long)bytes, 0, 0))) {
        return NULL;
    }
    long p = call6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return is_error(p) ? NULL : (void *)p;
}

void *hak_os_share(const char *path, size_t bytes) {
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    long fd = call6(SYS_openat, AT_FDCWD, (long)path, flags, 0600, 0, 0);
    if (is_error(fd)) { /* left behind by an earlier process of that number, or in the way */
        hak_os_remove(path);
        fd = call6(SYS_openat, AT_FDCWD, (long)path, flags, 0600, 0, 0);
    }
    if (is_error(fd)) {
        return NULL;
    }
    void *p = map_new_file((int)fd, bytes);
    hak_os_close((int)fd);
    if (p == NULL) {
        hak_os_remove(path);
    }
    return p;
}

void hak_os_remove(const char *path) {
    (void)call3(SYS_unlinkat, AT_FDCWD, (long)path, 0);
}

int hak_os_keep_open(int fd) {
    /* High enough to be out of the way of programs that count on the lowest numbers. */
    long copy = call3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 512);
    return is_error(copy) ? fd : (int)copy;
}

void hak_os_close(int fd) {
    (void)call3(SYS_close, fd, 0, 0);
}
