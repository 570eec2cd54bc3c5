/* compare_workloads.c: the table of workloads, and which of them this machine can run.
 *
 * Owns:      the table, the search for programs, the command lines.
 * Knows not: allocators, rounds, results.
 * Threads:   one.
 */
#include "compare.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the table: full arguments take seconds, quick ones a fraction of a second ---- */

/* The mb- rows are run as mimalloc-bench runs them, with two threads, except for mstress, which
 * would end after 0.1 s. Programs without an argument for their length are left out of quick runs.
 */

#define THROUGHPUT "Throughput =#"

#define OURS(row, file, full, quick)                                                               \
    {                                                                                              \
        .name = (row), .place = COMPARE_OURS, .program = (file), .score = THROUGHPUT,              \
        .full_args = (full), .quick_args = (quick)                                                 \
    }

#define OUR_THREADS(row, file, full, quick)                                                        \
    {                                                                                              \
        .name = (row), .place = COMPARE_OURS, .program = (file), .score = THROUGHPUT,              \
        .full_args = (full), .quick_args = (quick), .parallel = true                               \
    }

/* Further fields follow in the table. */
#define REAL(row, file, full, quick)                                                               \
    .name = (row), .place = COMPARE_IN_PATH, .program = (file), .full_args = (full),               \
    .quick_args = (quick)

#define MIBENCH(row, file, full, quick)                                                            \
    .name = (row), .place = COMPARE_IN_BENCH_DIR, .program = (file), .full_args = (full),          \
    .quick_args = (quick)

