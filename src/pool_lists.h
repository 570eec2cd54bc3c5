/* pool_lists.h: the lists in which the pool finds what it has.
 *
 * Owns:      the links between records: EMPTY slabs by class and by age, SuperSlabs by how many
 *            ACTIVE slots they have, SuperSlabs without any by age (the LRU).
 * Knows not: states, accounts, when something is listed.
 * Threads:   guarded by hak_pool.lock.
 *
 * Invariants: an EMPTY slab outside the LRU is in the list of its class and in the list by age.
 *             A SuperSlab with 1 to 31 ACTIVE slots is in that bucket, one with none is in the LRU.
 *             Bit i of bucket_bits <=> buckets[i] is not empty.
 */
#ifndef HAK_POOL_LISTS_H
#define HAK_POOL_LISTS_H

#include "superslab.h"

/* EMPTY slots that were cut out of a wider slab, or come from the LRU, belong to no class. */
#define HAK_NO_CLASS HAK_CLASSES

typedef struct {
    hak_slab_t *by_class[HAK_CLASSES + 1]; /* last in, first out */
    size_t counts[HAK_CLASSES + 1];
    hak_slab_t *newest, *oldest;
} hak_empties_t;

void hak_empties_add(hak_empties_t *empties, hak_slab_t *slab);
void hak_empties_remove(hak_empties_t *empties, hak_slab_t *slab);
bool hak_empties_is_valid(const hak_empties_t *empties);

typedef struct {
    hak_superslab_t *buckets[HAK_SLOTS + 1]; /* 1 to 31 are in use */
    uint32_t bucket_bits;
} hak_buckets_t;

/* Both do nothing for a SuperSlab whose slots are all ACTIVE, or none. */
void hak_buckets_add(hak_buckets_t *buckets, hak_superslab_t *ss);
void hak_buckets_remove(hak_buckets_t *buckets, hak_superslab_t *ss);
bool hak_buckets_is_valid(const hak_buckets_t *buckets);

typedef struct {
    hak_superslab_t *newest, *oldest;
    size_t count;
} hak_lru_t;

void hak_lru_add(hak_lru_t *lru, hak_superslab_t *ss);
void hak_lru_remove(hak_lru_t *lru, hak_superslab_t *ss);

#endif
