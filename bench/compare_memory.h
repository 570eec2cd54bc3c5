/* compare_memory.h: what the files of the memory comparison share: workloads, samples, results.
 *
 * Owns:      the types and the contracts between compare_memory*.c.
 * Knows not: how a child is run.
 * Threads:   one.
 *
 *   compare_memory.c         the workloads, the runs, the samples that the programs leave
 *   compare_memory_table.c   what a row shows, the table, the CSV files
 *   compare_memory_plot.c    resident memory over time, as SVG
 */
#ifndef COMPARE_MEMORY_H
#define COMPARE_MEMORY_H

#include "compare.h"

/* ---- workloads ---- */

#define COMPARE_MEMORY_ROWS 8
#define COMPARE_PHASE_CHARS 16

typedef enum { COMPARE_AT_PEAK, COMPARE_AT_END, COMPARE_AFTER_1_S } compare_moment_t;

/* A row of the table: resident memory at one moment of a phase. */
typedef struct {
    const char *phase; /* NULL: the peak of the whole run as the kernel saw it */
    compare_moment_t moment;
} compare_memory_row_t;

/* Like the workloads of the comparison of times, without a score. A program that takes samples is
 * given the name of the file to write them to as its last argument. */
typedef struct {
    compare_workload_t workload;
    const char *title;
    bool has_plot;
    int row_count;
    compare_memory_row_t rows[COMPARE_MEMORY_ROWS];
} compare_memory_workload_t;

extern const compare_memory_workload_t compare_memory_workloads[];
extern const size_t compare_memory_count;

/* ---- results ---- */

typedef struct {
    char phase[COMPARE_PHASE_CHARS];
    double ms;
    double live_mib;
    double rss_mib;
} compare_memory_sample_t;

/* One run. The first sample of programs that take any is in the phase "start", which is no row. */
typedef struct {
    double peak_rss_mib;
    compare_memory_sample_t *samples;
    int sample_count;
} compare_memory_run_t;

typedef struct {
    compare_memory_run_t *runs; /* one for each round */
    int run_count;
    bool failed;
    char reason[COMPARE_MAX_REASON_CHARS];
} compare_memory_cell_t;

typedef struct {
    const compare_memory_workload_t *workload;
    compare_row_t row;
    compare_memory_cell_t *cells; /* one for each allocator */
} compare_memory_result_t;

/* Runs everything asked for and reports it. Returns whether every run was good. */
bool compare_memory(const compare_request_t *request, const compare_settings_t *settings);

/* ---- reports ---- */

void compare_memory_print(const compare_settings_t *settings,
                          const compare_memory_result_t *results, int count);

/* A line for each row and allocator. */
void compare_memory_write_csv(FILE *csv, const compare_settings_t *settings,
                              const compare_memory_result_t *results, int count);

/* A line for each sample. */
void compare_memory_write_samples(FILE *csv, const compare_settings_t *settings,
                                  const compare_memory_result_t *results, int count);

void compare_memory_write_svg(FILE *svg, const compare_settings_t *settings,
                              const compare_memory_result_t *results, int count);

#endif
