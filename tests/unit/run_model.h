/* run_model.h: a set of free runs that is looked through whole, beside which an index is tested.
 *
 * Owns:      RUNS runs, which the test program defines, and which of them the index has.
 */
#ifndef RUN_MODEL_H
#define RUN_MODEL_H

#include "run_tree.h"
#include "unit.h"

static hak_run_t runs[RUNS];
static bool listed[RUNS];

/* The smallest that is large enough, of those the lowest address. */
static hak_run_t *model_find(size_t pages) {
    hak_run_t *best = NULL;
    for (size_t i = 0; i < RUNS; i++) {
        hak_run_t *run = &runs[i];
        if (listed[i] && run->pages >= pages &&
            (best == NULL || run->pages < best->pages ||
             (run->pages == best->pages && run->start < best->start))) {
            best = run;
        }
    }
    return best;
}

static void model_check_sums(size_t pages, size_t dirty_pages) {
    for (size_t i = 0; i < RUNS; i++) {
        pages -= listed[i] ? runs[i].pages : 0;
        dirty_pages -= listed[i] ? runs[i].dirty_pages : 0;
    }
    assert_int_equal(pages, 0);
    assert_int_equal(dirty_pages, 0);
}

#endif
