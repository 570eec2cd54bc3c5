/* compare_html.c: the comparison as one page: means as bars, and a table of all rows.
 *
 * Owns:      the page. It is complete in itself: no script, no font, no other file.
 * Knows not: how results come to be.
 * Threads:   one.
 *
 * Allocators stand in the order of their mean time. A cell shows the time relative to the best of
 * its row and the peak RSS below, each on a ground from green (the best) to red (twice that or
 * more); what was measured stands in its tooltip. Colours follow the reader's preference, light or
 * dark.
 */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
    ":root { color-scheme: light dark; --page: #fff; --ink: #1f2328; --faint: #59636e;\n"
    "  --line: #d1d9e0; --bar: #a8b3bf; --own: #d9480f; --s: 60%; --l: 85%; --panel: #f6f8fa; }\n"
    "@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --ink: #e6edf3;\n"
    "  --faint: #9198a1; --line: #30363d; --bar: #57616c; --own: #ff8c42; --s: 45%; --l: 21%;\n"
    "  --panel: #151b23; } }\n"
    "body { background: var(--page); color: var(--ink); margin: 2rem auto; padding: 0 1rem;\n"
    "  max-width: 84rem; font: 14px/1.45 system-ui, 'DejaVu Sans', sans-serif; }\n"
    "h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; }\n"
    "p { margin: .2rem 0; } .faint { color: var(--faint); }\n"
    ".charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr));\n"
    "  gap: 1.5rem; }\n"
    ".chart { background: var(--panel); border: 1px solid var(--line); border-radius: 8px;\n"
    "  padding: .8rem 1rem; display: grid; grid-template-columns: max-content 1fr max-content;\n"
    "  gap: .35rem .7rem; align-items: center; align-content: start; }\n"
    ".chart h3 { grid-column: 1 / -1; font-size: 1rem; margin: 0 0 .3rem; }\n"
    ".bar { height: .95rem; border-radius: 3px; background: var(--bar); }\n"
    ".own { font-weight: 700; } .bar.own { background: var(--own); }\n"
    "@media (max-width: 60rem) { .scroll { overflow-x: auto; } }\n"
    "table { border-collapse: separate; border-spacing: 2px; font-variant-numeric: tabular-nums; "
    "}\n"
    "th { text-align: left; padding: .3rem .6rem; white-space: nowrap; font-weight: 600; }\n"
    "thead th { position: sticky; top: 0; background: var(--page); border-bottom: 2px solid\n"
    "  var(--line); text-align: center; }\n"
    "tbody th { font-weight: 400; } tr.group > * { font-weight: 700; padding-top: .9rem; }\n"
    "td { text-align: right; padding: 0; min-width: 5rem; }\n"
    "td b, td i { display: block; padding: .1rem .5rem; font-weight: 400; font-style: normal;\n"
    "  background: hsl(var(--h) var(--s) var(--l)); }\n"
    "td b { border-radius: 4px 4px 0 0; } td i { border-radius: 0 0 4px 4px; font-size: 12px; }\n"
    "td b.best, td i.best { font-weight: 700; } tr.group td b { font-weight: 700; }\n"
    "td.failed { color: #d1242f; text-align: center; font-weight: 700; }\n"
    "ul { margin: .2rem 0; padding-left: 1.2rem; }\n";

/* Invariant: `order` holds each allocator once, smallest mean time first. */
typedef struct {
    FILE *html;
    const compare_settings_t *settings;
    const compare_result_t *results;
    int count;
    int order[COMPARE_MAX_ALLOCATORS];
} page_t;

static const char *own_class(const page_t *page, int allocator) {
    return strcmp(page->settings->allocators[allocator].name, COMPARE_OWN_NAME) == 0 ? " own" : "";
}

/* ---- order ---- */

typedef struct {
    int allocator;
    double mean;
} rank_t;

static int compare_ranks(const void *left, const void *right) {
    double a = ((const rank_t *)left)->mean;
    double b = ((const rank_t *)right)->mean;
    return (a > b) - (a < b);
}

static void rank_allocators(const page_t *page, compare_measure_t *measure, rank_t *ranks) {
    for (int i = 0; i < page->settings->allocator_count; i++) {
        double mean = compare_mean_ratio(page->settings, page->results, page->count, i, measure);
        ranks[i] = (rank_t){i, mean > 0.0 ? mean : HUGE_VAL}; /* without any result: the last */
    }
    qsort(ranks, (size_t)page->settings->allocator_count, sizeof ranks[0], compare_ranks);
}

static void find_order(page_t *page) {
    rank_t ranks[COMPARE_MAX_ALLOCATORS];
    rank_allocators(page, compare_time, ranks);
    for (int i = 0; i < page->settings->allocator_count; i++) {
        page->order[i] = ranks[i].allocator;
    }
}

/* ---- head ---- */

