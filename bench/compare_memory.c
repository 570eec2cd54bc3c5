/* compare_memory.c: the workloads of the memory comparison, their runs, the samples they leave.
 *
 * Owns:      the table of workloads, the order of the runs, the files of samples.
 * Knows not: how results are shown.
 * Threads:   one.
 *
 * The files are read after the last run: this program's own size is the least that can be measured
 * as a child's peak (see compare.h), so it stays small until then.
 */
#include "compare_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the table ---- */

/* In the children's working directory. */
#define SAMPLES_FILE "samples"

#define PROGRAM(row, where, file, arguments)                                                       \
    .workload = {.name = (row),                                                                    \
                 .place = (where),                                                                 \
                 .program = (file),                                                                \
                 .full_args = (arguments),                                                         \
                 .quick_args = (arguments)}

#define SAMPLED(row, file, arguments) PROGRAM(row, COMPARE_OURS, file, arguments " " SAMPLES_FILE)

#define PHASES_OF_REPLAY                                                                           \
    .has_plot = true, .row_count = 7,                                                              \
    .rows = {                                                                                      \
        {"grow", COMPARE_AT_PEAK},       {"churn", COMPARE_AT_PEAK},  {"shrink", COMPARE_AT_END},  \
        {"idle", COMPARE_AFTER_1_S},     {"regrow", COMPARE_AT_PEAK}, {"free", COMPARE_AT_END},    \
        {"idle-end", COMPARE_AFTER_1_S},                                                           \
    }

#define PHASES_OF_BURST                                                                            \
    .has_plot = true, .row_count = 3,                                                              \
    .rows = {                                                                                      \
        {"grow", COMPARE_AT_PEAK},                                                                 \
        {"free", COMPARE_AT_END},                                                                  \
        {"idle", COMPARE_AFTER_1_S},                                                               \
    }

const compare_memory_workload_t compare_memory_workloads[] = {
    {PROGRAM("true", COMPARE_IN_PATH, "true", ""), .title = "start-up of true", .row_count = 1},
    {PROGRAM("python", COMPARE_IN_PATH, "python3", "-c pass"), .title = "start-up of python",
     .row_count = 1},
    {SAMPLED("idle-threads", "idle_threads", "100 7"),
     .title = "100 idle threads that hold 10 KiB each", .row_count = 1,
     .rows = {{"idle", COMPARE_AFTER_1_S}}},
    {SAMPLED("replay-1", "memory", "replay 1 131072 7"),
     .title = "Phases of a program, one thread, 128 MiB", PHASES_OF_REPLAY},
    {SAMPLED("replay-4", "memory", "replay 4 131072 7"),
     .title = "Phases of a program, four threads, 128 MiB", PHASES_OF_REPLAY},
    {SAMPLED("burst-4", "memory", "burst 4 256000 7"),
     .title = "Four threads allocate 250 MiB, free it and sleep", PHASES_OF_BURST},
    {SAMPLED("handover-4", "memory", "handover 4 256000 7"),
     .title = "Four threads allocate 250 MiB; each frees what another one allocated",
     PHASES_OF_BURST},
    {SAMPLED("survivors", "memory", "survivors 1 100000 7"),
     .title = "200,000 blocks of 512 bytes, of which every sixteenth survives", .has_plot = true,
     .row_count = 5,
     .rows = {{"grow", COMPARE_AT_PEAK},
              {"free 15/16", COMPARE_AT_END},
              {"idle", COMPARE_AFTER_1_S},
              {"free", COMPARE_AT_END},
              {"idle-end", COMPARE_AFTER_1_S}}},
};

const size_t compare_memory_count = COMPARE_COUNT(compare_memory_workloads);

static bool takes_samples(const compare_memory_workload_t *workload) {
    return workload->rows[0].phase != NULL;
}

/* ---- files of samples ---- */

static void kept_path(const compare_settings_t *settings, const compare_memory_workload_t *workload,
                      int allocator, int round, char *path) {
    compare_path(path, PATH_MAX, "%s/%s-%d-%d", settings->scratch_dir, workload->workload.name,
                 allocator, round);
}

/* Renames what the program has left, for the next one writes to the same name. */
static bool keep_samples(const compare_settings_t *settings,
                         const compare_memory_workload_t *workload, int allocator, int round,
                         char *reason) {
    char left[PATH_MAX], kept[PATH_MAX];
    compare_path(left, sizeof left, "%s/%s", settings->scratch_dir, SAMPLES_FILE);
    kept_path(settings, workload, allocator, round, kept);
    if (rename(left, kept) == 0) {
        return true;
    }
    compare_text(reason, COMPARE_MAX_REASON_CHARS, "no samples: %s", strerror(errno));
    return false;
}

static bool parse_sample(const char *line, compare_memory_sample_t *sample) {
    double live_bytes, rss_bytes;
    if (sscanf(line, "%15[^,],%lf,%lf,%lf", sample->phase, &sample->ms, &live_bytes, &rss_bytes) !=
        4) {
        return false; /* the title */
    }
    sample->live_mib = live_bytes / 1048576.0;
    sample->rss_mib = rss_bytes / 1048576.0;
    return true;
}

