/* compare.h: what the files of the comparison runner share: workloads, commands, samples, results.
 *
 * Owns:      the types and the contracts between compare*.c.
 * Knows not: any allocator from inside; each is a shared library that is preloaded into children.
 * Threads:   one, but for compare_moment.c. Signals are read synchronously while a child runs
 *            (compare_child.c).
 *
 *   compare.c            the order of the runs, the exit status
 *   compare_options.c    the command line and the output files
 *   compare_workloads.c  the table of workloads, and which of them this machine can run
 *   compare_scaling.c    the table of those that run at several numbers of threads
 *   compare_inputs.c     the generated files that the real programs read
 *   compare_scripts.c    the scripts that they run
 *   compare_child.c      one run of one program: preload, wait, usage, score
 *   compare_moment.c     whether two processors are as near to each other as they can be
 *   compare_numbers.c    medians, ratios, means, numbers as text
 *   compare_report.c     tables, the summary, the CSV file
 *   compare_html.c       the same as a page
 *   compare_memory*.c    the comparison of resident memory (see compare_memory.h)
 */
#ifndef COMPARE_H
#define COMPARE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define COMPARE_MAX_ALLOCATORS 16
#define COMPARE_MAX_ROUNDS 99
#define COMPARE_MAX_ROWS 96
#define COMPARE_MAX_NUMBERS 8 /* of threads; all of them make no more rows than there may be */
#define COMPARE_NUMBER_CHARS 40
#define COMPARE_MAX_ARGS 16
#define COMPARE_MAX_ARG_CHARS 96
#define COMPARE_MAX_REASON_CHARS 160

/* The one allocator whose statistics file is read. */
#define COMPARE_OWN_NAME "hakmem"

#define COMPARE_COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- the settings of one comparison; const once the options are read ---- */

typedef struct {
    const char *name;
    const char *preload; /* absolute path; NULL: the system's malloc, nothing is preloaded */
} compare_allocator_t;

typedef struct {
    compare_allocator_t allocators[COMPARE_MAX_ALLOCATORS]; /* the first is the system's */
    int allocator_count;
    int rounds;
    bool quick;
    bool ended_early;           /* rounds are those of the row that has most */
    const char *bench_dir;      /* programs of mimalloc-bench; NULL: none */
    const char *bench_inputs;   /* where their input files are; NULL: not given */
    char own_dir[PATH_MAX];     /* where this program and the workloads beside it are */
    char scratch_dir[PATH_MAX]; /* generated inputs; the children's working directory */
} compare_settings_t;

/* ---- what is asked for; const once the options are read ---- */

struct compare_workload;

typedef enum {
    COMPARE_CSV,
    COMPARE_HTML,
    COMPARE_SVG,
    COMPARE_SAMPLES,
    COMPARE_OUTPUTS
} compare_output_t;

typedef struct {
    const char *only[COMPARE_MAX_ROWS]; /* patterns; none: all rows */
    int only_count;
    const struct compare_workload *workloads; /* the rows that may be asked for */
    size_t workload_count;
    bool memory; /* compare memory, not times */
    bool list;
    const char *output_paths[COMPARE_OUTPUTS]; /* NULL: not asked for, like the next */
    FILE *outputs[COMPARE_OUTPUTS];
} compare_request_t;

/* Ends the program where the options are bad, and where they ask for help or a list. */
void compare_read_options(int argc, char **argv, compare_settings_t *settings,
                          compare_request_t *request);

void compare_close_outputs(compare_request_t *request);

/* Says what is wrong and how the program is used, and ends it. */
_Noreturn void compare_refuse(const char *what, const char *about);

/* ---- workloads ---- */

typedef enum { COMPARE_OURS, COMPARE_IN_PATH, COMPARE_IN_BENCH_DIR } compare_place_t;

/* Makes a workload's inputs in the scratch directory. False: cannot be had, and `why` says why. */
typedef bool compare_prepare_t(const compare_settings_t *settings, char *why, size_t why_size);

