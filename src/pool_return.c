/* pool_return.c: see pool_return.h.
 *
 * Threads:   see pool_return.h.
 */
#include "pool_return.h"

#include "message.h"
#include "os.h"
#include "stats.h"

/* Aged slabs given back by one release: bounds the lock. */
#define DECAY_STEPS 4
#define PATIENCE_MOST 63U

/* ---- The LRU of SuperSlabs without an ACTIVE slot ------------------------------------------ */

size_t hak_lru_count(void) {
    return hak_pool.lru.count + hak_pool.clean.count;
}

static hak_lru_t *lru_of(const hak_superslab_t *ss) {
    return ss->clean ? &hak_pool.clean : &hak_pool.lru;
}

void hak_lru_enter(hak_superslab_t *ss, uint32_t now_ms) {
    for (unsigned i = 0; i < HAK_SLOTS; i += ss->slabs[i].slots) {
        if (ss->slabs[i].state == HAK_SLOT_EMPTY) {
            hak_empties_remove(&hak_pool.empties, &ss->slabs[i]);
        } else {
            ss->slabs[i].slots = 1;
        }
    }
    ss->since_ms = now_ms;
    ss->clean = hak_superslab_dirty_bytes(ss) == 0;
    hak_lru_add(lru_of(ss), ss);
    if (hak_options.ss_lru_debug) {
        hak_message_trace("[SP_LRU_PUSH] ss=%p count=%zu", (void *)ss->base, hak_lru_count());
    }
}

void hak_lru_leave(hak_superslab_t *ss) {
    hak_lru_remove(lru_of(ss), ss);
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        hak_slab_t *slab = &ss->slabs[i];
        if (slab->state == HAK_SLOT_EMPTY) {
            if (slab->slots > 1) { /* it is cut */
                hak_slots_put_stamps_on(slab);
            }
            slab->slots = 1;
            slab->cls = HAK_NO_CLASS;
            slab->first = (uint8_t)i;
            slab->since_ms = ss->since_ms;
            hak_empties_add(&hak_pool.empties, slab);
        }
    }
    HAK_COUNT(superslabs_from_lru);
    if (hak_options.ss_lru_debug) {
        hak_message_trace("[SP_LRU_POP] ss=%p count=%zu", (void *)ss->base, hak_lru_count());
    }
}

void hak_lru_evict(hak_superslab_t *ss, uint32_t now_ms) {
    char *base = ss->base;
    hak_lru_remove(lru_of(ss), ss);
    HAK_COUNT_N(purged_kib, hak_superslab_dirty_bytes(ss) >> 10);
    hak_slots_forget(ss);
    if (hak_options.ss_lru_debug) {
        hak_message_trace("[SP_LRU_EVICT] ss=%p count=%zu", (void *)base, hak_lru_count());
    }
    if (hak_map_release(base, HAK_SUPERSLAB_BYTES)) {
        ss->mapped = false;
        ss->next = hak_pool.spare_records;
        hak_pool.spare_records = ss;
        hak_pool.superslabs_now--;
        if (hak_retain_is_older(hak_pool.evicted_ms, now_ms)) {
            hak_pool.evicted = 0; /* what came before is forgotten */
        }
        hak_pool.evicted++;
        hak_pool.evicted_ms = now_ms;
        HAK_COUNT(superslabs_returned);
        return;
    }
    hak_pool.patience = (unsigned)hak_min(2 * hak_pool.patience + 1, PATIENCE_MOST);
    HAK_COUNT(purge_calls);
    (void)hak_os.purge(base, HAK_SUPERSLAB_BYTES); /* its tags stay RETURNED, which is true */
    hak_lru_enter(ss, now_ms);
}

/* ---- Giving back --------------------------------------------------------------------------- */

bool hak_pool_give_back_oldest(uint32_t now_ms) {
    if (hak_pool.lru.oldest != NULL) {
        hak_lru_evict(hak_pool.lru.oldest, now_ms);
        return true;
    }
    if (hak_pool.empties.oldest != NULL) {
        hak_slots_purge(hak_pool.empties.oldest, now_ms);
        return true;
    }
    return false;
}

/* Clean ones first: they are only addresses. A system that refuses is asked less and less often,
 * and for another one each time. */
static void keep_few_superslabs(uint32_t now_ms) {
    size_t most = hak_max(hak_options.lru_max, hak_options.prewarm);
    if (hak_pool.waiting > 0) {
        hak_pool.waiting--;
        return;
    }
    while (hak_lru_count() > most) {
        size_t before = hak_lru_count();
        hak_lru_evict(hak_pool.clean.oldest != NULL ? hak_pool.clean.oldest : hak_pool.lru.oldest,
                      now_ms);
        if (hak_lru_count() >= before) {
            hak_pool.waiting = hak_pool.patience;
            return;
        }
        hak_pool.patience = 0;
    }
}

void hak_pool_keep_within_bounds(uint32_t now_ms) {
    while (hak_retain_own_excess(&hak_retain, &hak_pool.share, now_ms) != 0 &&
           hak_pool_give_back_oldest(now_ms)) {
    }
    keep_few_superslabs(now_ms);
    for (int step = 0; step < DECAY_STEPS && hak_pool.empties.oldest != NULL; step++) {
        if (!hak_retain_is_older(hak_pool.empties.oldest->since_ms, now_ms)) {
            break;
        }
        hak_slots_purge(hak_pool.empties.oldest, now_ms);
    }
    hak_superslab_t *ss = hak_pool.lru.oldest;
    if (ss != NULL && hak_retain_is_older(ss->since_ms, now_ms)) {
        hak_lru_evict(ss, now_ms);
    }
}
