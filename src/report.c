/* report.c: gathering of figures, and malloc_info; see report.h.
 *
 * Threads:   see report.h. No allocation but in hak_report_xml(), whose stream may.
 */
#include "report.h"

#include "alloc.h"
#include "armor.h"
#include "guard.h"
#include "heap_search.h"
#include "large.h"
#include "pool.h"
#include "remote_queue.h"
#include "stats.h"

/* ---- Gathering ------------------------------------------------------------------------------- */

static void visit_slab(hak_slab_t *slab, void *context) {
    hak_class_gauges_t *gauges = &((hak_figures_t *)context)->classes[slab->cls];
    size_t carved = hak_load_relaxed(&slab->carved);
    gauges->slabs++;
    gauges->carved += carved;
    gauges->free += slab->free_count;
    gauges->queued += hak_remote_count(hak_load_relaxed(&slab->remote));
    size_t touched = carved * hak_class_stride(slab->cls);
    size_t resident = hak_slab_resident_bytes(slab);
    gauges->uncarved_bytes += resident > touched ? resident - touched : 0;
}

static void visit_bin_block(const void *block, unsigned cls, void *context) {
    (void)block;
    ((hak_figures_t *)context)->classes[cls].cached++;
}

static void gather_counters(hak_figures_t *out) {
    hak_stats_t *stats = &out->stats;
#define COUNTER(name, help)
#define TALLY(name, help) out->tally.name += hak_load_relaxed(&hak_counters.name);
#include "stats.def"
#define COPY(name) stats->name = hak_load_relaxed(&hak_counters.name)
#define SUM(name) stats->name = out->tally.name
    COPY(stage1);
    COPY(stage2);
    COPY(stage3);
    COPY(adopted_slabs);
    COPY(adopted_heaps);
    COPY(released_slabs);
    COPY(superslabs_mapped);
    COPY(superslabs_from_lru);
    COPY(superslabs_returned);
    COPY(map_calls);
    COPY(unmap_calls);
    COPY(remap_calls);
    COPY(purge_calls);
    COPY(populate_calls);
    COPY(huge_page_calls);
    SUM(refills);
    SUM(refills_reserve);
    SUM(drains);
    SUM(drained_blocks);
    SUM(remote_batches);
    SUM(remote_blocks);
    COPY(large_allocs);
    COPY(large_cache_hits);
#undef SUM
#undef COPY
    stats->purged_bytes = hak_load_relaxed(&hak_counters.purged_kib) << 10;
}

static void gather_pool_and_large(hak_stats_t *stats) {
    hak_pool_gauges_t pool;
    hak_large_gauges_t large;
    hak_pool_gauges(&pool);
    hak_large_gauges(&large);
    hak_guard_leave_out_held(&large.live_blocks, &large.live_bytes);
    stats->large_blocks = large.live_blocks;
    stats->large_bytes = large.live_bytes;
    stats->live_blocks += large.live_blocks;
    stats->live_bytes += large.live_bytes;
    stats->large_free_bytes = large.free_bytes;
    stats->retained_bytes = pool.retained_bytes + large.retained_bytes;
    stats->superslabs_now = pool.superslabs_now;
    stats->superslabs_peak = pool.superslabs_peak;
    stats->slots_active = pool.slots_active;
    stats->slots_empty = pool.slots_empty;
    stats->slots_unused = pool.slots_unused;
    stats->heaps = hak_heap_count(&stats->orphaned_heaps);
}

static void gather_classes(hak_figures_t *out) {
    hak_stats_t *stats = &out->stats;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_gauges_t *gauges = &out->classes[cls];
        size_t stride = hak_class_stride(cls);
        stats->live_blocks += hak_class_live(gauges);
        stats->live_bytes += hak_class_live(gauges) * stride;
        stats->bin_bytes += gauges->cached * stride;
        stats->queued_bytes += gauges->queued * stride;
        stats->free_bytes += gauges->free * stride;
        stats->uncarved_bytes += gauges->uncarved_bytes;
    }
}

void hak_report_gather(hak_figures_t *out) {
    *out = (hak_figures_t){.stats.struct_bytes = sizeof out->stats};
    hak_stats_t *stats = &out->stats;
    uint64_t refills[HAK_SOURCES] = {0};
    if (hak_hardened) {
        hak_armor_fetch();
    }
    hak_lock_everything();
    hak_pool_each_slab(visit_slab, out);
    (void)hak_heap_each_bin_block_locked(visit_bin_block, out);
    hak_heap_add_counts_locked(refills, &out->tally);
    stats->mapped_bytes = hak_map.mapped_bytes;
    stats->metadata_bytes = hak_map.meta_bytes;
    hak_unlock_everything();
    stats->refill_remote = refills[HAK_FROM_REMOTE];
    stats->refill_free = refills[HAK_FROM_FREE];
    stats->refill_carve = refills[HAK_FROM_CARVE];
    stats->refill_next = refills[HAK_FROM_NEXT];
    stats->refill_adopted = refills[HAK_FROM_ADOPTED];
    stats->refill_pool = refills[HAK_FROM_POOL];
    gather_classes(out);
    gather_pool_and_large(stats);
    gather_counters(out);
}

/* ---- Each figure ----------------------------------------------------------------------------- */

typedef void emit_t(void *context, const hak_figure_t *figure);

