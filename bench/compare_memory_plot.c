/* compare_memory_plot.c: resident memory over time under all allocators, as one SVG file.
 *
 * Owns:      the drawing. It is complete in itself: no script, no font, no other file.
 * Knows not: how results come to be.
 * Threads:   one.
 *
 * A panel for each workload. Each phase has the same width, and its samples stand at even distances
 * in it, so that all allocators, quick or slow, share one curve of live bytes. Colours follow the
 * reader's preference, light or dark.
 *
 *     +-- title -----------------------------------------------+
 *     | MiB |                                |   mean RSS      |
 *     |     |            plot                |   -- allocator  |
 *     |     +--------------------------------+   ...           |
 *     |      grow   churn   shrink  idle ...                   |
 *     +--------------------------------------------------------+
 */
#include "compare_memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 1080
#define HEAD 96
#define PANEL 292
#define PLOT_LEFT 60
#define PLOT_WIDTH 800
#define PLOT_TOP 34 /* in the panel */
#define PLOT_HEIGHT 204
#define LEGEND_LEFT 884
#define LEGEND_LINE 17

#define GRID_LINES 6
#define MAX_PHASES 16
#define COLOURS 10 /* for others than our own */

typedef struct {
    FILE *svg;
    const compare_settings_t *settings;
    const compare_memory_result_t *result;
    double top;     /* of the panel */
    double max_mib; /* at the top of the plot */
    double step_mib;
    const char *phases[MAX_PHASES];
    int phase_count;
} panel_t;

/* ---- style ---- */

static const char style[] = "svg { font: 13px system-ui, 'DejaVu Sans', sans-serif; }\n"
                            ".title { font-size: 15px; font-weight: 600; }\n"
                            ".head { font-size: 20px; font-weight: 600; }\n"
                            ".faint { font-size: 12px; }\n"
                            ".ownname { font-weight: 600; }\n"
                            ".r { fill: none; stroke-width: 1.6; stroke-linejoin: round; }\n"
                            ".own { stroke-width: 3; }\n"
                            ".dashed { stroke-dasharray: 6 3; }\n";

/* As plain rules, for not all that draw SVG know variables. */
static const struct {
    const char *selector;
    const char *property;
    const char *light;
    const char *dark;
} colours[] = {
    {".page", "fill", "#ffffff", "#0d1117"},  {"text", "fill", "#1f2328", "#e6edf3"},
    {".faint", "fill", "#59636e", "#9198a1"}, {".grid", "stroke", "#d1d9e0", "#30363d"},
    {".live", "fill", "#dfe5eb", "#262d36"},  {".own", "stroke", "#d9480f", "#ff8c42"},
    {".c0", "stroke", "#57606a", "#a5adb6"},  {".c1", "stroke", "#1971c2", "#4dabf7"},
    {".c2", "stroke", "#2f9e44", "#51cf66"},  {".c3", "stroke", "#7048e8", "#9775fa"},
    {".c4", "stroke", "#0c8599", "#3bc9db"},  {".c5", "stroke", "#b8860b", "#e0b83a"},
    {".c6", "stroke", "#c2255c", "#f06595"},  {".c7", "stroke", "#24292f", "#f0f3f6"},
    {".c8", "stroke", "#5c940d", "#a9e34b"},  {".c9", "stroke", "#8d6e63", "#bcaaa4"},
};

static void write_style(FILE *svg) {
    fprintf(svg, "<style>\n%s", style);
    for (size_t i = 0; i < COMPARE_COUNT(colours); i++) {
        fprintf(svg, "%s { %s: %s; }\n", colours[i].selector, colours[i].property,
                colours[i].light);
    }
    fprintf(svg, "@media (prefers-color-scheme: dark) {\n");
    for (size_t i = 0; i < COMPARE_COUNT(colours); i++) {
        fprintf(svg, "  %s { %s: %s; }\n", colours[i].selector, colours[i].property,
                colours[i].dark);
    }
    fprintf(svg, "}\n</style>\n");
}

