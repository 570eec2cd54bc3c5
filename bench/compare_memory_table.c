/* compare_memory_table.c: what a row of the memory comparison shows, the table, the CSV files.
 *
 * Owns:      everything that is printed about memory.
 * Knows not: how results come to be.
 * Threads:   one.
 */
#include "compare_memory.h"

#include <math.h>
#include <string.h>

/* ---- what a row shows ---- */

/* One phase of one run. Invariant of the ratios: samples with live blocks only; 0 where none is. */
typedef struct {
    double live_mib; /* at the moment that the row is about */
    double rss_mib;
    double peak_ratio; /* RSS to live bytes, over the whole phase */
    double mean_ratio;
} phase_t;

/* The samples of the phase: from *first on, so many. */
static int find_phase(const compare_memory_run_t *run, const char *name, int *first) {
    int count = 0;
    for (int i = 0; i < run->sample_count; i++) {
        if (strcmp(run->samples[i].phase, name) == 0) {
            *first = count == 0 ? i : *first;
            count++;
        }
    }
    return count;
}

static const compare_memory_sample_t *moment_of(const compare_memory_run_t *run, int first,
                                                int count, compare_moment_t moment) {
    const compare_memory_sample_t *chosen = &run->samples[first + count - 1];
    double start_ms = first > 0 ? run->samples[first - 1].ms : 0.0;
    for (int i = first; i < first + count; i++) {
        const compare_memory_sample_t *sample = &run->samples[i];
        if (moment == COMPARE_AT_PEAK && sample->rss_mib > chosen->rss_mib) {
            chosen = sample;
        }
        if (moment == COMPARE_AFTER_1_S && sample->ms >= start_ms + 999.0) {
            return sample; /* the first one that late */
        }
    }
    return chosen;
}

/* False: the run has no such phase. */
static bool read_phase(const compare_memory_run_t *run, const compare_memory_row_t *row,
                       phase_t *phase) {
    *phase = (phase_t){.rss_mib = run->peak_rss_mib};
    if (row->phase == NULL) {
        return true;
    }
    int first = 0;
    int count = find_phase(run, row->phase, &first);
    if (count == 0) {
        return false;
    }
    const compare_memory_sample_t *sample = moment_of(run, first, count, row->moment);
    phase->live_mib = sample->live_mib;
    phase->rss_mib = sample->rss_mib;
    double sum = 0.0;
    int ratios = 0;
    for (int i = first; i < first + count; i++) {
        if (run->samples[i].live_mib > 0.0) {
            double ratio = run->samples[i].rss_mib / run->samples[i].live_mib;
            phase->peak_ratio = fmax(phase->peak_ratio, ratio);
            sum += ratio;
            ratios++;
        }
    }
    phase->mean_ratio = ratios > 0 ? sum / ratios : 0.0;
    return true;
}

/* The medians over the rounds. False: the cell failed. */
static bool read_cell(const compare_memory_result_t *result, int row, int allocator,
                      phase_t *phase) {
    const compare_memory_cell_t *cell = &result->cells[allocator];
    double live[COMPARE_MAX_ROUNDS], rss[COMPARE_MAX_ROUNDS];
    double peaks[COMPARE_MAX_ROUNDS], means[COMPARE_MAX_ROUNDS];
    for (int i = 0; i < cell->run_count; i++) {
        if (!read_phase(&cell->runs[i], &result->workload->rows[row], phase)) {
            return false;
        }
        live[i] = phase->live_mib;
        rss[i] = phase->rss_mib;
        peaks[i] = phase->peak_ratio;
        means[i] = phase->mean_ratio;
    }
    *phase = (phase_t){compare_spread(live, cell->run_count).median,
                       compare_spread(rss, cell->run_count).median,
                       compare_spread(peaks, cell->run_count).median,
                       compare_spread(means, cell->run_count).median};
    return !cell->failed && cell->run_count > 0;
}

/* The smallest RSS of the row; 0 where all allocators failed. */
static double best_rss(const compare_settings_t *settings, const compare_memory_result_t *result,
                       int row) {
    double best = 0.0;
    for (int i = 0; i < settings->allocator_count; i++) {
        phase_t phase;
        if (read_cell(result, row, i, &phase)) {
            best = best <= 0.0 || phase.rss_mib < best ? phase.rss_mib : best;
        }
    }
    return best;
}

static const char *row_text(const compare_memory_result_t *result, int row, char *text,
                            size_t size) {
    static const char *const moments[] = {
        [COMPARE_AT_PEAK] = "peak", [COMPARE_AT_END] = "end", [COMPARE_AFTER_1_S] = "after 1 s"};
    const compare_memory_row_t *at = &result->workload->rows[row];
    if (at->phase == NULL) {
        compare_text(text, size, "%s", result->workload->title);
    } else {
        compare_text(text, size, "%s: %s, %s", result->workload->workload.name, at->phase,
                     moments[at->moment]);
    }
    return text;
}

/* ---- the table ---- */

static int find_own(const compare_settings_t *settings) {
    for (int i = 0; i < settings->allocator_count; i++) {
        if (strcmp(settings->allocators[i].name, COMPARE_OWN_NAME) == 0) {
            return i;
        }
    }
    return -1;
}

