/* run_tree.c: see run_tree.h.
 *
 * Threads:   guarded by the large tier's lock.
 *
 * A treap: a search tree by (pages, start) that is a heap by priority. Priorities are a hash of
 * start, which makes the expected depth logarithmic; recursion is as deep as the tree.
 */
#include "run_tree.h"

static bool before(const hak_run_t *a, const hak_run_t *b) {
    return a->pages != b->pages ? a->pages < b->pages : a->start < b->start;
}

static uint32_t priority(const hak_run_t *run) {
    return (uint32_t)((run->start >> 12) * 0x9E3779B97F4A7C15U >> 32);
}

/* tree -> the runs before key, and the others. */
static void split(hak_run_t *tree, const hak_run_t *key, hak_run_t **low, hak_run_t **high) {
    while (tree != NULL) {
        if (before(tree, key)) {
            *low = tree;
            low = &tree->right;
            tree = tree->right;
        } else {
            *high = tree;
            high = &tree->left;
            tree = tree->left;
        }
    }
    *low = *high = NULL;
}

static hak_run_t *merge(hak_run_t *low, hak_run_t *high) {
    hak_run_t *root = NULL;
    hak_run_t **at = &root;
    while (low != NULL && high != NULL) {
        if (priority(low) > priority(high)) {
            *at = low;
            at = &low->right;
            low = low->right;
        } else {
            *at = high;
            at = &high->left;
            high = high->left;
        }
    }
    *at = low != NULL ? low : high;
    return root;
}

void hak_run_tree_insert(hak_run_t **tree, hak_run_t *run) {
    while (*tree != NULL && priority(*tree) >= priority(run)) {
        tree = before(*tree, run) ? &(*tree)->right : &(*tree)->left;
    }
    split(*tree, run, &run->left, &run->right);
    *tree = run;
}

void hak_run_tree_remove(hak_run_t **tree, hak_run_t *run) {
    while (*tree != run) {
        HAK_ASSERT(*tree != NULL);
        tree = before(*tree, run) ? &(*tree)->right : &(*tree)->left;
    }
    *tree = merge(run->left, run->right);
    run->left = run->right = NULL;
}

hak_run_t *hak_run_tree_find(hak_run_t *tree, size_t pages) {
    hak_run_t *best = NULL;
    while (tree != NULL) {
        if (tree->pages >= pages) {
            best = tree;
            tree = tree->left;
        } else {
            tree = tree->right;
        }
    }
    return best;
}

bool hak_run_tree_is_valid(const hak_run_t *tree, size_t *pages, size_t *dirty_pages) {
    if (tree == NULL) {
        return true;
    }
    const hak_run_t *left = tree->left;
    const hak_run_t *right = tree->right;
    if ((left != NULL && (!before(left, tree) || priority(left) > priority(tree))) ||
        (right != NULL && (!before(tree, right) || priority(right) > priority(tree))) ||
        tree->live || (tree->zero && tree->dirty_pages != 0)) {
        return false;
    }
    *pages += tree->pages;
    *dirty_pages += tree->dirty_pages;
    return hak_run_tree_is_valid(left, pages, dirty_pages) &&
           hak_run_tree_is_valid(right, pages, dirty_pages);
}
