/* report.c: see report.h.
 *
 * Threads:   see report.h. No allocation but in hak_report_xml(), whose stream may.
 */
#include "report.h"

#include <string.h>

#include "alloc.h"
#include "large.h"
#include "message.h"
#include "options.h"
#include "os.h"
#include "pool.h"
#include "stats.h"

#define TEXT_BYTES 16384

static int exit_fd = 2; /* const after the library's constructor */

static void visit_slab(hak_slab_t *slab, void *context) {
    hak_class_gauges_t *gauges = &((hak_figures_t *)context)->classes[slab->cls];
    size_t carved = hak_load_relaxed(&slab->carved);
    gauges->slabs++;
    gauges->carved += carved;
    gauges->out += carved - slab->free_count;
    size_t touched = carved * hak_class_stride(slab->cls);
    size_t resident = hak_slab_resident_bytes(slab);
    gauges->uncarved_bytes += resident > touched ? resident - touched : 0;
}

static void gather_counters(hak_stats_t *stats) {
    stats->stage1 = hak_load_relaxed(&hak_counters.stage1);
    stats->stage2 = hak_load_relaxed(&hak_counters.stage2);
    stats->stage3 = hak_load_relaxed(&hak_counters.stage3);
    stats->adopted_slabs = hak_load_relaxed(&hak_counters.adopted_slabs);
    stats->map_calls = hak_load_relaxed(&hak_counters.map_calls);
    stats->unmap_calls = hak_load_relaxed(&hak_counters.unmap_calls);
    stats->remap_calls = hak_load_relaxed(&hak_counters.remap_calls);
    stats->purge_calls = hak_load_relaxed(&hak_counters.purge_calls);
}

static void gather_pool_and_large(hak_figures_t *out) {
    hak_pool_gauges_t pool;
    hak_large_gauges_t large;
    hak_pool_gauges(&pool);
    hak_large_gauges(&large);
    hak_stats_t *stats = &out->stats;
    stats->large_blocks = large.live_blocks;
    stats->large_bytes = large.live_bytes;
    stats->live_blocks += large.live_blocks;
    stats->live_bytes += large.live_bytes;
    stats->retained_bytes = pool.retained_bytes + large.retained_bytes;
    stats->superslabs_now = pool.superslabs_now;
    stats->superslabs_peak = pool.superslabs_peak;
    stats->slots_active = pool.slots_active;
    stats->slots_empty = pool.slots_empty;
    stats->slots_unused = pool.slots_unused;
    stats->heaps = hak_heap_count(&stats->orphaned_heaps);
    out->large_free_bytes = large.free_bytes;
}

void hak_report_gather(hak_figures_t *out) {
    *out = (hak_figures_t){.stats.struct_bytes = sizeof out->stats};
    hak_stats_t *stats = &out->stats;
    size_t bin_blocks, bin_bytes;
    hak_lock_everything();
    hak_pool_each_slab(visit_slab, out);
    bin_blocks = hak_heap_count_bins_locked(&bin_bytes);
    stats->mapped_bytes = hak_map.mapped_bytes;
    stats->metadata_bytes = hak_map.meta_bytes;
    hak_unlock_everything();
    stats->bin_bytes = bin_bytes;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_gauges_t *gauges = &out->classes[cls];
        size_t stride = hak_class_stride(cls);
        stats->live_blocks += gauges->out;
        stats->live_bytes += gauges->out * stride;
        stats->uncarved_bytes += gauges->uncarved_bytes;
        out->reserve_free_bytes += (gauges->carved - gauges->out) * stride;
    }
    /* Other threads' bins were counted on the move. */
    stats->live_blocks -= hak_min(bin_blocks, stats->live_blocks);
    stats->live_bytes -= hak_min(bin_bytes, stats->live_bytes);
    stats->free_bytes = out->reserve_free_bytes;
    gather_pool_and_large(out);
    gather_counters(stats);
}

/* One (name, value) at a time, in the order in which they are printed. */
typedef void (*emit_t)(hak_text_t *out, const char *name, uint64_t value);

static void emit_all(hak_text_t *out, const hak_figures_t *figures, emit_t emit) {
    const hak_stats_t *s = &figures->stats;
    const struct {
        const char *name;
        uint64_t value;
    } gauges[] = {
        {"live_blocks", s->live_blocks},
        {"live_bytes", s->live_bytes},
        {"large_blocks", s->large_blocks},
        {"large_bytes", s->large_bytes},
        {"bin_bytes", s->bin_bytes},
        {"free_bytes", s->free_bytes},
        {"large_free_bytes", figures->large_free_bytes},
        {"retained_bytes", s->retained_bytes},
        {"mapped_bytes", s->mapped_bytes},
        {"uncarved_bytes", s->uncarved_bytes},
        {"metadata_bytes", s->metadata_bytes},
        {"superslabs_now", s->superslabs_now},
        {"superslabs_peak", s->superslabs_peak},
        {"slots_active", s->slots_active},
        {"slots_empty", s->slots_empty},
        {"slots_unused", s->slots_unused},
        {"heaps", s->heaps},
        {"orphaned_heaps", s->orphaned_heaps},
    };
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        emit(out, gauges[i].name, gauges[i].value);
    }
#define COUNTER(name, help) emit(out, #name, hak_load_relaxed(&hak_counters.name));
#include "stats.def"
#undef COUNTER
}

static void emit_line(hak_text_t *out, const char *name, uint64_t value) {
    hak_text_add(out, "%-20s %14lu\n", name, (unsigned long)value);
}

static void emit_member(hak_text_t *out, const char *name, uint64_t value) {
    hak_text_add(out, "  \"%s\": %lu,\n", name, (unsigned long)value);
}