static void write_head(const page_t *page) {
    compare_machine_t machine;
    compare_describe(page->settings, &machine);
    fprintf(page->html,
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width\">\n"
            "<title>Allocators compared</title>\n<style>\n%s</style>\n<body>\n"
            "<h1>Allocators compared</h1>\n<p class=\"faint\">",
            style);
    compare_write_escaped(page->html, machine.machine);
    fputs(" · ", page->html);
    compare_write_escaped(page->html, machine.system);
    fputs(" · ", page->html);
    compare_write_escaped(page->html, machine.runs);
    fputs("</p>\n", page->html);
}

/* ---- means as bars ---- */

static void write_chart(const page_t *page, const char *title, compare_measure_t *measure) {
    rank_t ranks[COMPARE_MAX_ALLOCATORS];
    double largest = 1.0;
    rank_allocators(page, measure, ranks);
    for (int i = 0; i < page->settings->allocator_count; i++) {
        largest = ranks[i].mean < HUGE_VAL ? fmax(largest, ranks[i].mean) : largest;
    }
    fprintf(page->html, "<div class=\"chart\"><h3>%s</h3>\n", title);
    for (int i = 0; i < page->settings->allocator_count && ranks[i].mean < HUGE_VAL; i++) {
        const char *own = own_class(page, ranks[i].allocator);
        fprintf(page->html, "<span class=\"name%s\">", own);
        compare_write_escaped(page->html, page->settings->allocators[ranks[i].allocator].name);
        fprintf(page->html,
                "</span><div class=\"bar%s\" style=\"width:%.1f%%\"></div>"
                "<span class=\"value%s\">%.2f</span>\n",
                own, ranks[i].mean / largest * 100.0, own, ranks[i].mean);
    }
    fputs("</div>\n", page->html);
}

static void write_charts(const page_t *page) {
    fputs("<h2>Geometric means over all rows, relative to the best of each row</h2>\n"
          "<div class=\"charts\">\n",
          page->html);
    write_chart(page, "Time", compare_time);
    write_chart(page, "Peak RSS", compare_peak);
    fputs("</div>\n", page->html);
}

/* ---- the table ---- */

/* The hue of a ratio: green for 1, red for 2 and more, by its logarithm. */
static int hue_of(double ratio) {
    double share = log(fmax(ratio, 1.0)) / log(2.0);
    return (int)(140.0 * (1.0 - fmin(share, 1.0)));
}

static void write_value(const page_t *page, const char *tag, double ratio, const char *text) {
    fprintf(page->html, "<%s%s style=\"--h:%d\">%s</%s>", tag,
            ratio < 1.005 ? " class=\"best\"" : "", hue_of(ratio), text, tag);
}

/* What was measured, as the cell's tooltip. */
static void write_tooltip(const page_t *page, const compare_result_t *result, int allocator) {
    const compare_cell_t *cell = &result->cells[allocator];
    compare_spread_t scores = compare_cell_spread(cell, COMPARE_FIELD(score));
    char score[COMPARE_NUMBER_CHARS], faults[COMPARE_NUMBER_CHARS];
    compare_with_commas(compare_cell_median(cell, COMPARE_FIELD(minor_faults)), faults);
    fprintf(page->html, " title=\"%s, ", result->row.workload->name);
    compare_write_escaped(page->html, page->settings->allocators[allocator].name);
    fprintf(page->html,
            ": %s %s, spread %.0f%%; CPU %.2f s, %.2f s of it in the kernel; %s page faults\"",
            compare_score_text(result, scores.median, score),
            compare_score_title(result->row.workload),
            (scores.max - scores.min) / scores.median * 100.0,
            compare_cell_median(cell, COMPARE_FIELD(cpu_s)),
            compare_cell_median(cell, COMPARE_FIELD(system_s)), faults);
}

static void write_cell(const page_t *page, const compare_result_t *result, int allocator) {
    const compare_cell_t *cell = &result->cells[allocator];
    if (!compare_is_good(cell)) {
        fputs("<td class=\"failed\" title=\"", page->html);
        compare_write_escaped(page->html, cell->reason);
        fputs("\">failed</td>", page->html);
        return;
    }
    int allocators = page->settings->allocator_count;
    double peak_mib = compare_peak(result, allocator);
    double time_ratio =
        compare_time(result, allocator) / compare_best(result, allocators, compare_time);
    char text[COMPARE_NUMBER_CHARS];
    fputs("<td", page->html);
    write_tooltip(page, result, allocator);
    fputc('>', page->html);
    compare_text(text, sizeof text, "%.2f", time_ratio);
    write_value(page, "b", time_ratio, text);
    compare_text(text, sizeof text, "%.1f MiB", peak_mib);
    write_value(page, "i", peak_mib / compare_best(result, allocators, compare_peak), text);
    fputs("</td>", page->html);
}

