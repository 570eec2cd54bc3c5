/* report.h: figures for people and programs: statistics, mallinfo, malloc_info.
 *
 * Owns:      gathering gauges from their owners; the texts.
 * Knows not: how anything is allocated.
 * Threads:   any; gathering takes every lock for a moment.
 */
#ifndef HAK_REPORT_H
#define HAK_REPORT_H

#include <stdio.h>

#include "base.h"
#include "config.h"
#include "hakmem.h"

typedef struct {
    size_t slabs, carved, out, uncarved_bytes;
} hak_class_gauges_t;

typedef struct {
    hak_stats_t stats;
    hak_class_gauges_t classes[HAK_CLASSES];
    size_t large_free_bytes;
    size_t reserve_free_bytes; /* carved and free, in slabs */
} hak_figures_t;

void hak_report_gather(hak_figures_t *out);
void hak_report_text(int fd);
void hak_report_json(int fd);
/* glibc's schema, version 1. */
void hak_report_xml(FILE *stream);
/* Keeps stderr for later: many programs close theirs before the library's turn comes. */
void hak_report_prepare_exit(void);
/* To HAKMEM_STATS_FILE (%p: process id; .json: as JSON), or to stderr. */
void hak_report_at_exit(void);

#endif
