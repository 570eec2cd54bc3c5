/* heap_search.h: where in all heaps a free block is.
 *
 * Owns:      the walk along chains whose owners may be changing them, and the census of all blocks.
 * Knows not: how blocks came where they are.
 * Threads:   any, unless a function says otherwise.
 */
#ifndef HAK_HEAP_SEARCH_H
#define HAK_HEAP_SEARCH_H

#include "heap.h"

/* Whether a stamped block is free indeed: it is looked for in every place where a free block can
 * be. Another thread's hit path may take it from its bin meanwhile; then it is not found, rightly.
 */
bool hak_heap_block_is_free(const void *block, unsigned cls);

/* Calls visit for each block in the bins and reserves of all heaps. The caller holds all locks;
 * what other threads take or give back meanwhile may be visited or not. False when a chain changed
 * under the walk, so that the rest of it was not visited. */
typedef void hak_visit_free_t(const void *block, unsigned cls, void *context);
bool hak_heap_each_bin_block_locked(hak_visit_free_t *visit, void *context);

/* Walks every slab, bin and queue: a block is in exactly one place. For tests; no other thread may
 * be on a hit path meanwhile. Takes the locks. */
bool hak_heap_is_valid(void);

#endif