static void add_class_rows(hak_text_t *out, const hak_figures_t *figures) {
    hak_text_add(out, "# class  stride   slabs      blocks_out     bytes_out    bytes_carved\n");
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_gauges_t *g = &figures->classes[cls];
        size_t stride = hak_class_stride(cls);
        if (g->slabs != 0) {
            hak_text_add(out, "class_%-4u %5zu %7zu %15zu %13zu %15zu\n", cls, stride, g->slabs,
                         g->out, g->out * stride, g->carved * stride);
        }
    }
}

void hak_report_text(int fd) {
    char text[TEXT_BYTES];
    hak_text_t out = {text, 0, sizeof text};
    hak_figures_t figures;
    hak_report_gather(&figures);
    hak_text_add(&out, "# hakmem %s, statistics of process %d\n", HAK_VERSION,
                 hak_os_process_id());
    emit_all(&out, &figures, emit_line);
    add_class_rows(&out, &figures);
    hak_os.write(fd, text, out.used);
}

void hak_report_json(int fd) {
    char text[TEXT_BYTES];
    hak_text_t out = {text, 0, sizeof text};
    hak_figures_t figures;
    const char *separator = "";
    hak_report_gather(&figures);
    hak_text_add(&out, "{\n  \"version\": \"%s\",\n  \"process\": %d,\n", HAK_VERSION,
                 hak_os_process_id());
    emit_all(&out, &figures, emit_member);
    hak_text_add(&out, "  \"classes\": [");
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_gauges_t *g = &figures.classes[cls];
        if (g->slabs != 0) {
            hak_text_add(&out, "%s\n    {\"class\": %u, \"stride\": %zu, \"slabs\": %zu, ",
                         separator, cls, hak_class_stride(cls), g->slabs);
            hak_text_add(&out, "\"blocks_out\": %zu, \"blocks_carved\": %zu}", g->out, g->carved);
            separator = ",";
        }
    }
    hak_text_add(&out, "\n  ]\n}\n");
    hak_os.write(fd, text, out.used);
}

void hak_report_xml(FILE *stream) {
    hak_figures_t figures;
    hak_report_gather(&figures);
    size_t free_blocks = 0;
    fprintf(stream, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n");
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_gauges_t *g = &figures.classes[cls];
        size_t free_here = g->carved - g->out;
        size_t stride = hak_class_stride(cls);
        free_blocks += free_here;
        if (free_here != 0) {
            fprintf(stream, "  <size from=\"%zu\" to=\"%zu\" total=\"%zu\" count=\"%zu\"/>\n",
                    cls == 0 ? 1 : hak_class_stride(cls - 1) + 1, stride, free_here * stride,
                    free_here);
        }
    }
    size_t rest = figures.stats.free_bytes + figures.large_free_bytes;
    fprintf(stream, "</sizes>\n<total type=\"fast\" count=\"0\" size=\"%zu\"/>\n",
            figures.stats.bin_bytes);
    fprintf(stream, "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n", free_blocks, rest);
    fprintf(stream, "<system type=\"current\" size=\"%zu\"/>\n", figures.stats.mapped_bytes);
    fprintf(stream, "<system type=\"max\" size=\"%zu\"/>\n", figures.stats.mapped_bytes);
    fprintf(stream, "<aspace type=\"total\" size=\"%zu\"/>\n", figures.stats.mapped_bytes);
    fprintf(stream, "<aspace type=\"mprotect\" size=\"%zu\"/>\n", figures.stats.mapped_bytes);
    fprintf(stream, "</heap>\n<total type=\"fast\" count=\"0\" size=\"%zu\"/>\n",
            figures.stats.bin_bytes);
    fprintf(stream, "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n", free_blocks, rest);
    fprintf(stream, "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n",
            figures.stats.large_blocks, figures.stats.large_bytes);
    fprintf(stream, "<system type=\"current\" size=\"%zu\"/>\n", figures.stats.mapped_bytes);
    fprintf(stream, "<system type=\"max\" size=\"%zu\"/>\n", figures.stats.mapped_bytes);
    fprintf(stream, "<aspace type=\"total\" size=\"%zu\"/>\n", figures.stats.mapped_bytes);
    fprintf(stream, "<aspace type=\"mprotect\" size=\"%zu\"/>\n</malloc>\n",
            figures.stats.mapped_bytes);
}

/* The option's path with %p replaced by the process id; false when it does not fit. */
static bool expand_path(char *out, size_t capacity) {
    hak_text_t text = {out, 0, capacity - 1};
    for (const char *s = hak_options.stats_file; *s != '\0'; s++) {
        if (s[0] == '%' && s[1] == 'p') {
            hak_text_add(&text, "%d", hak_os_process_id());
            s++;
        } else {
            hak_text_add(&text, "%c", *s);
        }
    }
    out[text.used] = '\0';
    return text.used < text.capacity;
}

void hak_report_prepare_exit(void) {
    if (hak_options.stats && hak_options.stats_file[0] == '\0') {
        exit_fd = hak_os_keep_open(exit_fd);
    }
}

void hak_report_at_exit(void) {
    char path[sizeof hak_options.stats_file + 32];
    if (!hak_options.stats || hak_map.slot_count == 0) {
        return;
    }
    if (hak_options.stats_file[0] == '\0') {
        hak_report_text(exit_fd);
        return;
    }
    int fd = expand_path(path, sizeof path) ? hak_os_open_for_writing(path) : -1;
    if (fd < 0) {
        hak_message_warn("HAKMEM_STATS_FILE=%s cannot be written", hak_options.stats_file);
        return;
    }
    size_t length = strlen(path);
    if (length > 5 && strcmp(path + length - 5, ".json") == 0) {
        hak_report_json(fd);
    } else {
        hak_report_text(fd);
    }
    hak_os_close(fd);
}
