/* compare_report.c: the comparison as text: tables, the summary, the CSV file.
 *
 * Owns:      everything that this program prints about times.
 * Knows not: how results come to be.
 * Threads:   one.
 */
#include "compare.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* ---- numbers as text ---- */

static const char *known_text(double value, char *text) {
    return value < 0.0 ? "-" : compare_with_commas(value, text);
}

/* ---- the head ---- */

static void find_processor(char *model, size_t size) {
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    compare_text(model, size, "unknown processor");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            line[strcspn(line, "\n")] = '\0';
            compare_text(model, size, "%s", colon + 2);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

void compare_describe(const compare_settings_t *settings, compare_machine_t *machine) {
    struct utsname name;
    char model[128], libc[64], date[32];
    time_t now = time(NULL);
    struct tm parts;
    uname(&name);
    if (confstr(_CS_GNU_LIBC_VERSION, libc, sizeof libc) == 0) {
        compare_text(libc, sizeof libc, "unknown libc");
    }
    strftime(date, sizeof date, "%Y-%m-%d", localtime_r(&now, &parts));
    find_processor(model, sizeof model);
    compare_text(machine->machine, sizeof machine->machine, "%ld x %s",
                 sysconf(_SC_NPROCESSORS_ONLN), model);
    compare_text(machine->system, sizeof machine->system, "%s %s, %s", name.sysname, name.release,
                 libc);
    compare_text(machine->runs, sizeof machine->runs, "%s, %d round%s%s%s, %s",
                 settings->quick ? "quick" : "full", settings->rounds,
                 settings->rounds == 1 ? "" : "s", settings->rounds == 1 ? "" : ", medians",
                 settings->ended_early ? ", ended early" : "", date);
}

void compare_print_machine(const compare_settings_t *settings) {
    compare_machine_t machine;
    compare_describe(settings, &machine);
    printf("machine:    %s\nsystem:     %s\nruns:       %s\n", machine.machine, machine.system,
           machine.runs);
    for (int i = 0; i < settings->allocator_count; i++) {
        const compare_allocator_t *allocator = &settings->allocators[i];
        printf("%-12s%s: %s\n", i == 0 ? "allocators:" : "", allocator->name,
               allocator->preload != NULL ? allocator->preload : "no preload");
    }
}

/* ---- one table for each row ---- */

#define ROW_FORMAT "  %-12s %15s %7s %8s %8s %9s %10s %10s %9s\n"

static void print_cell(const compare_settings_t *settings, const compare_result_t *result,
                       int allocator) {
    const compare_cell_t *cell = &result->cells[allocator];
    const char *name = settings->allocators[allocator].name;
    if (!compare_is_good(cell)) {
        printf("  %-12s FAILED: %s\n", name, cell->reason);
        return;
    }
    char score[COMPARE_NUMBER_CHARS], range[COMPARE_NUMBER_CHARS], system[COMPARE_NUMBER_CHARS],
        best[COMPARE_NUMBER_CHARS];
    char peak[COMPARE_NUMBER_CHARS], faults[COMPARE_NUMBER_CHARS], slabs[COMPARE_NUMBER_CHARS],
        calls[COMPARE_NUMBER_CHARS];
    compare_spread_t scores = compare_cell_spread(cell, COMPARE_FIELD(score));
    double spread_percent = (scores.max - scores.min) / scores.median * 100.0;
    double system_time = compare_is_good(&result->cells[0]) ? compare_time(result, 0) : 0.0;
    double best_time = compare_best(result, settings->allocator_count, compare_time);
    compare_text(range, sizeof range, "%.0f%%", spread_percent);
    compare_text(peak, sizeof peak, "%.1f", compare_peak(result, allocator));
    printf(ROW_FORMAT, name, compare_score_text(result, scores.median, score), range,
           compare_ratio_text(compare_time(result, allocator), system_time, system),
           compare_ratio_text(compare_time(result, allocator), best_time, best), peak,
           compare_with_commas(compare_cell_median(cell, COMPARE_FIELD(minor_faults)), faults),
           known_text(cell->superslabs, slabs), known_text(cell->mapping_calls, calls));
}

void compare_print_row(const compare_settings_t *settings, const compare_result_t *result) {
    const compare_workload_t *workload = result->row.workload;
    const char *program = strrchr(result->row.program, '/') + 1;
    printf("\n%s: %s%s%s\n", workload->name, program, result->row.arg_text[0] != '\0' ? " " : "",
           result->row.arg_text);
    printf(ROW_FORMAT, "allocator", compare_score_title(workload), "spread", "t/system", "t/best",
           "peak MiB", "faults", "SuperSlabs", "map calls");
    for (int i = 0; i < settings->allocator_count; i++) {
        print_cell(settings, result, i);
    }
}

/* ---- all rows in one table ---- */

static void print_matrix(const compare_settings_t *settings, const compare_result_t *results,
                         int count, const char *title, compare_measure_t *measure) {
    printf("\n%s, relative to the best of each row\n  %-18s", title, "row");
    for (int i = 0; i < settings->allocator_count; i++) {
        printf(" %9.9s", settings->allocators[i].name);
    }
    for (int k = 0; k < count; k++) {
        double best = compare_best(&results[k], settings->allocator_count, measure);
        printf("\n  %-18s", results[k].row.workload->name);
        for (int i = 0; i < settings->allocator_count; i++) {
            char text[COMPARE_NUMBER_CHARS];
            bool is_good = compare_is_good(&results[k].cells[i]);
            printf(" %9s",
                   is_good ? compare_ratio_text(measure(&results[k], i), best, text) : "FAILED");
        }
    }
    printf("\n  %-18s", "geometric mean");
    for (int i = 0; i < settings->allocator_count; i++) {
        char text[COMPARE_NUMBER_CHARS];
        double mean = compare_mean_ratio(settings, results, count, i, measure);
        printf(" %9s", compare_ratio_text(mean, 1.0, text));
    }
    putchar('\n');
}

void compare_print_matrices(const compare_settings_t *settings, const compare_result_t *results,
                            int count) {
    print_matrix(settings, results, count, "Time", compare_time);
    print_matrix(settings, results, count, "Peak RSS", compare_peak);
}

/* ---- the summary ---- */

static void print_moments(const compare_settings_t *settings, const compare_result_t *results,
                          int count) {
    int parallel = 0, apart = 0;
    for (int k = 0; k < count; k++) {
        for (int i = 0; i < settings->allocator_count && results[k].row.workload->parallel; i++) {
            const compare_cell_t *cell = &results[k].cells[i];
            parallel += cell->sample_count;
            for (int round = 0; round < cell->sample_count; round++) {
                apart += cell->samples[round].apart;
            }
        }
    }
    if (parallel > 0) {
        printf("Of %d runs with threads that work together, %d were taken while the processors\n"
               "were farther from each other than they can be.\n",
               parallel, apart);
    }
}

void compare_print_summary(const compare_settings_t *settings, const compare_result_t *results,
                           int count) {
    printf("\nSummary: geometric means over the rows, relative to the best of each row;\n"
           "times are relative to the other allocators' in the same round, and of these the "
           "medians\n");
    printf("  %-12s %8s %8s %6s %7s\n", "allocator", "time", "peak RSS", "rows", "failed");
    for (int i = 0; i < settings->allocator_count; i++) {
        int failed = 0;
        for (int k = 0; k < count; k++) {
            failed += compare_is_good(&results[k].cells[i]) ? 0 : 1;
        }
        char time_mean[COMPARE_NUMBER_CHARS], peak_mean[COMPARE_NUMBER_CHARS];
        double time_ratio = compare_mean_ratio(settings, results, count, i, compare_time);
        double peak_ratio = compare_mean_ratio(settings, results, count, i, compare_peak);
        printf("  %-12s %8s %8s %6d %7d\n", settings->allocators[i].name,
               compare_ratio_text(time_ratio, 1.0, time_mean),
               compare_ratio_text(peak_ratio, 1.0, peak_mean), count - failed, failed);
    }
    print_moments(settings, results, count);
    double noise = compare_noise(results, count);
    if (noise > 0.0) {
        printf("Allocators that are all alike would show a time of about %.2f: runs vary, and the\n"
               "best of a row is one that was lucky, too.\n",
               noise);
    }
}

/* ---- the CSV file ---- */

static const struct {
    const char *name;
    size_t field;
} csv_fields[] = {
    {"score", COMPARE_FIELD(score)},
    {"cpu_s", COMPARE_FIELD(cpu_s)},
    {"system_s", COMPARE_FIELD(system_s)},
    {"wall_s", COMPARE_FIELD(wall_s)},
    {"peak_rss_mib", COMPARE_FIELD(peak_rss_mib)},
    {"minor_faults", COMPARE_FIELD(minor_faults)},
    {"major_faults", COMPARE_FIELD(major_faults)},
};

static void write_known(FILE *csv, double value) {
    if (value < 0.0) {
        fprintf(csv, ",");
    } else {
        fprintf(csv, ",%.0f", value);
    }
}

/* A reason may hold commas and quotes: it stands in quotes, and those inside are doubled. */
void compare_write_quoted(FILE *csv, const char *text) {
    fputc('"', csv);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            fputc('"', csv);
        }
        fputc(*text, csv);
    }
    fputc('"', csv);
}