typedef struct compare_workload {
    const char *name;
    compare_place_t place;
    const char *program; /* names separated by '|': the first that exists is taken */
    /* What the program prints around its score, '#' standing for the number of operations a second
     * (or in its fixed time). NULL: the score is CPU seconds. */
    const char *score;
    const char *full_args; /* separated by blanks; files are in the scratch directory */
    const char *quick_args;
    const char *environment; /* one NAME=value, or NULL */
    const char *input;       /* standard input, a file in the scratch directory, or NULL */
    compare_prepare_t *prepare;
    bool parallel;       /* its threads hand blocks or cache lines to each other */
    bool many_processes; /* each would overwrite the others' statistics file, so it is not read */
} compare_workload_t;

/* A workload that can run here, with its command line made. */
typedef struct {
    const compare_workload_t *workload;
    char *program;                        /* its path; allocated */
    char arg_text[COMPARE_MAX_ARG_CHARS]; /* as given, for display */
    char arg_words[COMPARE_MAX_ARG_CHARS];
    char *argv[COMPARE_MAX_ARGS + 2];
} compare_row_t;

/* Fills `row`, or returns false with the reason that the workload is skipped. */
bool compare_open_row(const compare_workload_t *workload, const compare_settings_t *settings,
                      compare_row_t *row, char *why, size_t why_size);

bool compare_is_asked_for(const compare_request_t *request, const compare_settings_t *settings,
                          const compare_workload_t *workload);

extern const compare_workload_t compare_workloads[];
extern const size_t compare_workload_count;

/* Asks for the rows that scale, at so many numbers of threads, instead. */
void compare_use_scaling(compare_request_t *request, const int *threads, size_t count);

/* Finds an executable in PATH that is a program and not a script. */
bool compare_find_in_path(const char *name, char *found, size_t size);

/* For these: opens a file in the scratch directory, NULL where that fails; closes it. Both tell the
 * reason of a failure. */
FILE *compare_open_input(const compare_settings_t *settings, const char *name, char *why,
                         size_t why_size);
bool compare_close_input(FILE *file, char *why, size_t why_size);

compare_prepare_t compare_prepare_c_source;
compare_prepare_t compare_prepare_cc_source;
compare_prepare_t compare_prepare_formulas;
compare_prepare_t compare_prepare_sql;
compare_prepare_t compare_prepare_redis;
compare_prepare_t compare_prepare_scripts;
compare_prepare_t compare_prepare_lines;
compare_prepare_t compare_prepare_git;
compare_prepare_t compare_prepare_barnes;
compare_prepare_t compare_prepare_espresso;

/* ---- one run ---- */

typedef struct {
    char *const *argv;              /* argv[0] is the program's path; ended by NULL */
    const char *preload;            /* NULL: nothing */
    const char *const *environment; /* NAME=value, ended by NULL */
    const char *directory;          /* the child's working directory */
    const char *input;              /* NULL: /dev/null */
    const char *score;              /* as in the workload */
} compare_command_t;

typedef struct {
    double score;    /* operations a second, or CPU seconds */
    double cpu_s;    /* in the program and in the kernel */
    double system_s; /* of these in the kernel */
    double wall_s;
    double peak_rss_mib;
    double minor_faults;
    double major_faults;
    bool apart; /* taken while the processors were not near: see compare_moment.c */
} compare_sample_t;

/* Names a field of the sample that is a double. */
#define COMPARE_FIELD(name) offsetof(compare_sample_t, name)

/* Runs the command to its end. False: it failed, with the reason. */
bool compare_run(const compare_command_t *command, compare_sample_t *sample, char *reason,
                 size_t reason_size);

/* To be called once, before the first compare_run(). */
void compare_block_signals(void);

/* The signal that asked this program to end (the child is dead by then), or 0. */
int compare_interrupted(void);

/* Dies of that signal, as a program that did not catch it. */
void compare_die_of_signal(int signal_number);

/* ---- results ---- */

/* Results are small and allocated to measure: children begin as copies of this program, so its own
 * size is the least that can be measured as a child's peak. That is 1.1 MiB; a program that only
 * prints a line takes 1.3. */

#define COMPARE_UNKNOWN (-1.0)