static bool is_own(const compare_settings_t *settings, int allocator) {
    return strcmp(settings->allocators[allocator].name, COMPARE_OWN_NAME) == 0;
}

/* Writes the class attribute of the allocator's line. Every second one is dashed, for those who do
 * not tell the colours apart. */
static void write_line_class(const panel_t *panel, int allocator) {
    if (is_own(panel->settings, allocator)) {
        fprintf(panel->svg, "class=\"r own\"");
    } else {
        fprintf(panel->svg, "class=\"r c%d%s\"", allocator % COLOURS,
                allocator % 2 == 1 ? " dashed" : "");
    }
}

/* ---- coordinates ---- */

static const compare_memory_run_t *run_of(const panel_t *panel, int allocator) {
    const compare_memory_cell_t *cell = &panel->result->cells[allocator];
    return !cell->failed && cell->run_count > 0 && cell->runs[0].sample_count > 1 ? &cell->runs[0]
                                                                                  : NULL;
}

static double x_of_phase(const panel_t *panel, double phase) {
    return PLOT_LEFT + PLOT_WIDTH * phase / panel->phase_count;
}

static double y_of(const panel_t *panel, double mib) {
    return panel->top + PLOT_TOP + PLOT_HEIGHT * (1.0 - mib / panel->max_mib);
}

/* The distance between two lines of the grid: 1, 2 or 5 times a power of ten. */
static double grid_step(double max_mib) {
    double power = pow(10.0, floor(log10(max_mib / GRID_LINES)));
    double steps = max_mib / GRID_LINES / power;
    return power * (steps <= 1.0 ? 1.0 : steps <= 2.0 ? 2.0 : steps <= 5.0 ? 5.0 : 10.0);
}

/* The names of the phases, which all runs share; "start" is none. */
static void find_phases(panel_t *panel, const compare_memory_run_t *run) {
    panel->phase_count = 0;
    for (int i = 1; i < run->sample_count; i++) {
        const char *phase = run->samples[i].phase;
        if (strcmp(phase, run->samples[i - 1].phase) != 0 && panel->phase_count < MAX_PHASES) {
            panel->phases[panel->phase_count++] = phase;
        }
    }
}

static void find_scales(panel_t *panel) {
    double max_mib = 1.0;
    for (int i = 0; i < panel->settings->allocator_count; i++) {
        const compare_memory_run_t *run = run_of(panel, i);
        if (run != NULL) {
            find_phases(panel, run);
        }
        for (int k = 0; run != NULL && k < run->sample_count; k++) {
            max_mib = fmax(max_mib, run->samples[k].rss_mib);
        }
    }
    panel->step_mib = grid_step(max_mib);
    panel->max_mib = ceil(max_mib / panel->step_mib) * panel->step_mib;
}

/* ---- curves ---- */

typedef double height_t(const compare_memory_sample_t *sample);

static double rss_of(const compare_memory_sample_t *sample) {
    return sample->rss_mib;
}
static double live_of(const compare_memory_sample_t *sample) {
    return sample->live_mib;
}

static int phase_length(const compare_memory_run_t *run, int first) {
    int end = first;
    while (end < run->sample_count &&
           strcmp(run->samples[end].phase, run->samples[first].phase) == 0) {
        end++;
    }
    return end - first;
}

/* The points of a curve, from the start of the first phase, where the sample "start" stands. */
static void write_points(const panel_t *panel, const compare_memory_run_t *run, height_t *height) {
    fprintf(panel->svg, "%.1f,%.1f", x_of_phase(panel, 0.0), y_of(panel, height(&run->samples[0])));
    int first = 1;
    for (int phase = 0; phase < panel->phase_count && first < run->sample_count; phase++) {
        int count = phase_length(run, first);
        for (int i = 0; i < count; i++) {
            fprintf(panel->svg, " %.1f,%.1f", x_of_phase(panel, phase + (i + 1.0) / count),
                    y_of(panel, height(&run->samples[first + i])));
        }
        first += count;
    }
}