static void each_gauge(const hak_stats_t *s, emit_t *emit, void *context) {
    const uint64_t waste = s->bin_bytes + s->queued_bytes + s->free_bytes + s->uncarved_bytes +
                           s->retained_bytes + s->metadata_bytes;
#define BYTES(name, help)                                                                          \
    { NULL, #name, (help), s->name, 0, HAK_FIGURE_BYTES }
#define NUMBER(name, help)                                                                         \
    { NULL, #name, (help), s->name, 0, HAK_FIGURE_COUNT }
#define WASTE(name, help)                                                                          \
    { NULL, #name, (help), s->name, waste, HAK_FIGURE_SHARE }
    const hak_figure_t figures[] = {
        {"what the program has", "live_blocks", "blocks allocated and not freed", s->live_blocks, 0,
         HAK_FIGURE_COUNT},
        BYTES(live_bytes,
              "in them; to what sizes requests were rounded is included, and not known"),
        NUMBER(large_blocks, "of them, blocks above 32 KiB"),
        BYTES(large_bytes, "in those"),
        {"what hakmem has on top, resident or nearly so", "waste_bytes", "the sum", waste, 0,
         HAK_FIGURE_BYTES},
        WASTE(bin_bytes, "free blocks in the bins of threads"),
        WASTE(queued_bytes, "free blocks on their way to another thread's slab"),
        WASTE(free_bytes, "free blocks in slabs that others keep at work"),
        WASTE(uncarved_bytes, "of slabs at work, not made into blocks yet"),
        WASTE(retained_bytes, "free slots and page runs, kept for later"),
        WASTE(metadata_bytes, "records"),
        {"addresses", "mapped_bytes", "for blocks, resident or not", s->mapped_bytes, 0,
         HAK_FIGURE_BYTES},
        BYTES(large_free_bytes, "of them, in free page runs"),
        {"SuperSlabs (2 MiB) and their slots (64 KiB)", "superslabs_now", "mapped now",
         s->superslabs_now, 0, HAK_FIGURE_COUNT},
        NUMBER(superslabs_peak, "mapped at most"),
        NUMBER(slots_active, "at work for a class"),
        NUMBER(slots_empty, "released, memory still there"),
        NUMBER(slots_unused, "never used, or given back"),
        {"heaps", "heaps", "of threads, one each, and of ended ones", s->heaps, 0,
         HAK_FIGURE_COUNT},
        NUMBER(orphaned_heaps, "of them, of ended threads"),
    };
#undef WASTE
#undef NUMBER
#undef BYTES
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        emit(context, &figures[i]);
    }
}

static void each_refill_source(const hak_stats_t *s, emit_t *emit, void *context) {
    const uint64_t all =
        s->refill_free + s->refill_carve + s->refill_next + s->refill_adopted + s->refill_pool;
#define SOURCE(name, help)                                                                         \
    { NULL, #name, (help), s->name, all, HAK_FIGURE_SHARE }
    const hak_figure_t figures[] = {
        {"slabs that gave blocks to a refill", "refill_free", "the one in use: its free list",
         s->refill_free, all, HAK_FIGURE_SHARE},
        SOURCE(refill_carve, "the one in use: memory that was no block yet"),
        SOURCE(refill_next, "a further one of the heap"),
        SOURCE(refill_adopted, "one just adopted"),
        SOURCE(refill_pool, "one just acquired"),
        {NULL, "refill_remote", "refills that began with what remote queues gave", s->refill_remote,
         0, HAK_FIGURE_COUNT},
    };
#undef SOURCE
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        emit(context, &figures[i]);
    }
}

static void each_counter(const hak_figures_t *all, emit_t *emit, void *context) {
    const hak_stats_t *s = &all->stats;
    const uint64_t acquired = s->stage1 + s->stage2 + s->stage3 + s->adopted_slabs;
#define COUNTER(name, help)                                                                        \
    {NULL, #name, (help), hak_load_relaxed(&hak_counters.name), 0, HAK_FIGURE_COUNT},
#define TALLY(name, help) {NULL, #name, (help), all->tally.name, 0, HAK_FIGURE_COUNT},
    hak_figure_t figures[] = {
#include "stats.def"
    };
    figures[0].section = "events so far; the first four: of all slabs that heaps got";
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        if (i < 4) { /* the stages, and adoption: stats.def starts with them */
            figures[i].kind = HAK_FIGURE_SHARE;
            figures[i].total = acquired;
        }
        emit(context, &figures[i]);
    }
}

void hak_report_each(const hak_figures_t *figures, emit_t *emit, void *context) {
    each_gauge(&figures->stats, emit, context);
    each_counter(figures, emit, context);
    each_refill_source(&figures->stats, emit, context);
}

/* ---- malloc_info ----------------------------------------------------------------------------- */

void hak_report_xml(FILE *stream) {
    hak_figures_t figures;
    hak_report_gather(&figures);
    size_t free_blocks = 0;
    fprintf(stream, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n");
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_gauges_t *g = &figures.classes[cls];
        size_t free_here = g->free;
        size_t stride = hak_class_stride(cls);
        free_blocks += free_here;
        if (free_here != 0) {
            fprintf(stream, "  <size from=\"%zu\" to=\"%zu\" total=\"%zu\" count=\"%zu\"/>\n",
                    hak_class_least(cls), stride, free_here * stride, free_here);
        }
    }
    size_t rest = figures.stats.free_bytes + figures.stats.large_free_bytes;
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