typedef struct {
    compare_sample_t *samples; /* one for each round */
    int sample_count;
    bool failed;
    char reason[COMPARE_MAX_REASON_CHARS];
    double superslabs;    /* from the statistics file, or COMPARE_UNKNOWN */
    double mapping_calls; /* likewise */
} compare_cell_t;

typedef struct {
    compare_row_t row;
    compare_cell_t *cells; /* one for each allocator */
    int cell_count;
} compare_result_t;

typedef struct {
    const char *name;
    char why[COMPARE_MAX_REASON_CHARS];
} compare_skip_t;

/* All rows that ran, and those that could not. */
typedef struct {
    compare_result_t results[COMPARE_MAX_ROWS];
    int count;
    compare_skip_t skips[COMPARE_MAX_ROWS];
    int skip_count;
} compare_report_t;

/* Zeroed memory; ends the program where there is none. */
void *compare_allocate(size_t count, size_t size);

/* Seconds of a clock that only moves on. */
double compare_now_s(void);

/* ---- the moment (compare_moment.c) ---- */

/* Whether a word goes from one processor to another about as fast as it ever did. Some
 * milliseconds. True where there is one processor, or it cannot be measured. */
bool compare_is_near(void);
/* The same, but waits for a second at most. */
bool compare_wait_until_near(void);

/* ---- medians, ratios, means (compare_numbers.c) ---- */

typedef struct {
    double median;
    double min;
    double max;
} compare_spread_t;

/* Sorts the values; all zero where there are none. */
compare_spread_t compare_spread(double *values, int count);
compare_spread_t compare_cell_spread(const compare_cell_t *cell, size_t field);
double compare_cell_median(const compare_cell_t *cell, size_t field);

/* Whether the cell has a result that takes part in ratios. */
bool compare_is_good(const compare_cell_t *cell);

/* What is compared: the smaller the better. */
typedef double compare_measure_t(const compare_result_t *result, int allocator);
compare_measure_t compare_time; /* relative to the mean of all allocators: see compare_numbers.c */
compare_measure_t compare_peak; /* RSS in MiB */

/* The mean ratio of times to the best of each row that allocators would show which are all alike,
 * for the runs vary and the best of a row is one that happened to be quick. 0 for one round.
 */
double compare_noise(const compare_result_t *results, int count);

/* The smallest value of a row; 0 where all allocators failed. */
double compare_best(const compare_result_t *result, int allocator_count,
                    compare_measure_t *measure);

/* The geometric mean over the allocator's good rows of its value relative to the row's best; 0
 * where it has none. */
double compare_mean_ratio(const compare_settings_t *settings, const compare_result_t *results,
                          int count, int allocator, compare_measure_t *measure);

/* Numbers as text, in a buffer of COMPARE_NUMBER_CHARS, which is returned. */
const char *compare_with_commas(double number, char *text); /* 1234567 becomes 1,234,567 */
const char *compare_ratio_text(double value, double base, char *text);
const char *compare_score_text(const compare_result_t *result, double score, char *text);
const char *compare_score_title(const compare_workload_t *workload);

/* ---- reports ---- */

typedef struct {
    char machine[192];
    char system[192];
    char runs[96];
} compare_machine_t;

/* What was measured on, and how, for people. */
void compare_describe(const compare_settings_t *settings, compare_machine_t *machine);

void compare_print_machine(const compare_settings_t *settings);
void compare_print_row(const compare_settings_t *settings, const compare_result_t *result);
void compare_print_matrices(const compare_settings_t *settings, const compare_result_t *results,
                            int count);
void compare_print_summary(const compare_settings_t *settings, const compare_result_t *results,
                           int count);
void compare_write_csv(FILE *csv, const compare_settings_t *settings,
                       const compare_result_t *results, int count);
void compare_write_quoted(FILE *csv, const char *text);

/* As text or attribute of an HTML or SVG page. */
void compare_write_escaped(FILE *page, const char *text);

void compare_write_html(FILE *html, const compare_settings_t *settings,
                        const compare_report_t *report);

/* ---- text and paths ---- */

/* Formats a path; ends the program where it does not fit, for a shortened path is another path. */
void compare_path(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Formats a text for people, shortened where it does not fit. */
void compare_text(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
