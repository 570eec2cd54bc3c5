/* compare_report.c: medians, tables, the summary, the CSV file.
 *
 * Owns:      everything that this program prints about results.
 * Knows not: how results come to be.
 * Threads:   one.
 *
 * Every ratio is a ratio of times or of memory, so that smaller is better everywhere and the best
 * has 1.00. A failed cell takes no part in any of them.
 */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define NUMBER_CHARS 40

/* ---- medians ---- */

typedef double field_t(const compare_sample_t *sample);

static double score_of(const compare_sample_t *sample) {
    return sample->score;
}
static double cpu_of(const compare_sample_t *sample) {
    return sample->cpu_s;
}
static double wall_of(const compare_sample_t *sample) {
    return sample->wall_s;
}
static double rss_of(const compare_sample_t *sample) {
    return sample->peak_rss_mib;
}
static double faults_of(const compare_sample_t *sample) {
    return sample->minor_faults;
}

typedef struct {
    double median;
    double min;
    double max;
} spread_t;

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static spread_t spread_of(const compare_cell_t *cell, field_t *field) {
    double values[COMPARE_MAX_ROUNDS];
    int count = cell->sample_count;
    if (count == 0) {
        return (spread_t){0};
    }
    for (int i = 0; i < count; i++) {
        values[i] = field(&cell->samples[i]);
    }
    qsort(values, (size_t)count, sizeof values[0], compare_doubles);
    double median = (values[(count - 1) / 2] + values[count / 2]) / 2.0;
    return (spread_t){median, values[0], values[count - 1]};
}

static double median_of(const compare_cell_t *cell, field_t *field) {
    return spread_of(cell, field).median;
}

/* ---- ratios ---- */

static bool is_good(const compare_cell_t *cell) {
    return !cell->failed && cell->sample_count > 0;
}

/* The time of one operation, or of the whole run. */
static double time_of(const compare_result_t *result, int allocator) {
    double score = median_of(&result->cells[allocator], score_of);
    return result->row.workload->score != NULL ? 1.0 / score : score;
}

static double peak_of(const compare_result_t *result, int allocator) {
    return median_of(&result->cells[allocator], rss_of);
}

typedef double measure_t(const compare_result_t *result, int allocator);

/* The smallest value of a row; 0 where all allocators failed. */
static double smallest(const compare_result_t *result, int allocator_count, measure_t *measure) {
    double least = 0.0;
    for (int i = 0; i < allocator_count; i++) {
        if (is_good(&result->cells[i])) {
            double value = measure(result, i);
            least = least <= 0.0 || value < least ? value : least;
        }
    }
    return least;
}

/* ---- numbers as text ---- */

/* 1234567 becomes 1,234,567. */
static const char *with_commas(double number, char *text) {
    char digits[NUMBER_CHARS / 2];
    compare_text(digits, sizeof digits, "%.0f", number);
    size_t length = strlen(digits);
    char *to = text;
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            *to++ = ',';
        }
        *to++ = digits[i];
    }
    *to = '\0';
    return text;
}

static const char *score_text(const compare_result_t *result, double score, char *text) {
    /* Small scores are in the program's own unit, such as millions a second. */
    if (result->row.workload->score != NULL && score >= 1000.0) {
        return with_commas(score, text);
    }
    compare_text(text, NUMBER_CHARS, "%.3f", score);
    return text;
}

static const char *ratio_text(double value, double base, char *text) {
    compare_text(text, NUMBER_CHARS, base > 0.0 ? "%.2f" : "-", base > 0.0 ? value / base : 0.0);
    return text;
}

static const char *known_text(double value, char *text) {
    return value < 0.0 ? "-" : with_commas(value, text);
}

/* ---- the head ---- */

static void print_processor(void) {
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    const char *model = "unknown processor\n";
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            model = colon + 2;
            break;
        }
    }
    printf("machine:    %ld x %s", sysconf(_SC_NPROCESSORS_ONLN), model);
    if (file != NULL) {
        fclose(file);
    }
}

void compare_print_machine(const compare_settings_t *settings) {
    struct utsname name;
    char libc[64];
    char date[32] = "";
    time_t now = time(NULL);
    struct tm parts;
    uname(&name);
    if (confstr(_CS_GNU_LIBC_VERSION, libc, sizeof libc) == 0) {
        compare_text(libc, sizeof libc, "unknown libc");
    }
    strftime(date, sizeof date, "%Y-%m-%d", localtime_r(&now, &parts));
    print_processor();
    printf("system:     %s %s, %s\n", name.sysname, name.release, libc);
    printf("runs:       %s, %d round%s, medians, %s\n", settings->quick ? "quick" : "full",
           settings->rounds, settings->rounds == 1 ? "" : "s", date);
    for (int i = 0; i < settings->allocator_count; i++) {
        const compare_allocator_t *allocator = &settings->allocators[i];
        printf("%-12s%s: %s\n", i == 0 ? "allocators:" : "", allocator->name,
               allocator->library != NULL ? allocator->library : "no preload");
    }
    printf("\nTimes and memory are relative to the smallest: 1.00 is the best, 2.00 twice that.\n");
}

/* ---- one table for each row ---- */

#define ROW_FORMAT "  %-12s %15s %7s %8s %8s %9s %10s %10s %9s\n"

static const char *score_title(const compare_workload_t *workload) {
    if (workload->score == NULL) {
        return "CPU s";
    }
    return workload->place == COMPARE_OURS ? "operations/s" : "score";
}