const compare_workload_t compare_workloads[] = {
    OURS("fixed-64", "fixed_size", "64 50000000", "64 15000000"),
    OURS("waves-64", "waves", "64 1000 50000", "64 1000 15000"),
    OURS("waves-256-cold", "waves", "256 20000 2000", "256 20000 600"),
    OURS("random-200k", "random_mixed", "200000 4096 1234567", "200000 4096 1234567"),
    OURS("random-256", "random_mixed", "10000000 256 1234567", "10000000 256 1234567"),
    OURS("random-4096", "random_mixed", "10000000 4096 1234567", "10000000 4096 1234567"),
    OURS("random-65536", "random_mixed", "10000000 65536 1234567", "8000000 65536 1234567"),
    OURS("random-mid", "random_mixed", "5000000 1024 7 1024 32768", "1000000 1024 7 1024 32768"),
    OURS("replace-4096", "replace", "20000000 4096 7 16 527", "8000000 4096 7 16 527"),
    OURS("large-blocks", "large_blocks", "50000 256 7 32768 1048576", "15000 256 7 32768 1048576"),
    OURS("huge-blocks", "large_blocks", "2500 16 7 5000000 25000000", "400 16 7 5000000 25000000"),
    OURS("big-numbers", "big_numbers", "6000000 7", "2000000 7"),
    OURS("containers", "containers", "10", "4"),
    OURS("larson-1", "larson", "2 8 1000 5000 100 4141 1", "0.5 8 1000 5000 100 4141 1"),
    OUR_THREADS("larson-2", "larson", "2 8 1000 5000 100 4141 2", "0.5 8 1000 5000 100 4141 2"),
    OUR_THREADS("larson-4", "larson", "2 8 1000 5000 100 4141 4", "0.5 8 1000 5000 100 4141 4"),
    OUR_THREADS("larson-mid-2", "larson", "2 1024 32768 1000 100 4141 2",
                "0.5 1024 32768 1000 100 4141 2"),
    OUR_THREADS("producer-1", "producer_consumer", "2 1 64", "0.5 1 64"),
    OUR_THREADS("producer-3", "producer_consumer", "2 3 256", "0.5 3 256"),
    OUR_THREADS("producer-8-mixed", "producer_consumer", "2 8 16 1024", "0.5 8 16 1024"),
    OUR_THREADS("worker-pool", "worker_pool", "2 4 7", "0.5 4 7"),
    OUR_THREADS("thread-churn", "thread_churn", "20000 100", "4000 100"),

    {REAL("startup", "bash", "startup.sh 1000", "startup.sh 200"),
     .prepare = compare_prepare_scripts, .many_processes = true},
    {REAL("cc", "cc|gcc", "-O1 -S -o /dev/null source.c", "-O1 -S -o /dev/null source.c"),
     .prepare = compare_prepare_c_source, .environment = "CCACHE_DISABLE=1",
     .many_processes = true},
    {REAL("perl", "perl", "hash.pl 400000", "hash.pl 200000"), .prepare = compare_prepare_scripts},
    {REAL("python", "python3", "-S objects.py 300000", "-S objects.py 100000"),
     .prepare = compare_prepare_scripts, .environment = "PYTHONMALLOC=malloc"},
    {REAL("sort", "sort", "-o /dev/null lines.txt", "-o /dev/null lines.txt"),
     .prepare = compare_prepare_lines, .environment = "LC_ALL=C"},
    {REAL("bash", "bash", "loop.sh 200000", "loop.sh 60000"), .prepare = compare_prepare_scripts},
    {REAL("lua", "lua5.4|lua|lua5.3", "tables.lua 800000", "tables.lua 250000"),
     .prepare = compare_prepare_scripts},
    {REAL("ruby", "ruby|ruby3.1|ruby3.3", "--disable-gems hashes.rb 500000",
          "--disable-gems hashes.rb 150000"),
     .prepare = compare_prepare_scripts},
    {REAL("node", "node|nodejs", "buffers.js 200000", "buffers.js 15000"),
     .prepare = compare_prepare_scripts},
    {REAL("sqlite", "sqlite3", ":memory:", ":memory:"), .input = "database.sql",
     .prepare = compare_prepare_sql},
    {REAL("ghostscript", "gs", "-q -sDEVICE=pdfwrite -dpages=600 -o /dev/null pages.ps",
          "-q -sDEVICE=pdfwrite -dpages=150 -o /dev/null pages.ps"),
     .prepare = compare_prepare_scripts},
    {REAL("z3", "z3", "formulas.smt2", "formulas.smt2"), .prepare = compare_prepare_formulas},
    {REAL("c++", "g++|c++|clang++", "-std=c++17 -fsyntax-only source.cc",
          "-std=c++17 -fsyntax-only source.cc"),
     .prepare = compare_prepare_cc_source, .environment = "CCACHE_DISABLE=1",
     .many_processes = true},
    {REAL("redis", "bash", "redis.sh 400000", "redis.sh 30000"), .prepare = compare_prepare_redis,
     .many_processes = true},
    {REAL("git-log", "git", "--git-dir=history.git log -p", "--git-dir=history.git log -p"),
     .environment = "GIT_CONFIG_GLOBAL=/dev/null", .prepare = compare_prepare_git},

    {MIBENCH("mb-cfrac", "cfrac", "17545186520507317056371138836327483792789528",
             "175451865205073170563711388363")},
    {MIBENCH("mb-espresso", "espresso", "largest.espresso", "largest.espresso"),
     .prepare = compare_prepare_espresso},
    {MIBENCH("mb-barnes", "barnes", "", ""), .input = "barnes.input",
     .prepare = compare_prepare_barnes},
    {MIBENCH("mb-larson-2", "larson", "5 8 1000 5000 100 4141 2", "1 8 1000 5000 100 4141 2"),
     .score = THROUGHPUT, .parallel = true},
    {MIBENCH("mb-larson-sized-2", "larson-sized", "5 8 1000 5000 100 4141 2",
             "1 8 1000 5000 100 4141 2"),
     .score = THROUGHPUT, .parallel = true},
    {MIBENCH("mb-mstress-2", "mstress", "2 50 500", "2 50 50"), .parallel = true},
    {MIBENCH("mb-rptest-2", "rptest", "2 0 1 2 500 1000 100 8 16000", NULL), .parallel = true},
    {MIBENCH("mb-alloc-test-1", "alloc-test", "1", NULL)},
    {MIBENCH("mb-alloc-test-2", "alloc-test", "2", NULL), .parallel = true},
    {MIBENCH("mb-sh6bench-4", "sh6bench", "4", "4"), .parallel = true},
    {MIBENCH("mb-sh8bench-4", "sh8bench", "4", "4"), .parallel = true},
    {MIBENCH("mb-xmalloc-2", "xmalloc-test", "-w 2 -t 5 -s 64", "-w 2 -t 1 -s 64"),
     .score = "free/sec:#", .parallel = true},
    {MIBENCH("mb-scratch-1", "cache-scratch", "1 1000 1 2000000 2", "1 1000 1 200000 2")},
    {MIBENCH("mb-scratch-2", "cache-scratch", "2 1000 1 2000000 2", "2 1000 1 200000 2"),
     .parallel = true},
    {MIBENCH("mb-thrash-1", "cache-thrash", "1 1000 1 2000000 2", "1 1000 1 200000 2")},
    {MIBENCH("mb-thrash-2", "cache-thrash", "2 1000 1 2000000 2", "2 1000 1 200000 2"),
     .parallel = true},
    {MIBENCH("mb-glibc-simple", "glibc-simple", "", NULL)},
    {MIBENCH("mb-glibc-thread-2", "glibc-thread", "2", "2"), .score = "# iterations",
     .parallel = true},
    {MIBENCH("mb-malloc-large", "malloc-large", "", NULL)},
    {MIBENCH("mb-mleak-50", "mleak", "50", "5")},
};

