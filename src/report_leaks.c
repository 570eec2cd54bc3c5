/* report_leaks.c: what is still allocated, by class and size, the largest first; see report.h.
 *
 * Threads:   see report.h.
 */
#include "report.h"

#include "os.h"
#include "size_class.h"
#include "walk.h"

/* Large blocks are told apart by size; so many sizes, and the rest together. */
#define LARGE_ROWS 100
#define OTHER_LARGE (HAK_CLASSES + LARGE_ROWS)

typedef struct {
    size_t size, blocks, bytes;
    int cls; /* -1: large */
} row_t;

typedef struct {
    row_t rows[OTHER_LARGE + 1]; /* classes, sizes of large blocks, others */
    size_t larges;               /* rows of them in use */
} leaks_t;

static row_t *row_of(leaks_t *leaks, const hak_visit_t *block) {
    if (block->size_class >= 0) {
        return &leaks->rows[block->size_class];
    }
    for (size_t i = 0; i < leaks->larges; i++) {
        row_t *row = &leaks->rows[HAK_CLASSES + i];
        if (row->size == block->size) {
            return row;
        }
    }
    return &leaks->rows[leaks->larges < LARGE_ROWS ? HAK_CLASSES + leaks->larges++ : OTHER_LARGE];
}

static int count(const hak_visit_t *what, void *context) {
    if (what->kind == HAK_VISIT_BLOCK) {
        row_t *row = row_of(context, what);
        bool large = what->size_class < 0; /* of a class, sizes may differ in the hardened mode */
        row->size = large ? what->size : hak_class_stride((unsigned)what->size_class);
        row->cls = what->size_class;
        row->blocks++;
        row->bytes += what->size;
    }
    return 0;
}

/* The rows by bytes, falling. */
static void sort(row_t *rows, size_t length) {
    for (size_t i = 1; i < length; i++) {
        row_t row = rows[i];
        size_t at = i;
        for (; at > 0 && rows[at - 1].bytes < row.bytes; at--) {
            rows[at] = rows[at - 1];
        }
        rows[at] = row;
    }
}

bool hak_report_each_leak(void (*emit)(void *context, const hak_leak_t *leak), void *context) {
    leaks_t leaks = {.larges = 0};
    if (hak_walk(count, &leaks) != 0) {
        return false;
    }
    leaks.rows[OTHER_LARGE].size = 0; /* of many sizes */
    sort(leaks.rows, OTHER_LARGE + 1);
    hak_leak_t leak = {0};
    for (size_t i = 0; i <= OTHER_LARGE; i++) {
        leak.all_blocks += leaks.rows[i].blocks;
        leak.all_bytes += leaks.rows[i].bytes;
    }
    for (size_t i = 0; i <= OTHER_LARGE && leaks.rows[i].blocks != 0; i++) {
        const row_t *row = &leaks.rows[i];
        leak.cls = row->cls;
        leak.size = row->size;
        leak.blocks = row->blocks;
        leak.bytes = row->bytes;
        leak.so_far_bytes += row->bytes;
        emit(context, &leak);
    }
    leak.cls = HAK_LEAK_TOTAL;
    leak.blocks = leak.all_blocks;
    leak.bytes = leak.all_bytes;
    leak.size = 0;
    emit(context, &leak);
    return true;
}
