/* tick.c: see tick.h.
 *
 * Threads:   see tick.h. tick.lock is taken before every other lock, and only ever tried.
 */
#include "tick.h"

#include <string.h>

#include "live.h"
#include "lock.h"
#include "options.h"
#include "os.h"
#include "report.h"

/* Without HAKMEM_STATS_INTERVAL_MS, between two live pages. */
#define LIVE_MS 200

static struct {
    hak_lock_t lock;
    _Atomic uint32_t due_ms; /* atomic, relaxed: who moves it does the work */
    uint32_t start_ms;       /* guarded by lock: of this process's first sample */
    bool sampling;           /* guarded by lock */
    bool sampled;            /* guarded by lock: the file is this process's */
    hak_figures_t figures;   /* guarded by lock: 4 KiB that a small stack need not have */
} tick;

bool hak_ticking;

static uint32_t interval_ms(void) {
    return hak_options.stats_interval_ms != 0 ? hak_options.stats_interval_ms : LIVE_MS;
}

/* Opened for each sample: a descriptor kept open might be closed by the program, and its number be
 * another file's. */
static void sample_locked(uint32_t now_ms) {
    char path[HAK_REPORT_PATH_BYTES];
    char line[1024];
    hak_text_t out = {line, 0, sizeof line};
    int fd = -1;
    if (hak_report_path(path, ".samples")) {
        fd = hak_os_open_for_appending(path, !tick.sampled);
    }
    if (fd < 0) {
        hak_message_warn("no samples: %s.samples cannot be written", hak_options.stats_file);
        tick.sampling = false;
        return;
    }
    tick.sampled = true;
    const hak_stats_t *s = &tick.figures.stats;
    hak_text_add(&out,
                 "{\"ms\": %u, \"rss_bytes\": %zu, \"live_blocks\": %zu, \"live_bytes\": %zu, ",
                 now_ms - tick.start_ms, hak_os_resident_bytes(), s->live_blocks, s->live_bytes);
    hak_text_add(&out, "\"bin_bytes\": %zu, \"queued_bytes\": %zu, \"free_bytes\": %zu, ",
                 s->bin_bytes, s->queued_bytes, s->free_bytes);
    hak_text_add(&out,
                 "\"uncarved_bytes\": %zu, \"retained_bytes\": %zu, \"metadata_bytes\": %zu, ",
                 s->uncarved_bytes, s->retained_bytes, s->metadata_bytes);
    hak_text_add(&out, "\"mapped_bytes\": %zu, \"superslabs_now\": %zu, \"large_bytes\": %zu}\n",
                 s->mapped_bytes, s->superslabs_now, s->large_bytes);
    hak_os.write(fd, line, out.used);
    hak_os_close(fd);
}

static void work(uint32_t now_ms) {
    if (!hak_lock_try(&tick.lock)) {
        return;
    }
    hak_report_gather(&tick.figures);
    if (tick.sampling) {
        sample_locked(now_ms);
    }
    if (hak_options.live) {
        hak_live_publish(&tick.figures, now_ms);
    }
    hak_unlock(&tick.lock);
}

void hak_tick_slow(void) {
    uint32_t now_ms = hak_os.now_ms();
    uint32_t due_ms = hak_load_relaxed(&tick.due_ms);
    if (now_ms - due_ms <= UINT32_MAX / 2 &&
        hak_cas_relaxed(&tick.due_ms, &due_ms, now_ms + interval_ms())) {
        work(now_ms);
    }
}

void hak_tick_start(void) {
    if (hak_options.stats_interval_ms == 0 && !hak_options.live) {
        return; /* as in most programs, which should write to no page here */
    }
    bool has_file = hak_options.stats_file[0] != '\0';
    tick.sampling = hak_options.stats_interval_ms != 0 && has_file;
    if (hak_options.stats_interval_ms != 0 && !has_file && !hak_options.live) {
        hak_message_warn("HAKMEM_STATS_INTERVAL_MS needs HAKMEM_STATS_FILE, or HAKMEM_LIVE=1");
    }
    if (tick.sampling || hak_options.live) {
        tick.start_ms = hak_os.now_ms();
        hak_store_relaxed(&tick.due_ms, tick.start_ms);
        hak_ticking = true;
    }
}

hak_lock_t *hak_tick_own_lock(void) {
    return &tick.lock;
}

void hak_tick_after_fork_in_child(void) {
    if (hak_ticking) {
        hak_lock_reset(&tick.lock);
        tick.start_ms = hak_os.now_ms();
        if (strstr(hak_options.stats_file, "%p") != NULL) { /* else its lines follow the parent's */
            tick.sampled = false;
        }
        hak_live_after_fork_in_child();
    }
}

void hak_tick_at_exit(void) {
    if (hak_ticking) {
        work(hak_os.now_ms());
        hak_live_remove();
    }
}
