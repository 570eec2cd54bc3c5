/* run_index.c: see run_index.h.
 *
 * Threads:   see run_index.h.
 *
 * Bins rise with the number of pages. So what fits best is in the bin of the pages wanted, where
 * smaller runs may be, too, or it is the smallest of the next bin that is filled.
 */
#include "run_index.h"

#define PARTS 8U /* of a power of two */
#define PART_BITS 3U

static unsigned bin_of(size_t pages) {
    unsigned shift = 63 - (unsigned)__builtin_clzl(pages | PARTS) - PART_BITS;
    return (unsigned)hak_min(shift * PARTS + (pages >> shift), HAK_RUN_BINS - 1);
}

static uint64_t bit_of(unsigned bin) {
    return (uint64_t)1 << bin;
}

void hak_run_index_insert(hak_run_index_t *index, hak_run_t *run) {
    unsigned bin = bin_of(run->pages);
    hak_run_tree_insert(&index->trees[bin], run);
    index->filled |= bit_of(bin);
}

void hak_run_index_remove(hak_run_index_t *index, hak_run_t *run) {
    unsigned bin = bin_of(run->pages);
    hak_run_tree_remove(&index->trees[bin], run);
    if (index->trees[bin] == NULL) {
        index->filled &= ~bit_of(bin);
    }
}

/* Of the first two bins that are filled, one has it. */
hak_run_t *hak_run_index_find(const hak_run_index_t *index, size_t pages) {
    hak_run_t *run = NULL;
    uint64_t left = index->filled & -bit_of(bin_of(pages));
    for (; left != 0 && run == NULL; left &= left - 1) {
        run = hak_run_tree_find(index->trees[__builtin_ctzll(left)], pages);
    }
    return run;
}

static bool are_of_bin(const hak_run_t *tree, unsigned bin) {
    return tree == NULL || (bin_of(tree->pages) == bin && are_of_bin(tree->left, bin) &&
                            are_of_bin(tree->right, bin));
}

bool hak_run_index_is_valid(const hak_run_index_t *index, size_t *pages, size_t *dirty_pages) {
    bool valid = true;
    for (unsigned bin = 0; bin < HAK_RUN_BINS && valid; bin++) {
        const hak_run_t *tree = index->trees[bin];
        bool filled = (index->filled & bit_of(bin)) != 0;
        valid = filled == (tree != NULL) && are_of_bin(tree, bin) &&
                hak_run_tree_is_valid(tree, pages, dirty_pages);
    }
    return valid;
}