static void print_row(const compare_settings_t *settings, const compare_memory_result_t *result,
                      int row) {
    char text[64], ratio[COMPARE_NUMBER_CHARS] = "";
    double best = best_rss(settings, result, row);
    double live = 0.0;
    phase_t phase;
    for (int i = 0; i < settings->allocator_count; i++) {
        live = read_cell(result, row, i, &phase) ? phase.live_mib : live;
    }
    printf("  %-30s", row_text(result, row, text, sizeof text));
    if (result->workload->rows[row].phase != NULL) {
        printf(" %7.1f", live);
    } else {
        printf(" %7s", ""); /* a program that knows nothing of samples */
    }
    for (int i = 0; i < settings->allocator_count; i++) {
        bool is_good = read_cell(result, row, i, &phase);
        if (is_good) {
            printf(" %9.1f%c", phase.rss_mib, phase.rss_mib <= best ? '*' : ' ');
        } else {
            printf(" %9s ", "FAILED");
        }
        if (is_good && i == find_own(settings)) {
            compare_ratio_text(phase.rss_mib, best, ratio);
        }
    }
    printf(" %7s\n", ratio);
}

static void print_title(const compare_settings_t *settings) {
    printf("\nRSS in MiB; * marks the smallest of the row\n  %-30s %7s", "row", "live");
    for (int i = 0; i < settings->allocator_count; i++) {
        printf(" %9.9s ", settings->allocators[i].name);
    }
    printf(" %7s\n", find_own(settings) >= 0 ? COMPARE_OWN_NAME "/best" : "");
}

/* Geometric, over the rows that the allocator has; 0 where it has none. */
static double mean_to_best(const compare_settings_t *settings,
                           const compare_memory_result_t *results, int count, int allocator) {
    double logarithms = 0.0;
    int rows = 0;
    for (int i = 0; i < count; i++) {
        for (int row = 0; row < results[i].workload->row_count; row++) {
            phase_t phase;
            if (read_cell(&results[i], row, allocator, &phase)) {
                logarithms += log(phase.rss_mib / best_rss(settings, &results[i], row));
                rows++;
            }
        }
    }
    return rows > 0 ? exp(logarithms / rows) : 0.0;
}

static void print_failures(const compare_settings_t *settings,
                           const compare_memory_result_t *results, int count) {
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < settings->allocator_count; k++) {
            if (results[i].cells[k].failed) {
                printf("  FAILED: %s, %s: %s\n", results[i].workload->workload.name,
                       settings->allocators[k].name, results[i].cells[k].reason);
            }
        }
    }
}

void compare_memory_print(const compare_settings_t *settings,
                          const compare_memory_result_t *results, int count) {
    print_title(settings);
    for (int i = 0; i < count; i++) {
        for (int row = 0; row < results[i].workload->row_count; row++) {
            print_row(settings, &results[i], row);
        }
    }
    printf("  %-38s", "geometric mean, relative to the best");
    for (int i = 0; i < settings->allocator_count; i++) {
        char text[COMPARE_NUMBER_CHARS];
        double mean = mean_to_best(settings, results, count, i);
        printf(" %9s ", compare_ratio_text(mean, 1.0, text));
    }
    putchar('\n');
    print_failures(settings, results, count);
}

/* ---- the CSV files ---- */

void compare_memory_write_csv(FILE *csv, const compare_settings_t *settings,
                              const compare_memory_result_t *results, int count) {
    fprintf(csv, "row,allocator,runs,live_mib,rss_mib,rss_to_best,peak_ratio_to_live,"
                 "mean_ratio_to_live,failure\n");
    for (int i = 0; i < count; i++) {
        for (int row = 0; row < results[i].workload->row_count; row++) {
            double best = best_rss(settings, &results[i], row);
            for (int k = 0; k < settings->allocator_count; k++) {
                const compare_memory_cell_t *cell = &results[i].cells[k];
                char text[64];
                phase_t phase;
                compare_write_quoted(csv, row_text(&results[i], row, text, sizeof text));
                fprintf(csv, ",%s,%d,", settings->allocators[k].name, cell->run_count);
                if (read_cell(&results[i], row, k, &phase)) {
                    fprintf(csv, "%.3f,%.3f,%.3f,%.3f,%.3f,", phase.live_mib, phase.rss_mib,
                            phase.rss_mib / best, phase.peak_ratio, phase.mean_ratio);
                } else {
                    fprintf(csv, ",,,,,");
                }
                compare_write_quoted(csv, cell->failed ? cell->reason : "");
                fputc('\n', csv);
            }
        }
    }
}

static void write_run(FILE *csv, const char *workload, const char *allocator, int round,
                      const compare_memory_run_t *run) {
    for (int i = 0; i < run->sample_count; i++) {
        const compare_memory_sample_t *sample = &run->samples[i];
        fprintf(csv, "%s,%s,%d,%s,%.1f,%.3f,%.3f\n", workload, allocator, round + 1, sample->phase,
                sample->ms, sample->live_mib, sample->rss_mib);
    }
}

void compare_memory_write_samples(FILE *csv, const compare_settings_t *settings,
                                  const compare_memory_result_t *results, int count) {
    fprintf(csv, "workload,allocator,round,phase,ms,live_mib,rss_mib\n");
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < settings->allocator_count; k++) {
            for (int round = 0; round < results[i].cells[k].run_count; round++) {
                write_run(csv, results[i].workload->workload.name, settings->allocators[k].name,
                          round, &results[i].cells[k].runs[round]);
            }
        }
    }
}
