/* report_text.c: the figures as text and as JSON, at any time and at exit; see report.h.
 *
 * Threads:   see report.h.
 */
#include "report.h"

#include <string.h>

#include "alloc.h"
#include "options.h"
#include "os.h"
#include "pool.h"

static int exit_fd = 2; /* const after the library's constructor */

/* ---- A text of any length, in pieces --------------------------------------------------------- */

typedef struct {
    hak_text_t text;
    int fd;
    const char *separator; /* JSON: what stands before the next member of a list */
    char buffer[4096];
} page_t;

/* No line is as long as this. */
#define LINE_BYTES 512

static void flush(page_t *page) {
    hak_os.write(page->fd, page->buffer, page->text.used);
    page->text.used = 0;
}

/* Room for one more line. */
static hak_text_t *next_line(page_t *page) {
    if (page->text.used + LINE_BYTES > sizeof page->buffer) {
        flush(page);
    }
    return &page->text;
}

#define PAGE(name, to)                                                                             \
    page_t name = {.fd = (to), .separator = ""};                                                   \
    name.text = (hak_text_t) {                                                                     \
        name.buffer, 0, sizeof name.buffer                                                         \
    }

/* ---- Text ------------------------------------------------------------------------------------ */

/* Tenths of n in so many per cent of the total, or 0. */
static unsigned long per_mille(uint64_t n, uint64_t total) {
    return total != 0 ? (unsigned long)((n * 1000 + total / 2) / total) : 0;
}

static void add_tenths(hak_text_t *out, unsigned long tenths, const char *unit) {
    hak_text_add(out, "%lu.%lu %s, ", tenths / 10, tenths % 10, unit);
}

static void add_human_bytes(hak_text_t *out, uint64_t bytes) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    if (bytes < 1024) {
        return;
    }
    while (bytes >= (uint64_t)1 << 20 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes >>= 10;
        unit++;
    }
    add_tenths(out, (unsigned long)((bytes * 10 + 512) >> 10), units[unit]);
}

static void emit_line(void *context, const hak_figure_t *figure) {
    hak_text_t *out = next_line(context);
    if (figure->section != NULL) {
        hak_text_add(out, "# %s:\n", figure->section);
    }
    hak_text_add(out, "%-20s %14lu  # ", figure->name, (unsigned long)figure->value);
    if (figure->kind == HAK_FIGURE_BYTES) {
        add_human_bytes(out, figure->value);
    } else if (figure->kind == HAK_FIGURE_SHARE) {
        add_tenths(out, per_mille(figure->value, figure->total), "%");
    }
    hak_text_add(out, "%s\n", figure->help);
}

static void add_class_rows(page_t *page, const hak_figures_t *figures) {
    hak_text_add(
        next_line(page),
        "# classes: blocks live; free in bins, in remote queues, in slabs; made at all; the "
        "part of them that is free\n"
        "# class  stride   slabs        live      cached      queued        free      carved"
        "    live_bytes  free_%%\n");
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_gauges_t *g = &figures->classes[cls];
        size_t live = hak_class_live(g);
        unsigned long free_part = per_mille(g->carved - live, g->carved);
        if (g->slabs != 0) {
            hak_text_add(next_line(page),
                         "class_%-4u %5zu %7zu %11zu %11zu %11zu %11zu %11zu %13zu %5lu.%lu\n", cls,
                         hak_class_stride(cls), g->slabs, live, g->cached, g->queued, g->free,
                         g->carved, live * hak_class_stride(cls), free_part / 10, free_part % 10);
        }
    }
}

void hak_report_text(int fd) {
    PAGE(page, fd);
    hak_figures_t figures;
    hak_report_gather(&figures);
    hak_text_add(&page.text, "# hakmem %s, statistics of process %d\n", HAK_VERSION,
                 hak_os_process_id());
    hak_report_each(&figures, emit_line, &page);
    add_class_rows(&page, &figures);
    flush(&page);
}

/* ---- Leaks ----------------------------------------------------------------------------------- */

static void add_leak_name(hak_text_t *out, const hak_leak_t *leak) {
    if (leak->cls == HAK_LEAK_TOTAL) {
        hak_text_add(out, "leaks_total  %10s", "");
    } else if (leak->cls >= 0) {
        hak_text_add(out, "leak_class_%-2d%10zu", leak->cls, leak->size);
    } else {
        hak_text_add(out, "leak_large   %10zu", leak->size);
    }
}

