/* compare.c: runs a table of workloads under several allocators and compares time and memory.
 *
 * Owns:      the options, the order of the runs, the scratch directory, the exit status: 0; 1 where
 *            a run failed or nothing ran; 2 for bad options.
 * Knows not: what the workloads are, how a child is run, how results are printed.
 * Threads:   one.
 *
 * Runs are interleaved: a round runs every row once under every allocator, and who goes first
 * rotates from row to row and from round to round. So a machine that grows warm or busy does not
 * favour one allocator.
 */
#include "compare.h"

#include <errno.h>
#include <fnmatch.h>
#include <ftw.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FULL_ROUNDS 5
#define QUICK_ROUNDS 1

typedef struct {
    const char *patterns[COMPARE_MAX_ROWS]; /* of --only */
    int pattern_count;
    const char *csv_path;
    bool list;
} request_t;

static const char usage[] =
    "usage: compare [OPTION]... [--lib NAME=PATH.so]...\n"
    "\n"
    "Runs workloads under the system's malloc and under each preloaded library.\n"
    "  --lib NAME=PATH  an allocator; " COMPARE_OWN_NAME " is the one whose statistics are shown\n"
    "  --rounds N       runs of each workload under each allocator (5, with --quick 1)\n"
    "  --quick          short runs\n"
    "  --only ROW       this row only; a pattern such as 'larson*'; may be repeated\n"
    "  --bench-dir DIR  also the programs of mimalloc-bench that are in DIR\n"
    "  --bench-inputs DIR  and their inputs are in DIR/espresso and DIR/barnes\n"
    "  --csv FILE       also write medians, minima and maxima to FILE\n"
    "  --list           print the names of the rows and end\n";

_Noreturn static void refuse(const char *what, const char *about) {
    fprintf(stderr, "compare: %s%s\n%s", what, about, usage);
    exit(2);
}

/* ---- options ---- */

static void add_library(compare_settings_t *settings, char *text) {
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        refuse("--lib takes NAME=PATH, not ", text);
    }
    if (settings->allocator_count == COMPARE_MAX_ALLOCATORS) {
        refuse("too many allocators from --lib ", text);
    }
    *equals = '\0';
    for (int i = 0; i < settings->allocator_count; i++) {
        if (strcmp(settings->allocators[i].name, text) == 0) {
            refuse("two allocators have the name ", text);
        }
    }
    char *library = realpath(equals + 1, NULL); /* the children run in another directory */
    if (library == NULL || access(library, R_OK) != 0) {
        refuse("cannot read the library ", equals + 1);
    }
    if (strpbrk(library, ": ") != NULL) {
        refuse("the loader separates libraries at blanks and colons, so it cannot load ", library);
    }
    settings->allocators[settings->allocator_count++] = (compare_allocator_t){text, library};
}

static int rounds_from(const char *text) {
    char *end = NULL;
    long rounds = strtol(text, &end, 10);
    if (end == text || *end != '\0' || rounds < 1 || rounds > COMPARE_MAX_ROUNDS) {
        refuse("--rounds takes a number from 1 to 99, not ", text);
    }
    return (int)rounds;
}

static void add_pattern(request_t *request, const char *pattern) {
    for (size_t i = 0; i < compare_workload_count; i++) {
        if (fnmatch(pattern, compare_workloads[i].name, 0) == 0) {
            if (request->pattern_count == COMPARE_MAX_ROWS) {
                refuse("too many --only ", pattern);
            }
            request->patterns[request->pattern_count++] = pattern;
            return;
        }
    }
    refuse("no row has the name ", pattern);
}

static const char *directory_from(const char *path) {
    const char *directory = realpath(path, NULL);
    if (directory == NULL) {
        refuse("no directory ", path);
    }
    return directory;
}

/* An option with a value. */
static void take_option(compare_settings_t *settings, request_t *request, const char *option,
                        char *value) {
    if (value == NULL) {
        refuse("an unknown option, or one without its value: ", option);
    } else if (strcmp(option, "--lib") == 0) {
        add_library(settings, value);
    } else if (strcmp(option, "--rounds") == 0) {
        settings->rounds = rounds_from(value);
    } else if (strcmp(option, "--only") == 0) {
        add_pattern(request, value);
    } else if (strcmp(option, "--csv") == 0) {
        request->csv_path = value;
    } else if (strcmp(option, "--bench-dir") == 0) {
        settings->bench_dir = directory_from(value);
    } else if (strcmp(option, "--bench-inputs") == 0) {
        settings->bench_inputs = directory_from(value);
    } else {
        refuse("unknown option ", option);
    }
}

