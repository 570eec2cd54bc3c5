/* compare.c: runs a table of workloads under several allocators and compares time and memory.
 *
 * Owns:      the order of the runs, the scratch directory, the exit status: 0; 1 where a run failed
 *            or nothing ran; 2 for bad options. A signal that ends it: what is known of times by
 *            then is shown and written first.
 * Knows not: what the workloads are, how a child is run, how results are printed.
 * Threads:   one.
 *
 * Runs are interleaved: a round runs every row once under every allocator, in an order drawn anew
 * for each row and round, the same in each comparison. So a machine that grows warm or busy does
 * not favour one allocator, nor does a predecessor: how much a page fault takes, depends on what
 * was freed before. And where threads work together, a run is repeated that fell into a moment in
 * which the processors were apart.
 */
#include "compare.h"

#include "compare_memory.h"

#include <errno.h>
#include <ftw.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- directories ---- */

static void find_own_directory(compare_settings_t *settings) {
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0) {
        compare_refuse("cannot read /proc/self/exe: ", strerror(errno));
    }
    path[length] = '\0';
    compare_path(settings->own_dir, sizeof settings->own_dir, "%s", dirname(path));
}

static void make_scratch(compare_settings_t *settings) {
    const char *base = getenv("TMPDIR");
    compare_path(settings->scratch_dir, sizeof settings->scratch_dir, "%s/compare-XXXXXX",
                 base != NULL && base[0] == '/' ? base : "/tmp");
    if (mkdtemp(settings->scratch_dir) == NULL) {
        compare_refuse("cannot make a directory for the inputs: ", strerror(errno));
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

static void skip(compare_report_t *report, const compare_workload_t *workload, const char *why) {
    compare_skip_t *skipped = &report->skips[report->skip_count++];
    skipped->name = workload->name;
    compare_text(skipped->why, sizeof skipped->why, "%s", why);
    printf("skipped: %s (%s)\n", workload->name, why);
}

static void open_rows(const compare_request_t *request, const compare_settings_t *settings,
                      compare_report_t *report) {
    for (size_t i = 0; i < request->workload_count && compare_interrupted() == 0; i++) {
        const compare_workload_t *workload = &request->workloads[i];
        char why[COMPARE_MAX_REASON_CHARS] = "";
        if (!compare_is_asked_for(request, settings, workload)) {
            continue;
        }
        compare_result_t *result = &report->results[report->count];
        if (compare_open_row(workload, settings, &result->row, why, sizeof why)) {
            report->count++;
        } else {
            skip(report, workload, why);
        }
    }
}

void *compare_allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (memory == NULL) {
        fprintf(stderr, "compare: out of memory\n");
        exit(1);
    }
    return memory;
}

static void open_cells(const compare_settings_t *settings, compare_result_t *result) {
    result->cells = compare_allocate((size_t)settings->allocator_count, sizeof *result->cells);
    result->cell_count = settings->allocator_count;
    for (int i = 0; i < settings->allocator_count; i++) {
        compare_cell_t *cell = &result->cells[i];
        cell->superslabs = COMPARE_UNKNOWN;
        cell->mapping_calls = COMPARE_UNKNOWN;
        cell->samples = compare_allocate((size_t)settings->rounds, sizeof *cell->samples);
    }
}

static void close_cells(compare_result_t *result) {
    for (int i = 0; i < result->cell_count; i++) {
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
                               .preload = allocator->preload,
                               .environment = environment,
                               .directory = settings->scratch_dir,
                               .input = row->workload->input,
                               .score = row->workload->score};
}

/* In each row and round: all allocators' runs may be repeated once, or one's eight times. */
#define REPEATS 8

/* Returns false where the run failed. */
static bool run_at_a_good_moment(const compare_command_t *command, bool parallel, int *repeats,
                                 compare_cell_t *cell, compare_sample_t *sample) {
    bool near;
    do {
        near = !parallel || compare_wait_until_near();
        if (!compare_run(command, sample, cell->reason, sizeof cell->reason)) {
            return false;
        }
        near = near && (!parallel || compare_is_near());
    } while (!near && (*repeats)-- > 0 && compare_interrupted() == 0);
    sample->apart = !near;
    return true;
}

static void run_cell(const compare_settings_t *settings, compare_result_t *result, int allocator,
                     int *repeats) {
    compare_cell_t *cell = &result->cells[allocator];
    const char *environment[MAX_ENVIRONMENT] = {result->row.workload->environment, NULL};
    compare_command_t command =
        command_for(settings, &result->row, &settings->allocators[allocator], environment);
    compare_sample_t *sample = &cell->samples[cell->sample_count];
    if (run_at_a_good_moment(&command, result->row.workload->parallel, repeats, cell, sample)) {
        cell->sample_count++;
    } else if (compare_interrupted() == 0) {
        cell->failed = true; /* and is not run again: a crash that takes its time wastes it once */
    }
}

static void shuffle(int *order, int count, unsigned short *state) {
    for (int i = 0; i < count; i++) {
        order[i] = i;
        int at = (int)(erand48(state) * (i + 1));
        order[i] = order[at];
        order[at] = i;
    }
}

static void run_round(const compare_settings_t *settings, compare_result_t *results, int count,
                      int round, unsigned short *state) {
    int allocators = settings->allocator_count;
    int order[COMPARE_MAX_ALLOCATORS];
    for (int i = 0; i < count; i++) {
        int repeats = REPEATS;
        shuffle(order, allocators, state);
        for (int k = 0; k < allocators; k++) {
            int allocator = order[k];
            if (results[i].cells[allocator].failed) {
                continue;
            }
            fprintf(stderr, "compare: round %d of %d, row %d of %d: %s, %s\n", round + 1,
                    settings->rounds, i + 1, count, results[i].row.workload->name,
                    settings->allocators[allocator].name);
            run_cell(settings, &results[i], allocator, &repeats);
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
    } else if (compare_interrupted() == 0) {
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

/* ---- an early end ---- */

/* Of those that did not fail; where all did, there is nothing to keep in step. */
static int least_samples(const compare_result_t *result) {
    int least = COMPARE_MAX_ROUNDS;
    for (int i = 0; i < result->cell_count; i++) {
        const compare_cell_t *cell = &result->cells[i];
        if (!cell->failed && cell->sample_count < least) {
            least = cell->sample_count;
        }
    }
    return least;
}

/* What was measured before this program was told to end: whole rounds of a row, since times are
 * compared within them. Returns how many the row with most of them has. */
static int keep_whole_rounds(compare_report_t *report) {
    int kept = 0, most = 0;
    for (int i = 0; i < report->count; i++) {
        compare_result_t *result = &report->results[i];
        int rounds = least_samples(result);
        for (int k = 0; k < result->cell_count; k++) {
            compare_cell_t *cell = &result->cells[k];
            cell->sample_count = cell->sample_count < rounds ? cell->sample_count : rounds;
            most = cell->sample_count > most ? cell->sample_count : most;
        }
        if (rounds == 0) {
            skip(report, result->row.workload, "the run ended before its first round did");
            close_cells(result);
        } else {
            report->results[kept++] = *result;
        }
    }
    report->count = kept;
    return most;
}

/* ---- the whole ---- */

static void run_all(const compare_settings_t *settings, compare_result_t *results, int count) {
    for (int i = 0; i < count; i++) {
        open_cells(settings, &results[i]);
    }
    unsigned short state[3] = {0x330E, 0xABCD, 0x1234};
    for (int round = 0; round < settings->rounds && compare_interrupted() == 0; round++) {
        run_round(settings, results, count, round, state);
    }
    collect_statistics(settings, results, count);
}

/* Returns whether every run was good. */
static bool print_report(const compare_settings_t *settings, const compare_report_t *report) {
    bool good = report->count > 0;
    for (int i = 0; i < report->count; i++) {
        compare_print_row(settings, &report->results[i]);
        for (int k = 0; k < settings->allocator_count; k++) {
            good = good && !report->results[i].cells[k].failed;
        }
    }
    if (report->count > 0) {
        compare_print_matrices(settings, report->results, report->count);
        compare_print_summary(settings, report->results, report->count);
    } else {
        printf("\n%s\n", settings->ended_early ? "no row has a whole round" : "nothing to run");
    }
    return good;
}

static bool compare_times(const compare_request_t *request, compare_settings_t *settings) {
    compare_report_t *report = compare_allocate(1, sizeof *report);
    open_rows(request, settings, report);
    run_all(settings, report->results, report->count);
    if (compare_interrupted() != 0) {
        settings->rounds = keep_whole_rounds(report);
        settings->ended_early = true;
        printf("\nended early by signal %d: rows have as many rounds as were whole by then\n",
               compare_interrupted());
    }
    bool good = print_report(settings, report);
    if (request->outputs[COMPARE_CSV] != NULL) {
        compare_write_csv(request->outputs[COMPARE_CSV], settings, report->results, report->count);
    }
    if (request->outputs[COMPARE_HTML] != NULL) {
        compare_write_html(request->outputs[COMPARE_HTML], settings, report);
    }
    for (int i = 0; i < report->count; i++) {
        close_cells(&report->results[i]);
    }
    free(report);
    return good;
}

int main(int argc, char **argv) {
    static compare_settings_t settings;
    static compare_request_t request;
    compare_read_options(argc, argv, &settings, &request);
    find_own_directory(&settings);
    compare_block_signals();
    make_scratch(&settings);
    compare_print_machine(&settings);
    fflush(stdout);
    bool good =
        request.memory ? compare_memory(&request, &settings) : compare_times(&request, &settings);
    remove_scratch(&settings);
    compare_close_outputs(&request);
    if (compare_interrupted() != 0) {
        fflush(stdout);
        compare_die_of_signal(compare_interrupted());
    }
    return good ? 0 : 1;
}
