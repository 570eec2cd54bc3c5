/* compare_numbers.c: medians, ratios, means, and numbers as text
 *
 * Owns:      nothing.
 * Knows not: where results come from, where they are shown.
 * Threads:   one.
 *
 * Every ratio is a ratio of times or of memory, so that smaller is better everywhere and the best
 * has 1.00. A failed cell takes no part in any of them.
 *
 * Times are compared round by round: each as a ratio to the mean of all allocators in the same
 * round, and of these ratios the median is taken. A machine that others use, too, is by turns fast
 * and slow for seconds, which is longer than a row takes in one round; so what is left of it is
 * little, where medians of the times themselves would tell which of them met a fast moment.
 */
#include "compare.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- medians ---- */

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

compare_spread_t compare_spread(double *values, int count) {
    if (count == 0) {
        return (compare_spread_t){0};
    }
    qsort(values, (size_t)count, sizeof values[0], compare_doubles);
    double median = (values[(count - 1) / 2] + values[count / 2]) / 2.0;
    return (compare_spread_t){median, values[0], values[count - 1]};
}

compare_spread_t compare_cell_spread(const compare_cell_t *cell, size_t field) {
    double values[COMPARE_MAX_ROUNDS];
    for (int i = 0; i < cell->sample_count; i++) {
        memcpy(&values[i], (const char *)&cell->samples[i] + field, sizeof values[i]);
    }
    return compare_spread(values, cell->sample_count);
}

double compare_cell_median(const compare_cell_t *cell, size_t field) {
    return compare_cell_spread(cell, field).median;
}

/* ---- ratios ---- */

bool compare_is_good(const compare_cell_t *cell) {
    return !cell->failed && cell->sample_count > 0;
}

/* The logarithm of the time of one operation, or of the whole run. */
static double log_time(const compare_result_t *result, int allocator, int round) {
    double time = log(result->cells[allocator].samples[round].score);
    return result->row.workload->score != NULL ? -time : time;
}

/* Relative to the mean of all that ran in the round. */
static double relative_log_time(const compare_result_t *result, int allocator, int round) {
    double sum = 0.0;
    int count = 0;
    for (int i = 0; i < result->cell_count; i++) {
        const compare_cell_t *cell = &result->cells[i];
        if (compare_is_good(cell) && round < cell->sample_count) {
            sum += log_time(result, i, round);
            count++;
        }
    }
    return log_time(result, allocator, round) - sum / count;
}

static double median_log_time(const compare_result_t *result, int allocator) {
    double values[COMPARE_MAX_ROUNDS];
    int rounds = result->cells[allocator].sample_count;
    for (int round = 0; round < rounds; round++) {
        values[round] = relative_log_time(result, allocator, round);
    }
    return compare_spread(values, rounds).median;
}

double compare_time(const compare_result_t *result, int allocator) {
    return exp(median_log_time(result, allocator));
}

double compare_peak(const compare_result_t *result, int allocator) {
    return compare_cell_median(&result->cells[allocator], COMPARE_FIELD(peak_rss_mib));
}

double compare_best(const compare_result_t *result, int allocator_count,
                    compare_measure_t *measure) {
    double least = 0.0;
    for (int i = 0; i < allocator_count; i++) {
        if (compare_is_good(&result->cells[i])) {
            double value = measure(result, i);
            least = least <= 0.0 || value < least ? value : least;
        }
    }
    return least;
}

double compare_mean_ratio(const compare_settings_t *settings, const compare_result_t *results,
                          int count, int allocator, compare_measure_t *measure) {
    double logarithms = 0.0;
    int rows = 0;
    for (int i = 0; i < count; i++) {
        if (compare_is_good(&results[i].cells[allocator])) {
            double least = compare_best(&results[i], settings->allocator_count, measure);
            logarithms += log(measure(&results[i], allocator) / least);
            rows++;
        }
    }
    return rows > 0 ? exp(logarithms / rows) : 0.0;
}

/* ---- noise ---- */

#define NOISE_TRIALS 200

typedef struct {
    double deviations[COMPARE_MAX_ALLOCATORS * COMPARE_MAX_ROUNDS];
    int count, allocators, rounds;
} noise_t;

/* How far each run of a row lies from its allocator's median. That and the mean which it is
 * relative to are made of the same runs, so the distances are too small by as much as they are
 * widened. */
static void find_deviations(const compare_result_t *result, noise_t *noise) {
    noise->count = noise->allocators = noise->rounds = 0;
    for (int i = 0; i < result->cell_count; i++) {
        int rounds = result->cells[i].sample_count;
        if (!compare_is_good(&result->cells[i]) || rounds < 2) {
            continue;
        }
        double median = median_log_time(result, i);
        for (int round = 0; round < rounds; round++) {
            noise->deviations[noise->count++] = relative_log_time(result, i, round) - median;
        }
        noise->allocators++;
        noise->rounds = rounds;
    }
    double rounds = noise->rounds;
    double allocators = noise->allocators;
    for (int i = 0; i < noise->count && noise->allocators > 1; i++) {
        noise->deviations[i] *=
            sqrt(rounds / (rounds - 1.0)) * sqrt(allocators / (allocators - 1.0));
    }
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* The mean distance to the least of medians that differ by chance alone. */
static double draw_distance(const noise_t *noise, uint64_t *state) {
    double values[COMPARE_MAX_ROUNDS];
    double sum = 0.0;
    double least = 0.0;
    for (int i = 0; i < noise->allocators; i++) {
        for (int round = 0; round < noise->rounds; round++) {
            values[round] = noise->deviations[next_random(state) % (uint64_t)noise->count];
        }
        double median = compare_spread(values, noise->rounds).median;
        sum += median;
        least = i == 0 || median < least ? median : least;
    }
    return sum / noise->allocators - least;
}

double compare_noise(const compare_result_t *results, int count) {
    uint64_t state = UINT64_C(88172645463325252); /* always the same: so is what comes of it */
    double sum = 0.0;
    int rows = 0;
    for (int i = 0; i < count; i++) {
        noise_t noise;
        find_deviations(&results[i], &noise);
        if (noise.allocators < 2) {
            continue;
        }
        for (int trial = 0; trial < NOISE_TRIALS; trial++) {
            sum += draw_distance(&noise, &state) / NOISE_TRIALS;
        }
        rows++;
    }
    return rows > 0 ? exp(sum / rows) : 0.0;
}

/* ---- numbers as text ---- */

const char *compare_with_commas(double number, char *text) {
    char digits[COMPARE_NUMBER_CHARS / 2];
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

const char *compare_score_text(const compare_result_t *result, double score, char *text) {
    /* Small scores are in the program's own unit, such as millions a second. */
    if (result->row.workload->score != NULL && score >= 1000.0) {
        return compare_with_commas(score, text);
    }
    compare_text(text, COMPARE_NUMBER_CHARS, "%.3f", score);
    return text;
}

const char *compare_ratio_text(double value, double base, char *text) {
    bool is_known = value > 0.0 && base > 0.0;
    compare_text(text, COMPARE_NUMBER_CHARS, is_known ? "%.2f" : "-",
                 is_known ? value / base : 0.0);
    return text;
}

const char *compare_score_title(const compare_workload_t *workload) {
    if (workload->score == NULL) {
        return "CPU s";
    }
    return workload->place == COMPARE_OURS ? "operations/s" : "score";
}
