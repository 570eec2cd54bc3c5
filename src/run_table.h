/* run_table.h: the page runs of the large tier: their records, and which run is at an address.
 *
 * Owns:      the records; for each unit (2 MiB of the window) that holds a run's first or last
 * page, an entry for each of its pages. Knows not: which runs are free, and what for. Threads:
 * every function expects the large tier's lock to be held.
 *
 * Invariant: the entries of a run's first and last page lead to it; what the others say holds only
 * if the run that they lead to says the same.
 */
#ifndef HAK_RUN_TABLE_H
#define HAK_RUN_TABLE_H

#include "address_map.h"
#include "run_tree.h"

/* 0 before hak_run_table_init(). */
extern HAK_HIDDEN unsigned hak_page_shift;

HAK_INLINE size_t hak_page_bytes(void) {
    return (size_t)1 << hak_page_shift;
}

HAK_INLINE size_t hak_pages_of(size_t bytes) {
    return (bytes >> hak_page_shift) + ((bytes & (hak_page_bytes() - 1)) != 0);
}

HAK_INLINE size_t hak_run_bytes(const hak_run_t *run) {
    return run->pages << hak_page_shift;
}

HAK_INLINE uintptr_t hak_run_end(const hak_run_t *run) {
    return run->start + hak_run_bytes(run);
}

HAK_INLINE bool hak_run_is_at(uintptr_t address) {
    return hak_map_tag((void *)address) == HAK_TAG_LARGE;
}

/* May be called again. */
void hak_run_table_init(void);
/* All zero; NULL without memory. */
hak_run_t *hak_run_new(void);
void hak_run_drop(hak_run_t *run);
/* Makes sure that the page's entry can be written later on; boundaries need theirs. False without
 * memory. */
bool hak_run_prepare_entry(uintptr_t address);
/* Makes sure that the next record, and the entries of so many units (1 or 2), need no memory. */
bool hak_run_reserve(unsigned units);
void hak_run_set_entries(hak_run_t *run);
/* Takes away the entries of the units, for other units to use. */
void hak_run_detach_entries(uintptr_t from, uintptr_t to);
/* NULL if there is none. */
hak_run_t *hak_run_starting_at(uintptr_t address);
hak_run_t *hak_run_ending_at(uintptr_t address);
/* Looks back page by page; only for reports. */
hak_run_t *hak_run_covering(uintptr_t address);

#endif
