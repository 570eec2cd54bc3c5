/* run_tree.h: page runs, and a search tree of the free ones.
 *
 * Owns:      hak_run_t; a treap ordered by (pages, start): the smallest run that is large enough,
 *            of those the lowest address. Links stand in the runs, so nothing is allocated.
 * Knows not: what a run covers or when one is freed.
 * Threads:   guarded by the large tier's lock.
 */
#ifndef HAK_RUN_TREE_H
#define HAK_RUN_TREE_H

#include "base.h"

/* A cache line: the records of neighbours and of the tree are what most calls miss on. */
typedef struct hak_run {
    uintptr_t start;
    size_t pages;
    size_t dirty_pages;            /* free runs: how many may be resident; live runs: 0 */
    struct hak_run *left, *right;  /* free runs: the tree. Spare records: left links them */
    struct hak_run *older, *newer; /* free runs with dirty pages, by age */
    uint32_t since_ms;             /* free runs: when freed, or purged */
    uint16_t slack;                /* live runs: bytes at the end that are watched (run_watch.h) */
    bool live : 1;                 /* in no tree: a block's, or in somebody's hands */
    bool waits : 1;                /* live runs: freed, stamped, no block; see run_free.h */
    bool zero : 1;                 /* free runs: reads as zero throughout. Live: the slack does */
    bool stamped : 1;              /* free runs, and those that wait: the first bytes are watched */
} hak_run_t;

_Static_assert(sizeof(hak_run_t) == HAK_CACHE_LINE, "hak_run_t");

void hak_run_tree_insert(hak_run_t **tree, hak_run_t *run);
void hak_run_tree_remove(hak_run_t **tree, hak_run_t *run);
/* The best fit for so many pages, or NULL. */
hak_run_t *hak_run_tree_find(hak_run_t *tree, size_t pages);
/* Order and heap order hold; adds up pages and dirty pages. */
bool hak_run_tree_is_valid(const hak_run_t *tree, size_t *pages, size_t *dirty_pages);

#endif
