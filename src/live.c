/* live.c: see live.h.
 *
 * Threads:   see live.h.
 */
#include "live.h"

#include "atomic.h"
#include "options.h"
#include "os.h"
#include "size_class.h"
#include "stats.h"

#define LIVE_BYTES ((size_t)16384)

typedef struct {
    _Atomic uint64_t number; /* eight digits */
    char text[LIVE_BYTES - sizeof(uint64_t)];
} page_t;

static struct {
    page_t *page;
    uint32_t number;
    int process; /* whose file it is: a child of vfork() has its parent's memory, not its number */
    bool refused;
} live;

static void make_path(char *path, size_t bytes) {
    hak_text_t out = {path, 0, bytes - 1};
    hak_text_add(&out, "/dev/shm/hakmem.%d", hak_os_process_id());
    path[out.used] = '\0';
}

static void open_page(void) {
    char path[64];
    make_path(path, sizeof path);
    live.page = hak_os_share(path, LIVE_BYTES);
    live.process = hak_os_process_id();
    live.refused = live.page == NULL;
    if (live.refused) {
        hak_message_warn("HAKMEM_LIVE: %s cannot be made", path);
    } else {
        HAK_COUNT(map_calls);
    }
}

static uint64_t digits_of(uint32_t number) {
    char digits[sizeof(uint64_t)];
    uint64_t word;
    for (size_t i = sizeof digits; i-- > 0; number /= 10) {
        digits[i] = (char)('0' + number % 10);
    }
    __builtin_memcpy(&word, digits, sizeof word);
    return word;
}

static void emit_line(void *context, const hak_figure_t *figure) {
    hak_text_add(context, "%s %lu\n", figure->name, (unsigned long)figure->value);
}

static void add_classes(hak_text_t *out, const hak_figures_t *figures) {
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_gauges_t *g = &figures->classes[cls];
        if (g->slabs != 0) {
            hak_text_add(out, "class_%u %zu %zu %zu %zu %zu %zu %zu\n", cls, hak_class_stride(cls),
                         g->slabs, hak_class_live(g), g->cached, g->queued, g->free, g->carved);
        }
    }
}

void hak_live_publish(const hak_figures_t *figures, uint32_t now_ms) {
    if (live.page == NULL && !live.refused) {
        open_page();
    }
    if (live.page == NULL || live.process != hak_os_process_id()) {
        return;
    }
    hak_text_t out = {live.page->text, 0, sizeof live.page->text};
    live.number = (live.number + 2) % 100000000;
    hak_store_relaxed(&live.page->number, digits_of(live.number + 1));
    hak_fence_release(); /* no part of the text comes before the odd number */
    hak_text_add(&out, "\nhakmem_live 1\nversion %s\nprocess %d\npublished_ms %u\n", HAK_VERSION,
                 live.process, now_ms);
    hak_report_each(figures, emit_line, &out);
    add_classes(&out, figures);
    hak_text_add(&out, "end %u\n", now_ms);
    hak_store_release(&live.page->number, digits_of(live.number)); /* nor after the even one */
}

void hak_live_after_fork_in_child(void) {
    if (live.page != NULL) {
        (void)hak_os.unmap(live.page, LIVE_BYTES);
        HAK_COUNT(unmap_calls);
    }
    live.page = NULL;
    live.refused = false;
}

void hak_live_remove(void) {
    char path[64];
    if (live.page != NULL && live.process == hak_os_process_id()) {
        make_path(path, sizeof path);
        hak_os_remove(path);
    }
}