static void read_options(int argc, char **argv, compare_settings_t *settings, request_t *request) {
    settings->allocators[settings->allocator_count++] = (compare_allocator_t){"system", NULL};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            settings->quick = true;
        } else if (strcmp(argv[i], "--list") == 0) {
            request->list = true;
        } else if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            exit(0);
        } else {
            take_option(settings, request, argv[i], argv[i + 1]);
            i++;
        }
    }
    if (settings->rounds == 0) {
        settings->rounds = settings->quick ? QUICK_ROUNDS : FULL_ROUNDS;
    }
}

static void list_rows(void) {
    for (size_t i = 0; i < compare_workload_count; i++) {
        puts(compare_workloads[i].name);
    }
}

/* ---- directories ---- */

static void find_own_directory(compare_settings_t *settings) {
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0) {
        refuse("cannot read /proc/self/exe: ", strerror(errno));
    }
    path[length] = '\0';
    compare_path(settings->own_dir, sizeof settings->own_dir, "%s", dirname(path));
}

static void make_scratch(compare_settings_t *settings) {
    const char *base = getenv("TMPDIR");
    compare_path(settings->scratch_dir, sizeof settings->scratch_dir, "%s/compare-XXXXXX",
                 base != NULL && base[0] == '/' ? base : "/tmp");
    if (mkdtemp(settings->scratch_dir) == NULL) {
        refuse("cannot make a directory for the inputs: ", strerror(errno));
    }
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static void remove_scratch(const compare_settings_t *settings) {
    nftw(settings->scratch_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- rows ---- */

static bool is_asked_for(const request_t *request, const compare_settings_t *settings,
                         const compare_workload_t *workload) {
    if (workload->place == COMPARE_IN_BENCH_DIR && settings->bench_dir == NULL) {
        return false;
    }
    for (int i = 0; i < request->pattern_count; i++) {
        if (fnmatch(request->patterns[i], workload->name, 0) == 0) {
            return true;
        }
    }
    return request->pattern_count == 0;
}

static int open_rows(const request_t *request, const compare_settings_t *settings,
                     compare_result_t *results) {
    int count = 0;
    for (size_t i = 0; i < compare_workload_count && compare_interrupted() == 0; i++) {
        const compare_workload_t *workload = &compare_workloads[i];
        char why[COMPARE_MAX_REASON_CHARS] = "";
        if (!is_asked_for(request, settings, workload)) {
            continue;
        }
        if (compare_open_row(workload, settings, &results[count].row, why, sizeof why)) {
            count++;
        } else {
            printf("skipped: %s (%s)\n", workload->name, why);
        }
    }
    return count;
}

static void *calloc_or_die(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (memory == NULL) {
        fprintf(stderr, "compare: out of memory\n");
        exit(1);
    }
    return memory;
}

static void open_cells(const compare_settings_t *settings, compare_result_t *result) {
    result->cells = calloc_or_die((size_t)settings->allocator_count, sizeof *result->cells);
    for (int i = 0; i < settings->allocator_count; i++) {
        compare_cell_t *cell = &result->cells[i];
        cell->superslabs = COMPARE_UNKNOWN;
        cell->mapping_calls = COMPARE_UNKNOWN;
        cell->samples = calloc_or_die((size_t)settings->rounds, sizeof *cell->samples);
    }
}

static void close_cells(const compare_settings_t *settings, compare_result_t *result) {
    for (int i = 0; i < settings->allocator_count; i++) {
        free(result->cells[i].samples);
    }
    free(result->cells);
    free(result->row.program);
}

/* ---- runs ---- */

#define MAX_ENVIRONMENT 4

static compare_command_t command_for(const compare_settings_t *settings, const compare_row_t *row,
                                     const compare_allocator_t *allocator,
                                     const char *const *environment) {
    return (compare_command_t){.argv = row->argv,
                               .preload = allocator->library,
                               .environment = environment,
                               .directory = settings->scratch_dir,
                               .input = row->workload->input,
                               .score = row->workload->score};
}

static void run_cell(const compare_settings_t *settings, compare_result_t *result, int allocator) {
    compare_cell_t *cell = &result->cells[allocator];
    const char *environment[MAX_ENVIRONMENT] = {result->row.workload->environment, NULL};
    compare_command_t command =
        command_for(settings, &result->row, &settings->allocators[allocator], environment);
    compare_sample_t *sample = &cell->samples[cell->sample_count];
    if (compare_run(&command, sample, cell->reason, sizeof cell->reason)) {
        cell->sample_count++;
    } else {
        cell->failed = true; /* and is not run again: a crash that takes its time wastes it once */
    }
}

static void run_round(const compare_settings_t *settings, compare_result_t *results, int count,
                      int round) {
    int allocators = settings->allocator_count;
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < allocators; k++) {
            int allocator = (k + i + round) % allocators;
            if (results[i].cells[allocator].failed) {
                continue;
            }
            fprintf(stderr, "compare: round %d of %d, row %d of %d: %s, %s\n", round + 1,
                    settings->rounds, i + 1, count, results[i].row.workload->name,
                    settings->allocators[allocator].name);
            run_cell(settings, &results[i], allocator);
            if (compare_interrupted() != 0) {
                return;
            }
        }
    }
}

/* ---- our own allocator's statistics ---- */

/* Lines `name value`; those with other names are for other readers. */
static void read_statistics(const char *path, compare_cell_t *cell) {
    static const char *const calls[] = {"map_calls", "unmap_calls", "remap_calls", "purge_calls"};
    FILE *file = fopen(path, "r");
    char line[256];
    char name[128];
    double value;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%127s %lf", name, &value) != 2) {
            continue;
        }
        if (strcmp(name, "superslabs_peak") == 0) {
            cell->superslabs = value;
        }
        for (size_t i = 0; i < COMPARE_COUNT(calls); i++) {
            if (strcmp(name, calls[i]) == 0) {
                cell->mapping_calls = value + (cell->mapping_calls < 0 ? 0 : cell->mapping_calls);
            }
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* One more run, not part of the medians, for counting is not free. */
static void run_for_statistics(const compare_settings_t *settings, compare_result_t *result,
                               int allocator) {
    compare_cell_t *cell = &result->cells[allocator];
    char path[PATH_MAX];
    char file_variable[PATH_MAX];
    compare_path(path, sizeof path, "%s/statistics", settings->scratch_dir);
    compare_path(file_variable, sizeof file_variable, "HAKMEM_STATS_FILE=%s", path);
    const char *environment[MAX_ENVIRONMENT] = {"HAKMEM_STATS=1", file_variable,
                                                result->row.workload->environment, NULL};
    compare_command_t command =
        command_for(settings, &result->row, &settings->allocators[allocator], environment);
    compare_sample_t unused;
    unlink(path);
    fprintf(stderr, "compare: statistics: %s\n", result->row.workload->name);
    if (compare_run(&command, &unused, cell->reason, sizeof cell->reason)) {
        read_statistics(path, cell);
    } else {
        cell->failed = true;
    }
}

static void collect_statistics(const compare_settings_t *settings, compare_result_t *results,
                               int count) {
    for (int k = 0; k < settings->allocator_count; k++) {
        bool is_own = strcmp(settings->allocators[k].name, COMPARE_OWN_NAME) == 0;
        for (int i = 0; i < count && is_own && compare_interrupted() == 0; i++) {
            if (!results[i].cells[k].failed && !results[i].row.workload->many_processes) {
                run_for_statistics(settings, &results[i], k);
            }
        }
    }
}

/* ---- the whole ---- */

static void run_all(const compare_settings_t *settings, compare_result_t *results, int count) {
    for (int i = 0; i < count; i++) {
        open_cells(settings, &results[i]);
    }
    for (int round = 0; round < settings->rounds && compare_interrupted() == 0; round++) {
        run_round(settings, results, count, round);
    }
    collect_statistics(settings, results, count);
}

/* Returns whether every run was good. */
static bool report(const compare_settings_t *settings, const compare_result_t *results, int count) {
    bool good = count > 0;
    for (int i = 0; i < count; i++) {
        compare_print_row(settings, &results[i]);
        for (int k = 0; k < settings->allocator_count; k++) {
            good = good && !results[i].cells[k].failed;
        }
    }
    if (count > 0) {
        compare_print_summary(settings, results, count);
    } else {
        printf("\nnothing to run\n");
    }
    return good;
}

static bool compare(const request_t *request, const compare_settings_t *settings,
                    compare_result_t *results, FILE *csv) {
    compare_print_machine(settings);
    fflush(stdout);
    int count = open_rows(request, settings, results);
    run_all(settings, results, count);
    bool good = false;
    if (compare_interrupted() == 0) {
        if (csv != NULL) {
            compare_write_csv(csv, settings, results, count);
        }
        good = report(settings, results, count);
    }
    for (int i = 0; i < count; i++) {
        close_cells(settings, &results[i]);
    }
    return good;
}

int main(int argc, char **argv) {
    static compare_settings_t settings;
    request_t request = {0};
    read_options(argc, argv, &settings, &request);
    if (request.list) {
        list_rows();
        return 0;
    }
    /* Opened first: not to be found impossible after an hour of runs. */
    FILE *csv = request.csv_path != NULL ? fopen(request.csv_path, "w") : NULL;
    if (request.csv_path != NULL && csv == NULL) {
        refuse("cannot write ", request.csv_path);
    }
    compare_result_t *results = calloc_or_die(COMPARE_MAX_ROWS, sizeof *results);
    find_own_directory(&settings);
    compare_block_signals();
    make_scratch(&settings);
    bool good = compare(&request, &settings, results, csv);
    remove_scratch(&settings);
    free(results);
    if (csv != NULL && fclose(csv) != 0) {
        refuse("cannot write ", request.csv_path);
    }
    if (compare_interrupted() != 0) {
        compare_die_of_signal(compare_interrupted());
    }
    return good ? 0 : 1;
}