static void draw_live(const panel_t *panel) {
    const compare_memory_run_t *run = NULL;
    for (int i = 0; i < panel->settings->allocator_count && run == NULL; i++) {
        run = run_of(panel, i);
    }
    fprintf(panel->svg, "<polygon class=\"live\" points=\"");
    write_points(panel, run, live_of);
    fprintf(panel->svg, " %.1f,%.1f %.1f,%.1f\"/>\n", x_of_phase(panel, panel->phase_count),
            y_of(panel, 0.0), x_of_phase(panel, 0.0), y_of(panel, 0.0));
}

static void draw_curve(const panel_t *panel, int allocator) {
    const compare_memory_run_t *run = run_of(panel, allocator);
    if (run != NULL) {
        fprintf(panel->svg, "<polyline ");
        write_line_class(panel, allocator);
        fprintf(panel->svg, " points=\"");
        write_points(panel, run, rss_of);
        fprintf(panel->svg, "\"><title>");
        compare_write_escaped(panel->svg, panel->settings->allocators[allocator].name);
        fprintf(panel->svg, "</title></polyline>\n");
    }
}

/* Our own last, above the others. */
static void draw_curves(const panel_t *panel) {
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < panel->settings->allocator_count; i++) {
            if (is_own(panel->settings, i) == (turn == 1)) {
                draw_curve(panel, i);
            }
        }
    }
}

/* ---- axes ---- */

