/* report.h: figures for people and programs: statistics, mallinfo, malloc_info.
 *
 * Owns:      gathering gauges from their owners; the texts.
 * Knows not: how anything is allocated.
 * Threads:   any; gathering takes every lock for a moment. Nothing is written while one is held.
 */
#ifndef HAK_REPORT_H
#define HAK_REPORT_H

#include <stdio.h>

#include "config.h"
#include "hakmem.h"
#include "message.h"
#include "stats.h"

/* Blocks of a class: carved == live + cached + queued + free. */
typedef struct {
    size_t slabs, carved;
    size_t cached; /* in bins and reserves */
    size_t queued; /* in remote queues */
    size_t free;   /* home, in their slabs */
    size_t uncarved_bytes;
} hak_class_gauges_t;

typedef struct {
    hak_stats_t stats;
    hak_class_gauges_t classes[HAK_CLASSES];
    hak_tally_t tally; /* of all heaps, and what none did */
} hak_figures_t;

/* What other threads allocate or free meanwhile may have been counted twice or not at all. */
HAK_INLINE size_t hak_class_live(const hak_class_gauges_t *gauges) {
    size_t free_blocks = gauges->cached + gauges->queued + gauges->free;
    return gauges->carved - hak_min(free_blocks, gauges->carved);
}

void hak_report_gather(hak_figures_t *out);

/* How a figure reads. A share: its part of what total names is of interest. */
typedef enum { HAK_FIGURE_COUNT, HAK_FIGURE_BYTES, HAK_FIGURE_SHARE } hak_figure_kind_t;
typedef struct {
    const char *section; /* of the first figure of one, else NULL */
    const char *name;
    const char *help;
    uint64_t value;
    uint64_t total; /* HAK_FIGURE_SHARE: what it is a part of */
    hak_figure_kind_t kind;
} hak_figure_t;

/* Each figure there is, in the order in which they are printed. */
void hak_report_each(const hak_figures_t *figures,
                     void (*emit)(void *context, const hak_figure_t *figure), void *context);

/* A class, or a size of large blocks, of which some are live. The last one is the total. */
#define HAK_LEAK_TOTAL (-2)
typedef struct {
    int cls;     /* -1: large; HAK_LEAK_TOTAL */
    size_t size; /* usable bytes of each block; 0: several sizes */
    size_t blocks, bytes;
    size_t so_far_bytes;          /* bytes of this and of all larger ones */
    size_t all_blocks, all_bytes; /* of all */
} hak_leak_t;
/* Those with most bytes first. False without memory for the walk. */
bool hak_report_each_leak(void (*emit)(void *context, const hak_leak_t *leak), void *context);

void hak_report_text(int fd);
void hak_report_leaks(int fd);
void hak_report_json(int fd);
/* glibc's schema, version 1. */
void hak_report_xml(FILE *stream);
/* HAKMEM_STATS_FILE, %p replaced by the process id, with the suffix; false when it does not fit. */
#define HAK_REPORT_PATH_BYTES 320
bool hak_report_path(char out[HAK_REPORT_PATH_BYTES], const char *suffix);
/* Keeps stderr for later: many programs close theirs before the library's turn comes. */
void hak_report_prepare_exit(void);
/* What HAKMEM_STATS and HAKMEM_LEAKS ask for, to HAKMEM_STATS_FILE (%p: process id; .json: as
 * JSON), or to stderr. */
void hak_report_at_exit(void);

#endif
