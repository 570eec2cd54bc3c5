/* run_pages.h: which pages of free runs may be resident, and where mappings begin.
 *
 * Owns:      two bits for each page of the address window.
 * Knows not: runs: of a page in use the first bit says nothing.
 * Threads:   every function expects the large tier's lock to be held.
 *
 * Pages that were moved to other addresses are a mapping of their own for good, and no range across
 * two mappings can be moved (before Linux 6.17). So where one may begin is remembered.
 */
#ifndef HAK_RUN_PAGES_H
#define HAK_RUN_PAGES_H

#include "run_table.h"

/* False without memory; may be called again. */
bool hak_pages_init(void);
/* A range that was just mapped, nothing of it resident; it becomes one mapping with what is before
 * it, unless that was moved. Before any other call for it. False without memory for its bits. */
bool hak_pages_add(uintptr_t start, size_t pages);
/* The part of that for which there may be no memory, for a range of any kind, or of none. */
bool hak_pages_reach(uintptr_t start, size_t pages);
/* A range that was unmapped. */
void hak_pages_drop(uintptr_t start, size_t pages);
void hak_pages_set(uintptr_t start, size_t pages, bool resident);
/* How many of them may be resident. */
size_t hak_pages_count(uintptr_t start, size_t pages);
/* The first page from at on that may be resident, or is not; end if there is none before. */
uintptr_t hak_pages_next(uintptr_t at, uintptr_t end, bool resident);

/* Pages were moved here. */
void hak_pages_note_moved(uintptr_t start, size_t pages);
/* The end of the mapping that at lies in, but no more than end. */
uintptr_t hak_pages_mapping_end(uintptr_t at, uintptr_t end);
/* In how many places moved ones begin or end. */
size_t hak_pages_mappings(void);

#endif
