/* pool_return.h: what the pool keeps of memory that nobody uses, and when it goes back.
 *
 * Owns:      the LRU of SuperSlabs without an ACTIVE slot; the order and the bound of giving back.
 * Knows not: how a slot is found (pool.c).
 * Threads:   everything is guarded by hak_pool.lock.
 */
#ifndef HAK_POOL_RETURN_H
#define HAK_POOL_RETURN_H

#include "pool_slots.h"

size_t hak_lru_count(void);
/* No slot of the SuperSlab is ACTIVE any more; it is in no bucket. */
void hak_lru_enter(hak_superslab_t *ss, uint32_t now_ms);
/* It is about to be used; its EMPTY slots are in the lists again, one by one. */
void hak_lru_leave(hak_superslab_t *ss);
/* Unmaps the SuperSlab. Where the system will not unmap (it may need one mapping more than it
 * allows), its memory is purged and the addresses are kept. */
void hak_lru_evict(hak_superslab_t *ss, uint32_t now_ms);

/* False: there is nothing to give back. */
bool hak_pool_give_back_oldest(uint32_t now_ms);
/* After a release. */
void hak_pool_keep_within_bounds(uint32_t now_ms);

#endif