static void emit_leak(void *context, const hak_leak_t *leak) {
    hak_text_t *out = next_line(context);
    unsigned long share = per_mille(leak->so_far_bytes, leak->all_bytes);
    add_leak_name(out, leak);
    hak_text_add(out, " %12zu %15zu  # ", leak->blocks, leak->bytes);
    add_human_bytes(out, leak->bytes);
    hak_text_add(out, "%lu.%lu %% so far\n", share / 10, share % 10);
}

void hak_report_leaks(int fd) {
    PAGE(page, fd);
    hak_text_add(&page.text,
                 "# hakmem %s, still allocated in process %d; a size of 0: several sizes\n"
                 "# class           size       blocks           bytes\n",
                 HAK_VERSION, hak_os_process_id());
    if (!hak_report_each_leak(emit_leak, &page)) {
        hak_text_add(next_line(&page), "# no memory for the walk\n");
    }
    flush(&page);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void emit_member(void *context, const hak_figure_t *figure) {
    hak_text_add(next_line(context), "  \"%s\": %lu,\n", figure->name,
                 (unsigned long)figure->value);
}

static void add_class_members(page_t *page, const hak_figures_t *figures) {
    hak_text_add(next_line(page), "  \"classes\": [");
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_gauges_t *g = &figures->classes[cls];
        if (g->slabs != 0) {
            hak_text_add(next_line(page),
                         "%s\n    {\"class\": %u, \"stride\": %zu, \"slabs\": %zu, \"live\": %zu, "
                         "\"cached\": %zu, \"queued\": %zu, \"free\": %zu, \"carved\": %zu, "
                         "\"uncarved_bytes\": %zu}",
                         page->separator, cls, hak_class_stride(cls), g->slabs, hak_class_live(g),
                         g->cached, g->queued, g->free, g->carved, g->uncarved_bytes);
            page->separator = ",";
        }
    }
    hak_text_add(next_line(page), "\n  ]");
}

/* ---- The slots of every SuperSlab ---- */

/* Copied while all locks are held, written when none is. */
typedef struct {
    const char *base;
    uint32_t empty, purged;
    bool in_lru, huge;
    struct {
        uint8_t first, slots, cls;
        uint16_t carved, free;
    } slabs[HAK_SLOTS];
    unsigned slab_count;
} slots_t;

#define SLOTS_BATCH 8

static void copy_slots(slots_t *out, const hak_superslab_t *ss) {
    *out = (slots_t){.base = ss->base, .empty = ss->empty, .in_lru = ss->in_lru, .huge = ss->huge};
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        const hak_slab_t *slab = &ss->slabs[i];
        if (slab->state == HAK_SLOT_ACTIVE && slab->first == i) {
            unsigned at = out->slab_count++;
            out->slabs[at].first = (uint8_t)i;
            out->slabs[at].slots = slab->slots;
            out->slabs[at].cls = slab->cls;
            out->slabs[at].carved = hak_load_relaxed(&slab->carved);
            out->slabs[at].free = slab->free_count;
        }
        out->purged |= (uint32_t)(slab->state == HAK_SLOT_UNUSED && slab->purged) << i;
    }
}

/* Up to so many of those behind *at, which moves on to the last of them. */
static size_t copy_batch(slots_t *out, const hak_superslab_t **at) {
    size_t count = 0;
    hak_lock_everything();
    const hak_superslab_t *ss = *at;
    while (count < SLOTS_BATCH && (ss = hak_pool_next_superslab(ss)) != NULL) {
        copy_slots(&out[count++], ss);
        *at = ss;
    }
    hak_unlock_everything();
    return count;
}