static void load_run(const char *path, compare_memory_run_t *run) {
    FILE *file = fopen(path, "re");
    char line[256];
    int capacity = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        capacity++;
    }
    if (file == NULL) {
        return;
    }
    run->samples = compare_allocate((size_t)capacity + 1, sizeof *run->samples);
    rewind(file);
    while (run->sample_count < capacity && fgets(line, sizeof line, file) != NULL) {
        run->sample_count += parse_sample(line, &run->samples[run->sample_count]) ? 1 : 0;
    }
    fclose(file);
}

static void load_all(const compare_settings_t *settings, compare_memory_result_t *results,
                     int count) {
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < settings->allocator_count && takes_samples(results[i].workload); k++) {
            for (int round = 0; round < results[i].cells[k].run_count; round++) {
                char path[PATH_MAX];
                kept_path(settings, results[i].workload, k, round, path);
                load_run(path, &results[i].cells[k].runs[round]);
            }
        }
    }
}

/* ---- runs ---- */

static void run_cell(const compare_settings_t *settings, compare_memory_result_t *result,
                     int allocator) {
    static const char *const environment[] = {NULL};
    compare_memory_cell_t *cell = &result->cells[allocator];
    compare_command_t command = {.argv = result->row.argv,
                                 .preload = settings->allocators[allocator].preload,
                                 .environment = environment,
                                 .directory = settings->scratch_dir};
    compare_sample_t sample;
    bool good = compare_run(&command, &sample, cell->reason, sizeof cell->reason);
    if (good && takes_samples(result->workload)) {
        good = keep_samples(settings, result->workload, allocator, cell->run_count, cell->reason);
    }
    if (good) {
        cell->runs[cell->run_count++].peak_rss_mib = sample.peak_rss_mib;
    } else {
        cell->failed = true;
    }
}

/* In rotated order: of memory, the one before says nothing. */
static void run_round(const compare_settings_t *settings, compare_memory_result_t *results,
                      int count, int round) {
    int allocators = settings->allocator_count;
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < allocators; k++) {
            int allocator = (k + i + round) % allocators;
            if (results[i].cells[allocator].failed) {
                continue;
            }
            fprintf(stderr, "compare: round %d of %d, program %d of %d: %s, %s\n", round + 1,
                    settings->rounds, i + 1, count, results[i].workload->workload.name,
                    settings->allocators[allocator].name);
            run_cell(settings, &results[i], allocator);
            if (compare_interrupted() != 0) {
                return;
            }
        }
    }
}

static int open_results(const compare_request_t *request, const compare_settings_t *settings,
                        compare_memory_result_t *results) {
    int count = 0;
    for (size_t i = 0; i < compare_memory_count; i++) {
        const compare_memory_workload_t *workload = &compare_memory_workloads[i];
        compare_memory_result_t *result = &results[count];
        char why[COMPARE_MAX_REASON_CHARS] = "";
        if (!compare_is_asked_for(request, settings, &workload->workload)) {
            continue;
        }
        if (!compare_open_row(&workload->workload, settings, &result->row, why, sizeof why)) {
            printf("skipped: %s (%s)\n", workload->workload.name, why);
            continue;
        }
        result->workload = workload;
        result->cells = compare_allocate((size_t)settings->allocator_count, sizeof *result->cells);
        for (int k = 0; k < settings->allocator_count; k++) {
            result->cells[k].runs =
                compare_allocate((size_t)settings->rounds, sizeof *result->cells[k].runs);
        }
        count++;
    }
    return count;
}

static void close_results(const compare_settings_t *settings, compare_memory_result_t *results,
                          int count) {
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < settings->allocator_count; k++) {
            for (int round = 0; round < results[i].cells[k].run_count; round++) {
                free(results[i].cells[k].runs[round].samples);
            }
            free(results[i].cells[k].runs);
        }
        free(results[i].cells);
        free(results[i].row.program);
    }
    free(results);
}

/* ---- the whole ---- */

static bool report(const compare_request_t *request, const compare_settings_t *settings,
                   const compare_memory_result_t *results, int count) {
    compare_memory_print(settings, results, count);
    if (request->outputs[COMPARE_CSV] != NULL) {
        compare_memory_write_csv(request->outputs[COMPARE_CSV], settings, results, count);
    }
    if (request->outputs[COMPARE_SAMPLES] != NULL) {
        compare_memory_write_samples(request->outputs[COMPARE_SAMPLES], settings, results, count);
    }
    if (request->outputs[COMPARE_SVG] != NULL) {
        compare_memory_write_svg(request->outputs[COMPARE_SVG], settings, results, count);
    }
    bool good = count > 0;
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < settings->allocator_count; k++) {
            good = good && !results[i].cells[k].failed;
        }
    }
    return good;
}

bool compare_memory(const compare_request_t *request, const compare_settings_t *settings) {
    compare_memory_result_t *results = compare_allocate(compare_memory_count, sizeof *results);
    int count = open_results(request, settings, results);
    for (int round = 0; round < settings->rounds && compare_interrupted() == 0; round++) {
        run_round(settings, results, count, round);
    }
    bool good = false;
    if (compare_interrupted() == 0) {
        load_all(settings, results, count);
        good = report(request, settings, results, count);
    }
    close_results(settings, results, count);
    return good;
}