void compare_write_escaped(FILE *page, const char *text) {
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", page);
            break;
        case '>':
            fputs("&gt;", page);
            break;
        case '&':
            fputs("&amp;", page);
            break;
        case '"':
            fputs("&quot;", page);
            break;
        default:
            fputc(*text, page);
        }
    }
}

static void write_ratio(FILE *csv, const compare_result_t *result, int allocator,
                        compare_measure_t *measure) {
    if (compare_is_good(&result->cells[allocator])) {
        double best = compare_best(result, result->cell_count, measure);
        fprintf(csv, ",%.4f", measure(result, allocator) / best);
    } else {
        fputc(',', csv);
    }
}

static void write_cell(FILE *csv, const compare_result_t *result, const char *name, int allocator) {
    const compare_workload_t *workload = result->row.workload;
    const compare_cell_t *cell = &result->cells[allocator];
    fprintf(csv, "%s,%s,%s,%d", workload->name, name,
            workload->score != NULL ? "operations" : "cpu_seconds", cell->sample_count);
    for (size_t i = 0; i < COMPARE_COUNT(csv_fields); i++) {
        compare_spread_t values = compare_cell_spread(cell, csv_fields[i].field);
        fprintf(csv, ",%.6f,%.6f,%.6f", values.median, values.min, values.max);
    }
    write_known(csv, cell->superslabs);
    write_known(csv, cell->mapping_calls);
    write_ratio(csv, result, allocator, compare_time);
    write_ratio(csv, result, allocator, compare_peak);
    fputc(',', csv);
    compare_write_quoted(csv, cell->failed ? cell->reason : "");
    fputc('\n', csv);
}

void compare_write_csv(FILE *csv, const compare_settings_t *settings,
                       const compare_result_t *results, int count) {
    fprintf(csv, "row,allocator,unit,runs");
    for (size_t i = 0; i < COMPARE_COUNT(csv_fields); i++) {
        const char *name = csv_fields[i].name;
        fprintf(csv, ",%s,%s_min,%s_max", name, name, name);
    }
    fprintf(csv, ",superslabs_peak,mapping_calls,time_to_best,peak_to_best,failure\n");
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < settings->allocator_count; k++) {
            write_cell(csv, &results[i], settings->allocators[k].name, k);
        }
    }
}
