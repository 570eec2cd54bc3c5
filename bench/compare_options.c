/* compare_options.c: what the comparison is asked for, and the files it is to write.
 *
 * Owns:      the command line; the output files, from their opening before the first run to their
 *            end.
 * Knows not: what is done about it.
 * Threads:   one.
 */
#include "compare.h"

#include "compare_memory.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FULL_ROUNDS 5
#define QUICK_ROUNDS 1
#define MOST_THREADS 64

static const char usage[] =
    "usage: compare [OPTION]... [--lib NAME=PATH.so]...\n"
    "\n"
    "Runs workloads under the system's malloc and under each preloaded library.\n"
    "  --lib NAME=PATH  an allocator; " COMPARE_OWN_NAME " is the one whose statistics are shown\n"
    "  --rounds N       runs of each workload under each allocator (5; with --quick or --memory "
    "1)\n"
    "  --quick          short runs\n"
    "  --only ROW       this row only; a pattern such as 'larson*'; may be repeated\n"
    "  --bench-dir DIR  also the programs of mimalloc-bench that are in DIR\n"
    "  --bench-inputs DIR  and their inputs are in DIR/espresso and DIR/barnes\n"
    "  --csv FILE       also write medians, minima and maxima to FILE\n"
    "  --html FILE      also write a page with all ratios, times and peaks to FILE\n"
    "  --threads N,...  the rows that scale instead, each at these numbers of threads\n"
    "  --memory         compare resident memory over time instead, and in idle programs\n"
    "  --svg FILE       with --memory: also draw it to FILE\n"
    "  --samples FILE   with --memory: also write every sample to FILE, as CSV\n"
    "  --list           print the names of the rows and end\n";

static const struct {
    const char *option;
    bool memory; /* belongs to --memory, or to the comparison of times */
    bool times;
} outputs[COMPARE_OUTPUTS] = {[COMPARE_CSV] = {"--csv", true, true},
                              [COMPARE_HTML] = {"--html", false, true},
                              [COMPARE_SVG] = {"--svg", true, false},
                              [COMPARE_SAMPLES] = {"--samples", true, false}};

void compare_refuse(const char *what, const char *about) {
    fprintf(stderr, "compare: %s%s\n%s", what, about, usage);
    exit(2);
}

/* ---- options ---- */

static void add_library(compare_settings_t *settings, char *text) {
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        compare_refuse("--lib takes NAME=PATH, not ", text);
    }
    if (settings->allocator_count == COMPARE_MAX_ALLOCATORS) {
        compare_refuse("too many allocators from --lib ", text);
    }
    *equals = '\0';
    for (int i = 0; i < settings->allocator_count; i++) {
        if (strcmp(settings->allocators[i].name, text) == 0) {
            compare_refuse("two allocators have the name ", text);
        }
    }
    char *library = realpath(equals + 1, NULL); /* the children run in another directory */
    if (library == NULL || access(library, R_OK) != 0) {
        compare_refuse("cannot read the library ", equals + 1);
    }
    if (strpbrk(library, ": ") != NULL) {
        compare_refuse("the loader separates libraries at blanks and colons, so it cannot load ",
                       library);
    }
    settings->allocators[settings->allocator_count++] = (compare_allocator_t){text, library};
}

static int rounds_from(const char *text) {
    char *end = NULL;
    long rounds = strtol(text, &end, 10);
    if (end == text || *end != '\0' || rounds < 1 || rounds > COMPARE_MAX_ROUNDS) {
        compare_refuse("--rounds takes a number from 1 to 99, not ", text);
    }
    return (int)rounds;
}

static void use_threads(compare_request_t *request, const char *text) {
    int numbers[COMPARE_MAX_NUMBERS];
    size_t count = 0;
    for (const char *rest = text; rest != NULL; count++) {
        char *end = NULL;
        long number = strtol(rest, &end, 10);
        if (end == rest || (*end != ',' && *end != '\0') || number < 1 || number > MOST_THREADS ||
            count == COMPARE_MAX_NUMBERS) {
            compare_refuse("--threads takes up to 8 numbers from 1 to 64, not ", text);
        }
        numbers[count] = (int)number;
        rest = *end == ',' ? end + 1 : NULL;
    }
    compare_use_scaling(request, numbers, count);
}

static void add_pattern(compare_request_t *request, const char *pattern) {
    if (request->only_count == COMPARE_MAX_ROWS) {
        compare_refuse("too many --only ", pattern);
    }
    request->only[request->only_count++] = pattern;
}

static const char *directory_from(const char *path) {
    const char *directory = realpath(path, NULL);
    if (directory == NULL) {
        compare_refuse("no directory ", path);
    }
    return directory;
}

