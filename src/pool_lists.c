/* pool_lists.c: see pool_lists.h.
 *
 * Threads:   guarded by hak_pool.lock.
 */
#include "pool_lists.h"

/* ---- EMPTY slabs ----------------------------------------------------------------------------- */

void hak_empties_add(hak_empties_t *empties, hak_slab_t *slab) {
    unsigned cls = slab->cls;
    slab->prev = NULL;
    slab->next = empties->by_class[cls];
    if (slab->next != NULL) {
        slab->next->prev = slab;
    }
    empties->by_class[cls] = slab;
    empties->counts[cls]++;
    slab->newer = NULL;
    slab->older = empties->newest;
    if (empties->newest != NULL) {
        empties->newest->newer = slab;
    } else {
        empties->oldest = slab;
    }
    empties->newest = slab;
}

void hak_empties_remove(hak_empties_t *empties, hak_slab_t *slab) {
    unsigned cls = slab->cls;
    if (slab->prev != NULL) {
        slab->prev->next = slab->next;
    } else {
        empties->by_class[cls] = slab->next;
    }
    if (slab->next != NULL) {
        slab->next->prev = slab->prev;
    }
    empties->counts[cls]--;
    if (slab->newer != NULL) {
        slab->newer->older = slab->older;
    } else {
        empties->newest = slab->older;
    }
    if (slab->older != NULL) {
        slab->older->newer = slab->newer;
    } else {
        empties->oldest = slab->newer;
    }
    slab->next = slab->prev = slab->older = slab->newer = NULL;
}

bool hak_empties_is_valid(const hak_empties_t *empties) {
    size_t listed = 0;
    size_t aged = 0;
    for (unsigned cls = 0; cls <= HAK_NO_CLASS; cls++) {
        size_t count = 0;
        for (hak_slab_t *slab = empties->by_class[cls]; slab != NULL; slab = slab->next) {
            if (slab->cls != cls || slab->state != HAK_SLOT_EMPTY ||
                hak_slab_superslab(slab)->in_lru) {
                return false;
            }
            count++;
        }
        if (count != empties->counts[cls]) {
            return false;
        }
        listed += count;
    }
    for (hak_slab_t *slab = empties->newest; slab != NULL; slab = slab->older) {
        aged++;
    }
    return listed == aged;
}

/* ---- SuperSlabs by ACTIVE slots -------------------------------------------------------------- */

void hak_buckets_remove(hak_buckets_t *buckets, hak_superslab_t *ss) {
    unsigned count = (unsigned)__builtin_popcount(ss->active);
    if (count == 0 || count == HAK_SLOTS) {
        return;
    }
    if (ss->prev != NULL) {
        ss->prev->next = ss->next;
    } else {
        buckets->buckets[count] = ss->next;
        if (ss->next == NULL) {
            buckets->bucket_bits &= ~((uint32_t)1 << count);
        }
    }
    if (ss->next != NULL) {
        ss->next->prev = ss->prev;
    }
    ss->next = ss->prev = NULL;
}

void hak_buckets_add(hak_buckets_t *buckets, hak_superslab_t *ss) {
    unsigned count = (unsigned)__builtin_popcount(ss->active);
    if (count == 0 || count == HAK_SLOTS) {
        return;
    }
    ss->prev = NULL;
    ss->next = buckets->buckets[count];
    if (ss->next != NULL) {
        ss->next->prev = ss;
    }
    buckets->buckets[count] = ss;
    buckets->bucket_bits |= (uint32_t)1 << count;
}

bool hak_buckets_is_valid(const hak_buckets_t *buckets) {
    for (unsigned count = 1; count < HAK_SLOTS; count++) {
        bool has_bit = (buckets->bucket_bits >> count) & 1;
        if (has_bit != (buckets->buckets[count] != NULL)) {
            return false;
        }
        for (hak_superslab_t *ss = buckets->buckets[count]; ss != NULL; ss = ss->next) {
            if ((unsigned)__builtin_popcount(ss->active) != count || ss->in_lru) {
                return false;
            }
        }
    }
    return true;
}

/* ---- The LRU --------------------------------------------------------------------------------- */

void hak_lru_add(hak_lru_t *lru, hak_superslab_t *ss) {
    ss->in_lru = true;
    ss->prev = NULL;
    ss->next = lru->newest;
    if (ss->next != NULL) {
        ss->next->prev = ss;
    } else {
        lru->oldest = ss;
    }
    lru->newest = ss;
    lru->count++;
}

void hak_lru_remove(hak_lru_t *lru, hak_superslab_t *ss) {
    if (ss->next != NULL) {
        ss->next->prev = ss->prev;
    } else {
        lru->oldest = ss->prev;
    }
    if (ss->prev != NULL) {
        ss->prev->next = ss->next;
    } else {
        lru->newest = ss->next;
    }
    ss->next = ss->prev = NULL;
    ss->in_lru = false;
    lru->count--;
}
