/* samples.h: what the memory programs share: samples of live bytes and of resident memory
 *
 * Owns:      the samples, in static memory, and the open file that the kernel's count is read from.
 * Knows not: what the program does between two samples.
 * Threads:   one takes samples, while the others stand still or sleep.
 *
 * Taking a sample allocates nothing: it is one read() and a store into the table. The samples are
 * printed at the end, when nothing is measured any more.
 *
 * Invariant: rss_bytes leaves out what samples_exclude() was told of, the program's own books. What
 * remains is the allocator's, and a little over 1 MiB for libc and the program.
 */
#ifndef SAMPLES_H
#define SAMPLES_H

#include "bench.h"

#include <fcntl.h>
#include <sys/mman.h>

#define SAMPLES_MAX 1024

typedef struct {
    const char *phase; /* compared by address: one literal for each phase */
    double ms;         /* since samples_start() */
    uint64_t live_bytes;
    uint64_t rss_bytes;
} sample_t;

static struct {
    int statm; /* const after samples_start(), like the next two */
    uint64_t page_bytes;
    double start_s;
    uint64_t excluded_bytes;
    int count;
    sample_t all[SAMPLES_MAX];
} samples;

/* ---- taking ---- */

static inline void samples_start(void) {
    samples.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (samples.statm < 0) {
        bench_die("cannot read /proc/self/statm", NULL);
    }
    samples.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    /* Touched now: else the table would grow into the resident memory that it records. */
    memset(samples.all, 1, sizeof samples.all);
    samples.excluded_bytes += sizeof samples.all;
    samples.start_s = bench_now_s();
}

/* Memory for the program's books, from the kernel, present from the start and left out of every
 * sample. */
static inline void *samples_exclude(uint64_t bytes) {
    bytes = (bytes + samples.page_bytes - 1) / samples.page_bytes * samples.page_bytes;
    void *books = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (books == MAP_FAILED) {
        bench_die("out of memory for the table of blocks", NULL);
    }
    samples.excluded_bytes += bytes;
    return books;
}

/* The second number of statm: resident pages. */
static inline uint64_t samples_rss_bytes(void) {
    char text[128];
    ssize_t length = pread(samples.statm, text, sizeof text - 1, 0);
    uint64_t pages = 0;
    if (length <= 0) {
        bench_die("cannot read /proc/self/statm", NULL);
    }
    text[length] = '\0';
    for (const char *at = strchr(text, ' ') + 1; *at >= '0' && *at <= '9'; at++) {
        pages = pages * 10 + (uint64_t)(*at - '0');
    }
    uint64_t bytes = pages * samples.page_bytes;
    return bytes > samples.excluded_bytes ? bytes - samples.excluded_bytes : 0;
}

static inline void samples_take(const char *phase, uint64_t live_bytes) {
    if (samples.count == SAMPLES_MAX) {
        bench_die("too many samples", NULL);
    }
    samples.all[samples.count++] = (sample_t){.phase = phase,
                                              .ms = (bench_now_s() - samples.start_s) * 1e3,
                                              .live_bytes = live_bytes,
                                              .rss_bytes = samples_rss_bytes()};
}

#define SAMPLES_IDLE_MS 1250
#define SAMPLES_IDLE_STEP_MS 125 /* divides 1,000: one sample stands at one second */

/* Sleeps, with a sample now and then. */
static inline void samples_idle(const char *phase, uint64_t live_bytes) {
    double start_s = bench_now_s();
    for (int ms = SAMPLES_IDLE_STEP_MS; ms <= SAMPLES_IDLE_MS; ms += SAMPLES_IDLE_STEP_MS) {
        double left_s = start_s + ms * 1e-3 - bench_now_s();
        if (left_s > 0.0) {
            bench_sleep(left_s);
        }
        samples_take(phase, live_bytes);
    }
}

/* ---- printing ---- */

static inline double samples_mib(uint64_t bytes) {
    return (double)bytes / 1048576.0;
}

/* Where nothing lives there is no ratio: 0. */
static inline double samples_ratio(const sample_t *sample) {
    return sample->live_bytes > 0 ? (double)sample->rss_bytes / (double)sample->live_bytes : 0.0;
}

static inline void samples_print_line(const sample_t *sample) {
    printf("%-10s %8.0f %9.1f %9.1f", sample->phase, sample->ms, samples_mib(sample->live_bytes),
           samples_mib(sample->rss_bytes));
}

static inline void samples_print_ratio(double ratio) {
    if (ratio > 0.0) {
        printf(" %9.2f", ratio);
    } else {
        printf(" %9s", "-");
    }
}

/* Prints the line of the phase that begins at `first`; returns where the next one begins. */
static inline int samples_print_phase(int first) {
    double sum = 0.0, peak = 0.0;
    int ratios = 0, at = first;
    for (; at < samples.count && samples.all[at].phase == samples.all[first].phase; at++) {
        double ratio = samples_ratio(&samples.all[at]);
        peak = ratio > peak ? ratio : peak;
        sum += ratio;
        ratios += ratio > 0.0;
    }
    samples_print_line(&samples.all[at - 1]);
    samples_print_ratio(peak);
    samples_print_ratio(ratios > 0 ? sum / ratios : 0.0);
    putchar('\n');
    return at;
}

static inline void samples_print(void) {
    printf("%-10s %8s %9s %9s %9s\n", "phase", "ms", "live MiB", "RSS MiB", "RSS/live");
    for (int i = 0; i < samples.count; i++) {
        samples_print_line(&samples.all[i]);
        samples_print_ratio(samples_ratio(&samples.all[i]));
        putchar('\n');
    }
    puts("\nEach phase at its end, and the peak and the mean of RSS/live in it:");
    printf("%-10s %8s %9s %9s %9s %9s\n", "phase", "ms", "live MiB", "RSS MiB", "peak", "mean");
    for (int i = 0; i < samples.count;) {
        i = samples_print_phase(i);
    }
}

/* One line for each sample, for other programs to read. */
static inline void samples_write(const char *path) {
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        bench_die("cannot write the file of samples", NULL);
    }
    fprintf(file, "phase,ms,live_bytes,rss_bytes\n");
    for (int i = 0; i < samples.count; i++) {
        const sample_t *sample = &samples.all[i];
        fprintf(file, "%s,%.1f,%" PRIu64 ",%" PRIu64 "\n", sample->phase, sample->ms,
                sample->live_bytes, sample->rss_bytes);
    }
    if (fclose(file) != 0) {
        bench_die("cannot write the file of samples", NULL);
    }
}

#endif