static bool take_output(compare_request_t *request, const char *option, const char *path) {
    for (size_t i = 0; i < COMPARE_OUTPUTS; i++) {
        if (strcmp(option, outputs[i].option) == 0) {
            request->output_paths[i] = path;
            return true;
        }
    }
    return false;
}

/* An option with a value. */
static void take_option(compare_settings_t *settings, compare_request_t *request,
                        const char *option, char *value) {
    if (value == NULL) {
        compare_refuse("an unknown option, or one without its value: ", option);
    } else if (strcmp(option, "--lib") == 0) {
        add_library(settings, value);
    } else if (strcmp(option, "--rounds") == 0) {
        settings->rounds = rounds_from(value);
    } else if (strcmp(option, "--threads") == 0) {
        use_threads(request, value);
    } else if (strcmp(option, "--only") == 0) {
        add_pattern(request, value);
    } else if (strcmp(option, "--bench-dir") == 0) {
        settings->bench_dir = directory_from(value);
    } else if (strcmp(option, "--bench-inputs") == 0) {
        settings->bench_inputs = directory_from(value);
    } else if (!take_output(request, option, value)) {
        compare_refuse("unknown option ", option);
    }
}

/* ---- rows ---- */

static const compare_workload_t *workload_at(const compare_request_t *request, size_t index) {
    if (request->memory) {
        return index < compare_memory_count ? &compare_memory_workloads[index].workload : NULL;
    }
    return index < request->workload_count ? &request->workloads[index] : NULL;
}

static bool has_match(const compare_request_t *request, const char *pattern) {
    const compare_workload_t *workload;
    for (size_t i = 0; (workload = workload_at(request, i)) != NULL; i++) {
        if (fnmatch(pattern, workload->name, 0) == 0) {
            return true;
        }
    }
    return false;
}

static void list_rows(const compare_request_t *request) {
    const compare_workload_t *workload;
    for (size_t i = 0; (workload = workload_at(request, i)) != NULL; i++) {
        puts(workload->name);
    }
}

bool compare_is_asked_for(const compare_request_t *request, const compare_settings_t *settings,
                          const compare_workload_t *workload) {
    if (workload->place == COMPARE_IN_BENCH_DIR && settings->bench_dir == NULL) {
        return false;
    }
    for (int i = 0; i < request->only_count; i++) {
        if (fnmatch(request->only[i], workload->name, 0) == 0) {
            return true;
        }
    }
    return request->only_count == 0;
}

/* ---- output files ---- */

/* Before the first run: not to be found impossible after an hour of runs. */
static void open_outputs(compare_request_t *request) {
    for (size_t i = 0; i < COMPARE_OUTPUTS; i++) {
        const char *path = request->output_paths[i];
        if (path == NULL) {
            continue;
        }
        if (request->memory ? !outputs[i].memory : !outputs[i].times) {
            compare_refuse(request->memory ? "not with --memory: " : "only with --memory: ",
                           outputs[i].option);
        }
        request->outputs[i] = fopen(path, "we");
        if (request->outputs[i] == NULL) {
            compare_refuse("cannot write ", path);
        }
    }
}

void compare_close_outputs(compare_request_t *request) {
    for (size_t i = 0; i < COMPARE_OUTPUTS; i++) {
        if (request->outputs[i] == NULL) {
            continue;
        }
        if (fclose(request->outputs[i]) != 0) {
            compare_refuse("cannot write ", request->output_paths[i]);
        }
        printf("%s%s\n", i == 0 ? "\nwritten: " : "written: ", request->output_paths[i]);
    }
}

/* ---- the whole ---- */

static void read_words(int argc, char **argv, compare_settings_t *settings,
                       compare_request_t *request) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            settings->quick = true;
        } else if (strcmp(argv[i], "--memory") == 0) {
            request->memory = true;
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
}

void compare_read_options(int argc, char **argv, compare_settings_t *settings,
                          compare_request_t *request) {
    settings->allocators[settings->allocator_count++] = (compare_allocator_t){"system", NULL};
    request->workloads = compare_workloads;
    request->workload_count = compare_workload_count;
    read_words(argc, argv, settings, request);
    if (request->list) {
        list_rows(request);
        exit(0);
    }
    for (int i = 0; i < request->only_count; i++) {
        if (!has_match(request, request->only[i])) {
            compare_refuse("no row has the name ", request->only[i]);
        }
    }
    if (settings->rounds == 0) {
        settings->rounds = settings->quick || request->memory ? QUICK_ROUNDS : FULL_ROUNDS;
    }
    open_outputs(request);
}