static void print_cell(const compare_settings_t *settings, const compare_result_t *result,
                       int allocator) {
    const compare_cell_t *cell = &result->cells[allocator];
    const char *name = settings->allocators[allocator].name;
    if (!is_good(cell)) {
        printf("  %-12s FAILED: %s\n", name, cell->reason);
        return;
    }
    char score[NUMBER_CHARS], range[NUMBER_CHARS], system[NUMBER_CHARS], best[NUMBER_CHARS];
    char peak[NUMBER_CHARS], faults[NUMBER_CHARS], slabs[NUMBER_CHARS], calls[NUMBER_CHARS];
    spread_t scores = spread_of(cell, score_of);
    double spread_percent = (scores.max - scores.min) / scores.median * 100.0;
    double system_time = is_good(&result->cells[0]) ? time_of(result, 0) : 0.0;
    double best_time = smallest(result, settings->allocator_count, time_of);
    compare_text(range, sizeof range, "%.0f%%", spread_percent);
    compare_text(peak, sizeof peak, "%.1f", peak_of(result, allocator));
    printf(ROW_FORMAT, name, score_text(result, scores.median, score), range,
           ratio_text(time_of(result, allocator), system_time, system),
           ratio_text(time_of(result, allocator), best_time, best), peak,
           with_commas(median_of(cell, faults_of), faults), known_text(cell->superslabs, slabs),
           known_text(cell->mapping_calls, calls));
}

void compare_print_row(const compare_settings_t *settings, const compare_result_t *result) {
    const compare_workload_t *workload = result->row.workload;
    const char *program = strrchr(result->row.program, '/') + 1;
    printf("\n%s: %s%s%s\n", workload->name, program, result->row.arg_text[0] != '\0' ? " " : "",
           result->row.arg_text);
    printf(ROW_FORMAT, "allocator", score_title(workload), "spread", "t/system", "t/best",
           "peak MiB", "faults", "SuperSlabs", "map calls");
    for (int i = 0; i < settings->allocator_count; i++) {
        print_cell(settings, result, i);
    }
}

/* ---- the summary ---- */

/* The geometric mean over the allocator's good rows of its value relative to the row's smallest. */
static double mean_ratio(const compare_settings_t *settings, const compare_result_t *results,
                         int count, int allocator, measure_t *measure) {
    double logarithms = 0.0;
    int rows = 0;
    for (int i = 0; i < count; i++) {
        if (is_good(&results[i].cells[allocator])) {
            double least = smallest(&results[i], settings->allocator_count, measure);
            logarithms += log(measure(&results[i], allocator) / least);
            rows++;
        }
    }
    return rows > 0 ? exp(logarithms / rows) : 0.0;
}

void compare_print_summary(const compare_settings_t *settings, const compare_result_t *results,
                           int count) {
    printf("\nSummary: geometric means over the rows, relative to the best of each row\n");
    printf("  %-12s %8s %8s %6s %7s\n", "allocator", "time", "peak RSS", "rows", "failed");
    for (int i = 0; i < settings->allocator_count; i++) {
        int failed = 0;
        for (int k = 0; k < count; k++) {
            failed += is_good(&results[k].cells[i]) ? 0 : 1;
        }
        char time_mean[NUMBER_CHARS], peak_mean[NUMBER_CHARS];
        double time_ratio = mean_ratio(settings, results, count, i, time_of);
        double peak_ratio = mean_ratio(settings, results, count, i, peak_of);
        printf("  %-12s %8s %8s %6d %7d\n", settings->allocators[i].name,
               ratio_text(time_ratio, time_ratio > 0.0 ? 1.0 : 0.0, time_mean),
               ratio_text(peak_ratio, peak_ratio > 0.0 ? 1.0 : 0.0, peak_mean), count - failed,
               failed);
    }
}

/* ---- the CSV file ---- */

static const struct {
    const char *name;
    field_t *field;
} csv_fields[] = {
    {"score", score_of},      {"cpu_s", cpu_of},           {"wall_s", wall_of},
    {"peak_rss_mib", rss_of}, {"minor_faults", faults_of},
};

static void write_known(FILE *csv, double value) {
    if (value < 0.0) {
        fprintf(csv, ",");
    } else {
        fprintf(csv, ",%.0f", value);
    }
}

/* A reason may hold commas and quotes: it stands in quotes, and those inside are doubled. */
static void write_quoted(FILE *csv, const char *text) {
    fprintf(csv, ",\"");
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            fputc('"', csv);
        }
        fputc(*text, csv);
    }
    fprintf(csv, "\"\n");
}

static void write_cell(FILE *csv, const compare_result_t *result, const char *name,
                       const compare_cell_t *cell) {
    const compare_workload_t *workload = result->row.workload;
    fprintf(csv, "%s,%s,%s,%d", workload->name, name,
            workload->score != NULL ? "operations" : "cpu_seconds", cell->sample_count);
    for (size_t i = 0; i < COMPARE_COUNT(csv_fields); i++) {
        spread_t values = spread_of(cell, csv_fields[i].field);
        fprintf(csv, ",%.6f,%.6f,%.6f", values.median, values.min, values.max);
    }
    write_known(csv, cell->superslabs);
    write_known(csv, cell->mapping_calls);
    write_quoted(csv, cell->failed ? cell->reason : "");
}

void compare_write_csv(FILE *csv, const compare_settings_t *settings,
                       const compare_result_t *results, int count) {
    fprintf(csv, "row,allocator,unit,runs");
    for (size_t i = 0; i < COMPARE_COUNT(csv_fields); i++) {
        const char *name = csv_fields[i].name;
        fprintf(csv, ",%s,%s_min,%s_max", name, name, name);
    }
    fprintf(csv, ",superslabs_peak,mapping_calls,failure\n");
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < settings->allocator_count; k++) {
            write_cell(csv, &results[i], settings->allocators[k].name, &results[i].cells[k]);
        }
    }
}