static void draw_axes(const panel_t *panel) {
    for (double mib = 0.0; mib <= panel->max_mib * 1.001; mib += panel->step_mib) {
        double y = y_of(panel, mib);
        fprintf(panel->svg, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>\n", PLOT_LEFT, y,
                PLOT_LEFT + PLOT_WIDTH);
        fprintf(panel->svg,
                "<text class=\"faint\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                PLOT_LEFT - 8, y + 4.0, mib);
    }
    for (int i = 0; i < panel->phase_count; i++) {
        double x = x_of_phase(panel, i);
        bool is_idle = strncmp(panel->phases[i], "idle", 4) == 0;
        fprintf(panel->svg, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>\n", x,
                y_of(panel, panel->max_mib), y_of(panel, 0.0) + 6.0);
        fprintf(panel->svg,
                "<text class=\"faint\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
                x_of_phase(panel, i + 0.5), y_of(panel, 0.0) + 20.0,
                is_idle ? "idle, 1.25 s" : panel->phases[i]);
    }
}

/* ---- legend ---- */

typedef struct {
    int allocator;
    double mean_mib;
} rank_t;

static int compare_ranks(const void *left, const void *right) {
    double a = ((const rank_t *)left)->mean_mib;
    double b = ((const rank_t *)right)->mean_mib;
    return (a > b) - (a < b);
}

static double mean_of(const compare_memory_run_t *run, height_t *height) {
    double sum = 0.0;
    for (int i = 0; i < run->sample_count; i++) {
        sum += height(&run->samples[i]);
    }
    return sum / run->sample_count;
}

/* The allocators that have a curve, smallest mean first. */
static int rank_allocators(const panel_t *panel, rank_t *ranks) {
    int count = 0;
    for (int i = 0; i < panel->settings->allocator_count; i++) {
        const compare_memory_run_t *run = run_of(panel, i);
        if (run != NULL) {
            ranks[count++] = (rank_t){i, mean_of(run, rss_of)};
        }
    }
    qsort(ranks, (size_t)count, sizeof ranks[0], compare_ranks);
    return count;
}

static void draw_legend_line(const panel_t *panel, double y, const char *name, const char *style_of,
                             double mib) {
    fprintf(panel->svg, "<text %s x=\"%d\" y=\"%.1f\">", style_of, LEGEND_LEFT + 30, y);
    compare_write_escaped(panel->svg, name);
    fprintf(panel->svg, "</text><text %s x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f</text>\n",
            style_of, WIDTH - 24, y, mib);
}

static void draw_legend(const panel_t *panel) {
    rank_t ranks[COMPARE_MAX_ALLOCATORS];
    int count = rank_allocators(panel, ranks);
    double y = panel->top + PLOT_TOP + 6.0;
    fprintf(panel->svg,
            "<text class=\"faint\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">mean MiB</text>\n",
            WIDTH - 24, y);
    y += LEGEND_LINE;
    fprintf(panel->svg, "<rect class=\"live\" x=\"%d\" y=\"%.1f\" width=\"22\" height=\"11\"/>\n",
            LEGEND_LEFT, y - 10.0);
    draw_legend_line(panel, y, "live bytes", "class=\"faint\"",
                     mean_of(run_of(panel, ranks[0].allocator), live_of));
    for (int i = 0; i < count; i++) {
        int allocator = ranks[i].allocator;
        y += LEGEND_LINE;
        fprintf(panel->svg, "<path ");
        write_line_class(panel, allocator);
        fprintf(panel->svg, " d=\"M%d %.1fh22\"/>", LEGEND_LEFT, y - 4.5);
        draw_legend_line(panel, y, panel->settings->allocators[allocator].name,
                         is_own(panel->settings, allocator) ? "class=\"ownname\"" : "",
                         ranks[i].mean_mib);
    }
}

/* ---- the whole ---- */

static bool has_curve(const compare_memory_result_t *result, int allocator_count) {
    panel_t panel = {.result = result};
    for (int i = 0; i < allocator_count; i++) {
        if (result->workload->has_plot && run_of(&panel, i) != NULL) {
            return true;
        }
    }
    return false;
}

static void draw_panel(panel_t *panel) {
    find_scales(panel);
    fprintf(panel->svg, "<text class=\"title\" x=\"%d\" y=\"%.1f\">%s</text>\n", PLOT_LEFT,
            panel->top + 18.0, panel->result->workload->title);
    draw_live(panel);
    draw_axes(panel);
    draw_curves(panel);
    draw_legend(panel);
}

static void draw_head(FILE *svg, const compare_settings_t *settings, int height) {
    compare_machine_t machine;
    compare_describe(settings, &machine);
    fprintf(svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" role=\"img\" aria-label=\"Resident memory over time\">\n",
            WIDTH, height, WIDTH, height);
    write_style(svg);
    fprintf(svg,
            "<rect class=\"page\" width=\"%d\" height=\"%d\"/>\n"
            "<text class=\"head\" x=\"%d\" y=\"34\">Resident memory over time, MiB</text>\n"
            "<text class=\"faint\" x=\"%d\" y=\"56\">",
            WIDTH, height, PLOT_LEFT, PLOT_LEFT);
    compare_write_escaped(svg, machine.machine);
    fprintf(svg, " · ");
    compare_write_escaped(svg, machine.system);
    fprintf(svg,
            "</text>\n<text class=\"faint\" x=\"%d\" y=\"74\">Every phase has the same width "
            "whatever time it took; the grey area is what the program holds; legends are sorted by "
            "the mean over all samples.</text>\n",
            PLOT_LEFT);
}

void compare_memory_write_svg(FILE *svg, const compare_settings_t *settings,
                              const compare_memory_result_t *results, int count) {
    int panels = 0;
    for (int i = 0; i < count; i++) {
        panels += has_curve(&results[i], settings->allocator_count) ? 1 : 0;
    }
    draw_head(svg, settings, HEAD + panels * PANEL);
    double top = HEAD;
    for (int i = 0; i < count; i++) {
        if (has_curve(&results[i], settings->allocator_count)) {
            panel_t panel = {.svg = svg, .settings = settings, .result = &results[i], .top = top};
            draw_panel(&panel);
            top += PANEL;
        }
    }
    fprintf(svg, "</svg>\n");
}
