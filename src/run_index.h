/* run_index.h: free runs of pages by size, for best fit.
 *
 * Owns:      bins of sizes, a tree of runs (run_tree.h) in each; of few pages, all are of one size.
 * Knows not: what a run covers or when one is freed.
 * Threads:   guarded by the large tier's lock.
 *
 * One tree of all runs would do, too: but there are hundreds, and nearly every bin has one or two.
 */
#ifndef HAK_RUN_INDEX_H
#define HAK_RUN_INDEX_H

#include "run_tree.h"

/* Eight for each power of two, up to 960 pages and more. */
#define HAK_RUN_BINS 64

typedef struct {
    hak_run_t *trees[HAK_RUN_BINS];
    uint64_t filled; /* a bit for each bin that has runs */
} hak_run_index_t;

void hak_run_index_insert(hak_run_index_t *index, hak_run_t *run);
/* run->pages is what it was when the run came. */
void hak_run_index_remove(hak_run_index_t *index, hak_run_t *run);
/* The smallest run of so many pages at least, of those the lowest address; NULL without one. */
hak_run_t *hak_run_index_find(const hak_run_index_t *index, size_t pages);
/* Each tree is valid and has runs of its bin alone; adds up pages and dirty pages. */
bool hak_run_index_is_valid(const hak_run_index_t *index, size_t *pages, size_t *dirty_pages);

#endif