const size_t compare_workload_count = COMPARE_COUNT(compare_workloads);

_Static_assert(COMPARE_COUNT(compare_workloads) <= COMPARE_MAX_ROWS, "the table is too long");

/* ---- programs ---- */

/* A script in PATH may be a version manager's stand-in, which takes longer than what it starts. */
static bool is_program(const char *path) {
    static const char elf[4] = {0x7f, 'E', 'L', 'F'};
    char start[sizeof elf];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    bool is_elf = file >= 0 && read(file, start, sizeof start) == (ssize_t)sizeof start &&
                  memcmp(start, elf, sizeof elf) == 0;
    if (file >= 0) {
        close(file);
    }
    return is_elf && access(path, X_OK) == 0;
}

bool compare_find_in_path(const char *name, char *found, size_t size) {
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        size_t length = strcspn(path, ":");
        if (path[0] == '/') { /* the children run in another directory */
            compare_path(found, size, "%.*s/%s", (int)length, path, name);
            if (is_program(found)) {
                return true;
            }
        }
        path += length + (path[length] == ':');
    }
    return false;
}

static bool find_program(const compare_workload_t *workload, const compare_settings_t *settings,
                         const char *name, char *found, size_t size) {
    switch (workload->place) {
    case COMPARE_OURS:
        compare_path(found, size, "%s/%s", settings->own_dir, name);
        return is_program(found);
    case COMPARE_IN_BENCH_DIR:
        compare_path(found, size, "%s/%s", settings->bench_dir, name);
        return is_program(found);
    case COMPARE_IN_PATH:
        return compare_find_in_path(name, found, size);
    }
    return false;
}

static bool find_one_of(const compare_workload_t *workload, const compare_settings_t *settings,
                        char *found, size_t size) {
    char names[64];
    compare_text(names, sizeof names, "%s", workload->program);
    char *rest = NULL;
    for (char *name = strtok_r(names, "|", &rest); name != NULL;
         name = strtok_r(NULL, "|", &rest)) {
        if (find_program(workload, settings, name, found, size)) {
            return true;
        }
    }
    return false;
}

/* ---- rows ---- */

static void split_arguments(compare_row_t *row) {
    int count = 0;
    char *rest = NULL;
    row->argv[count++] = row->program;
    char *word = strtok_r(row->arg_words, " ", &rest);
    while (word != NULL && count <= COMPARE_MAX_ARGS) {
        row->argv[count++] = word;
        word = strtok_r(NULL, " ", &rest);
    }
    row->argv[count] = NULL;
}

bool compare_open_row(const compare_workload_t *workload, const compare_settings_t *settings,
                      compare_row_t *row, char *why, size_t why_size) {
    const char *arguments = settings->quick ? workload->quick_args : workload->full_args;
    if (arguments == NULL) {
        compare_text(why, why_size, "it has no quick run");
        return false;
    }
    char program[PATH_MAX];
    if (!find_one_of(workload, settings, program, sizeof program)) {
        compare_text(why, why_size, "no program %s", workload->program);
        return false;
    }
    if (workload->prepare != NULL && !workload->prepare(settings, why, why_size)) {
        return false;
    }
    row->workload = workload;
    row->program = strdup(program);
    if (row->program == NULL) {
        compare_text(why, why_size, "out of memory");
        return false;
    }
    compare_text(row->arg_text, sizeof row->arg_text, "%s", arguments);
    compare_text(row->arg_words, sizeof row->arg_words, "%s", arguments);
    split_arguments(row);
    return true;
}