static void add_slots(page_t *page, const slots_t *slots) {
    hak_text_add(next_line(page),
                 "%s\n    {\"address\": \"%p\", \"lru\": %d, \"huge\": %d, \"empty\": %u, "
                 "\"purged\": %u, \"slabs\": [",
                 page->separator, (const void *)slots->base, slots->in_lru, slots->huge,
                 slots->empty, slots->purged);
    for (unsigned i = 0; i < slots->slab_count; i++) {
        hak_text_add(next_line(page), "%s[%u, %u, %u, %u, %u]", i == 0 ? "" : ", ",
                     slots->slabs[i].first, slots->slabs[i].slots, slots->slabs[i].cls,
                     slots->slabs[i].carved, slots->slabs[i].free);
    }
    hak_text_add(next_line(page), "]}");
    page->separator = ",";
}

/* slabs: first slot, slots, class, blocks carved, blocks free at home. */
static void add_superslabs(page_t *page) {
    slots_t batch[SLOTS_BATCH];
    const hak_superslab_t *at = NULL;
    size_t count;
    page->separator = "";
    hak_text_add(next_line(page), ",\n  \"superslabs\": [");
    while ((count = copy_batch(batch, &at)) != 0) {
        for (size_t i = 0; i < count; i++) {
            add_slots(page, &batch[i]);
        }
    }
    hak_text_add(next_line(page), "\n  ]");
}

static void emit_leak_member(void *context, const hak_leak_t *leak) {
    page_t *page = context;
    if (leak->cls != HAK_LEAK_TOTAL) {
        hak_text_add(next_line(page),
                     "%s\n    {\"class\": %d, \"size\": %zu, \"blocks\": %zu, \"bytes\": %zu}",
                     page->separator, leak->cls, leak->size, leak->blocks, leak->bytes);
        page->separator = ",";
    }
}

static void add_leaks(page_t *page) {
    page->separator = "";
    hak_text_add(next_line(page), ",\n  \"leaks\": [");
    (void)hak_report_each_leak(emit_leak_member, page);
    hak_text_add(next_line(page), "\n  ]");
}

void hak_report_json(int fd) {
    PAGE(page, fd);
    hak_figures_t figures;
    hak_report_gather(&figures);
    hak_text_add(&page.text,
                 "{\n  \"version\": \"%s\",\n  \"process\": %d,\n  \"rss_bytes\": %zu,\n",
                 HAK_VERSION, hak_os_process_id(), hak_os_resident_bytes());
    hak_report_each(&figures, emit_member, &page);
    add_class_members(&page, &figures);
    add_superslabs(&page);
    if (hak_options.leaks) {
        add_leaks(&page);
    }
    hak_text_add(next_line(&page), "\n}\n");
    flush(&page);
}

/* ---- At exit --------------------------------------------------------------------------------- */

static bool is_wanted(void) {
    return hak_options.stats || hak_options.leaks;
}

bool hak_report_path(char out[HAK_REPORT_PATH_BYTES], const char *suffix) {
    hak_text_t text = {out, 0, HAK_REPORT_PATH_BYTES - 1};
    for (const char *s = hak_options.stats_file; *s != '\0'; s++) {
        if (s[0] == '%' && s[1] == 'p') {
            hak_text_add(&text, "%d", hak_os_process_id());
            s++;
        } else {
            hak_text_add(&text, "%c", *s);
        }
    }
    hak_text_add(&text, "%s", suffix);
    out[text.used] = '\0';
    return text.used < text.capacity;
}

void hak_report_prepare_exit(void) {
    if (is_wanted() && hak_options.stats_file[0] == '\0') {
        exit_fd = hak_os_keep_open(exit_fd);
    }
}

static void write_text(int fd) {
    if (hak_options.stats) {
        hak_report_text(fd);
    }
    if (hak_options.leaks) {
        hak_report_leaks(fd);
    }
}

void hak_report_at_exit(void) {
    char path[HAK_REPORT_PATH_BYTES];
    if (!is_wanted() || hak_map.slot_count == 0) {
        return;
    }
    if (hak_options.stats_file[0] == '\0') {
        write_text(exit_fd);
        return;
    }
    int fd = hak_report_path(path, "") ? hak_os_open_for_writing(path) : -1;
    if (fd < 0) {
        hak_message_warn("HAKMEM_STATS_FILE=%s cannot be written", hak_options.stats_file);
        return;
    }
    size_t length = strlen(path);
    if (length > 5 && strcmp(path + length - 5, ".json") == 0) {
        hak_report_json(fd);
    } else {
        write_text(fd);
    }
    hak_os_close(fd);
}