static void write_row(const page_t *page, const compare_result_t *result) {
    const char *program = strrchr(result->row.program, '/') + 1;
    fprintf(page->html, "<tr><th title=\"");
    compare_write_escaped(page->html, program);
    fputc(' ', page->html);
    compare_write_escaped(page->html, result->row.arg_text);
    fprintf(page->html, "\">%s</th>", result->row.workload->name);
    for (int i = 0; i < page->settings->allocator_count; i++) {
        write_cell(page, result, page->order[i]);
    }
    fputs("</tr>\n", page->html);
}

/* The means of a group of rows; here the memory is a ratio, too. */
static void write_means(const page_t *page, const char *title, const compare_result_t *results,
                        int count) {
    fprintf(page->html, "<tr class=\"group\"><th>%s</th>", title);
    for (int i = 0; i < page->settings->allocator_count; i++) {
        char text[COMPARE_NUMBER_CHARS];
        int allocator = page->order[i];
        double time = compare_mean_ratio(page->settings, results, count, allocator, compare_time);
        double peak = compare_mean_ratio(page->settings, results, count, allocator, compare_peak);
        if (time <= 0.0) {
            fputs("<td></td>", page->html);
            continue;
        }
        fputs("<td>", page->html);
        compare_text(text, sizeof text, "%.2f", time);
        write_value(page, "b", time, text);
        compare_text(text, sizeof text, "RSS %.2f", peak);
        write_value(page, "i", peak, text);
        fputs("</td>", page->html);
    }
    fputs("</tr>\n", page->html);
}

/* Rows of one place stand together. Returns where the next group begins. */
static int write_group(const page_t *page, int first) {
    static const char *const titles[] = {[COMPARE_OURS] = "loops",
                                         [COMPARE_IN_PATH] = "programs",
                                         [COMPARE_IN_BENCH_DIR] = "mimalloc-bench"};
    compare_place_t place = page->results[first].row.workload->place;
    int end = first;
    while (end < page->count && page->results[end].row.workload->place == place) {
        end++;
    }
    write_means(page, titles[place], &page->results[first], end - first);
    for (int i = first; i < end; i++) {
        write_row(page, &page->results[i]);
    }
    return end;
}

static void write_table(const page_t *page) {
    fputs("<h2>All rows</h2>\n<p class=\"faint\">Above: time relative to the best of the row. "
          "Below: peak RSS. Green is the best of the row, red twice that or more. Point at a cell "
          "for what was measured, at a row's name for its command.</p>\n"
          "<div class=\"scroll\"><table>\n<thead><tr><th></th>",
          page->html);
    for (int i = 0; i < page->settings->allocator_count; i++) {
        fprintf(page->html, "<th class=\"name%s\">", own_class(page, page->order[i]));
        compare_write_escaped(page->html, page->settings->allocators[page->order[i]].name);
        fputs("</th>", page->html);
    }
    fputs("</tr></thead>\n<tbody>\n", page->html);
    for (int first = 0; first < page->count;) {
        first = write_group(page, first);
    }
    write_means(page, "all rows", page->results, page->count);
    fputs("</tbody></table></div>\n", page->html);
}

/* ---- what is not in the table ---- */

static void write_failures(const page_t *page) {
    for (int i = 0; i < page->count; i++) {
        for (int k = 0; k < page->settings->allocator_count; k++) {
            const compare_cell_t *cell = &page->results[i].cells[k];
            if (!compare_is_good(cell)) {
                fprintf(page->html, "<li>%s failed under ", page->results[i].row.workload->name);
                compare_write_escaped(page->html, page->settings->allocators[k].name);
                fputs(": ", page->html);
                compare_write_escaped(page->html, cell->reason);
                fputs("</li>\n", page->html);
            }
        }
    }
}

static void write_notes(const page_t *page, const compare_report_t *report) {
    fputs("<h2>Allocators, and what did not run</h2>\n<ul class=\"faint\">\n", page->html);
    for (int i = 0; i < page->settings->allocator_count; i++) {
        const compare_allocator_t *allocator = &page->settings->allocators[i];
        fputs("<li>", page->html);
        compare_write_escaped(page->html, allocator->name);
        fputs(": ", page->html);
        compare_write_escaped(page->html,
                              allocator->preload != NULL ? allocator->preload : "no preload");
        fputs("</li>\n", page->html);
    }
    write_failures(page);
    for (int i = 0; i < report->skip_count; i++) {
        fprintf(page->html, "<li>%s was skipped: ", report->skips[i].name);
        compare_write_escaped(page->html, report->skips[i].why);
        fputs("</li>\n", page->html);
    }
    fputs("</ul>\n</body>\n</html>\n", page->html);
}

void compare_write_html(FILE *html, const compare_settings_t *settings,
                        const compare_report_t *report) {
    page_t page = {
        .html = html, .settings = settings, .results = report->results, .count = report->count};
    find_order(&page);
    write_head(&page);
    write_charts(&page);
    write_table(&page);
    write_notes(&page, report);
}
