/* pool.c: see pool.h.
 *
 * Threads:   static functions expect pool.lock to be held, unless they say otherwise.
 */
#include "pool.h"

#include "freelist.h"
#include "message.h"
#include "os.h"
#include "pool_lists.h"
#include "stats.h"

/* SuperSlabs looked at for a run of slots before a fresh one is preferred: bounds the lock. */
#define RUN_TRIES 32
/* Aged slabs given back by one release: bounds the lock. */
#define DECAY_STEPS 4
#define PATIENCE_MOST 63U
/* Blocks of a slab that is released whose stamps are taken off: each costs a line of memory. */
#define BARE_MOST 64U

static struct {
    hak_lock_t lock;
    hak_buckets_t partly;  /* SuperSlabs of which some slots are ACTIVE */
    hak_empties_t empties; /* EMPTY slabs of those */
    hak_lru_t lru;         /* SuperSlabs without an ACTIVE slot, of which some memory is kept */
    hak_lru_t clean;       /* and those of which none is: mapped ahead, or not unmapped */
    hak_superslab_t *all;
    hak_superslab_t *spare_records;
    hak_share_t share;
    size_t evicted; /* SuperSlabs unmapped and not mapped again since evicted_ms */
    uint32_t evicted_ms;
    unsigned patience; /* releases to wait after the system has refused to unmap once more, */
    unsigned waiting;  /* and how many are left */
    size_t superslabs_now, superslabs_peak;
    size_t slots_empty;
} pool;

static size_t dirty_bytes(const hak_slab_t *slab) {
    size_t pages = 0;
    for (unsigned i = 0; i < slab->slots; i++) {
        pages += slab[i].dirty_pages;
    }
    return pages * HAK_DIRTY_PAGE_BYTES;
}

/* ---- SuperSlab records -------------------------------------------------------------------- */

static hak_superslab_t *take_record(void) {
    hak_superslab_t *ss = pool.spare_records;
    if (ss != NULL) {
        pool.spare_records = ss->next;
        ss->next = NULL;
        return ss;
    }
    ss = hak_meta_alloc(sizeof *ss, HAK_CACHE_LINE);
    if (ss != NULL) {
        ss->all_next = pool.all;
        pool.all = ss;
    }
    return ss;
}

static void advise_huge_pages(hak_superslab_t *ss, bool grown) {
    ss->huge = hak_options.thp == 1 || (hak_options.thp == 2 && grown);
    ss->whole = ss->huge;
    if (ss->huge) {
        HAK_COUNT(huge_page_calls);
        hak_os.huge_pages(ss->base, HAK_SUPERSLAB_BYTES, HAK_HUGE_PLEASE);
    } else if (hak_map.huge_by_default) {
        HAK_COUNT(huge_page_calls);
        hak_os.huge_pages(ss->base, HAK_SUPERSLAB_BYTES, HAK_HUGE_NEVER);
    }
}

/* A part of the SuperSlab goes back: or the kernel, which makes huge pages of what is still touched
 * in its own time, would bring it back, filled with zeros, while the program sleeps. */
static void decline_huge_pages(hak_superslab_t *ss) {
    if (ss->huge && hak_options.thp == 2) {
        ss->huge = false;
        HAK_COUNT(huge_page_calls);
        hak_os.huge_pages(ss->base, HAK_SUPERSLAB_BYTES, HAK_HUGE_NEVER);
    }
}

static hak_superslab_t *map_superslab(bool grown) {
    hak_superslab_t *ss = take_record();
    if (ss == NULL) {
        return NULL;
    }
    ss->base = hak_map_claim(HAK_SUPERSLAB_BYTES, HAK_SUPERSLAB_BYTES, HAK_AREA_SUPERSLAB);
    if (ss->base == NULL) {
        ss->next = pool.spare_records;
        pool.spare_records = ss;
        return NULL;
    }
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        ss->slabs[i].index = (uint8_t)i;
        ss->slabs[i].state = HAK_SLOT_UNUSED;
        ss->slabs[i].dirty_pages = 0;
        ss->slabs[i].purged = false;
    }
    ss->active = ss->empty = 0;
    ss->mapped = true;
    ss->sealed = false;
    advise_huge_pages(ss, grown);
    hak_map_set_tags(ss->base, HAK_SLOTS, HAK_TAG_UNUSED);
    hak_map_set_record(ss->base, ss);
    pool.superslabs_now++;
    pool.superslabs_peak = hak_max(pool.superslabs_peak, pool.superslabs_now);
    HAK_COUNT(superslabs_mapped);
    return ss;
}

/* ---- Slots: the only functions that change a state ---------------------------------------- */

static uint32_t slot_mask(unsigned first, unsigned count) {
    return ((count < 32 ? (uint32_t)1 << count : 0) - 1) << first;
}

/* The slab is EMPTY, and its first blocks, which are all of a class of wide ones, lose their
 * stamps. For malloc may have one of them in hand: it read the head of its bin, and a signal
 * handler that allocates has come in between and emptied the slab. Without the stamp malloc finds
 * out; with it, the block would be handed out in memory of no slab. The tag is set before, which is
 * what the fence is for: so who frees one of them again, and looks at the tag first and at the
 * stamp later, finds the one or the other. (In the order of the program, as x86 loads: on other
 * machines such a free, of two threads at once, may be missed.) */
static void take_stamps_off(hak_slab_t *slab) {
    hak_fence_release();
    slab->bare_cls = slab->cls;
    slab->bare = (uint8_t)hak_min(hak_load_relaxed(&slab->carved), BARE_MOST);
    for (size_t i = 0; i < slab->bare; i++) {
        hak_block_mark(hak_slab_base(slab) + i * hak_class_stride(slab->cls), 0);
    }
}

/* The slab is about to be EMPTY no more; its pages are what they were. So a second free of one of
 * its blocks is found out as any other, until the block is carved anew. */
static void put_stamps_on(hak_slab_t *slab) {
    for (size_t i = 0; i < slab->bare; i++) {
        hak_block_set_stamp(hak_slab_base(slab) + i * hak_class_stride(slab->bare_cls));
    }
    slab->bare = 0;
}

/* Cuts an EMPTY slab of several slots into EMPTY slots of one. */
static void cut_empty(hak_slab_t *slab) {
    unsigned count = slab->slots;
    hak_empties_remove(&pool.empties, slab);
    for (unsigned i = 0; i < count; i++) {
        slab[i].slots = 1;
        slab[i].cls = HAK_NO_CLASS;
        slab[i].first = slab[i].index;
        slab[i].since_ms = slab->since_ms;
        hak_empties_add(&pool.empties, &slab[i]);
    }
}

/* EMPTY or UNUSED -> on the way to ACTIVE: off all lists and accounts. */
static void claim_slot(hak_superslab_t *ss, unsigned index, uint32_t now_ms) {
    hak_slab_t *slab = &ss->slabs[index];
    HAK_ASSERT(slab->state != HAK_SLOT_ACTIVE);
    if (slab->state == HAK_SLOT_UNUSED) {
        if (slab->purged) {
            hak_retain_wanted_back(&hak_retain, HAK_SLOT_BYTES, slab->since_ms, now_ms);
        }
        return;
    }
    hak_slab_t *head = &ss->slabs[slab->first];
    put_stamps_on(head);
    if (head->slots > 1) {
        cut_empty(head);
    }
    hak_empties_remove(&pool.empties, slab);
    hak_retain_sub_kept(&pool.share, dirty_bytes(slab));
    pool.slots_empty--;
    ss->empty &= ~((uint32_t)1 << index);
    slab->state = HAK_SLOT_UNUSED;
}

static hak_slab_t *activate(hak_superslab_t *ss, unsigned first, unsigned cls) {
    unsigned count = hak_class_info[cls].slots;
    hak_slab_t *slab = &ss->slabs[first];
    hak_buckets_remove(&pool.partly, ss);
    ss->active |= slot_mask(first, count);
    hak_buckets_add(&pool.partly, ss);
    for (unsigned i = 0; i < count; i++) {
        slab[i].bare = 0;
        slab[i].state = HAK_SLOT_ACTIVE;
        slab[i].first = (uint8_t)first;
        if (ss->huge || (ss->whole && !slab[i].purged)) { /* the first touch made all resident */
            slab[i].dirty_pages = HAK_SLOT_DIRTY_PAGES;
        }
        slab[i].purged = false;
    }
    slab->cls = (uint8_t)cls;
    slab->slots = (uint8_t)count;
    slab->free = slab->tail = NULL;
    slab->next = slab->prev = NULL;
    slab->free_count = 0;
    slab->listed = false;
    hak_store_relaxed(&slab->carved, 0);
    hak_store_relaxed(&slab->remote, 0);
    hak_retain_add_live(&pool.share, count * HAK_SLOT_BYTES);
    hak_map_set_tags(hak_slab_base(slab), count, hak_tag_of_class(cls));
    return slab;
}

/* What was carved may be resident, and what was already. */
static void note_dirty(hak_slab_t *slab) {
    size_t carved = hak_load_relaxed(&slab->carved) * hak_class_stride(slab->cls);
    for (unsigned i = 0; i < slab->slots; i++) {
        size_t here = hak_min(carved, HAK_SLOT_BYTES);
        size_t pages = hak_round_up(here, HAK_DIRTY_PAGE_BYTES) / HAK_DIRTY_PAGE_BYTES;
        slab[i].dirty_pages = (uint8_t)hak_max(slab[i].dirty_pages, pages);
        carved -= here;
    }
}

/* ACTIVE -> EMPTY. */
static void deactivate(hak_slab_t *slab, uint32_t now_ms) {
    hak_superslab_t *ss = hak_slab_superslab(slab);
    uint32_t mask = slot_mask(slab->index, slab->slots);
    HAK_ASSERT((ss->active & mask) == mask);
    note_dirty(slab);
    hak_buckets_remove(&pool.partly, ss);
    ss->active &= ~mask;
    ss->empty |= mask;
    hak_buckets_add(&pool.partly, ss);
    for (unsigned i = 0; i < slab->slots; i++) {
        slab[i].state = HAK_SLOT_EMPTY;
    }
    slab->since_ms = now_ms;
    hak_store_relaxed(&slab->owner, NULL);
    pool.slots_empty += slab->slots;
    hak_retain_sub_live(&pool.share, slab->slots * HAK_SLOT_BYTES);
    hak_retain_add_kept(&pool.share, dirty_bytes(slab));
    hak_map_set_tags(hak_slab_base(slab), slab->slots, HAK_TAG_EMPTY);
    take_stamps_off(slab);
    hak_empties_add(&pool.empties, slab);
}

/* EMPTY -> UNUSED: the memory goes back. Where the system refuses (locked memory) the slot still
 * becomes UNUSED, so that it is not tried for ever; nobody relies on its being zero. */
static void purge_empty(hak_slab_t *slab, uint32_t now_ms) {
    hak_superslab_t *ss = hak_slab_superslab(slab);
    size_t bytes = dirty_bytes(slab);
    hak_empties_remove(&pool.empties, slab);
    if (bytes != 0) {
        size_t span = slab->slots > 1 ? slab->slots * HAK_SLOT_BYTES : bytes;
        decline_huge_pages(ss);
        HAK_COUNT(purge_calls);
        if (hak_os.purge(hak_slab_base(slab), hak_round_up(span, hak_map.page_bytes))) {
            HAK_COUNT_N(purged_kib, bytes >> 10);
        } else {
            HAK_COUNT(purge_failures);
        }
    }
    hak_retain_sub_kept(&pool.share, bytes);
    pool.slots_empty -= slab->slots;
    ss->empty &= ~slot_mask(slab->index, slab->slots);
    hak_map_set_tags(hak_slab_base(slab), slab->slots, HAK_TAG_RETURNED);
    for (unsigned i = 0; i < slab->slots; i++) {
        slab[i].state = HAK_SLOT_UNUSED;
        slab[i].dirty_pages = 0;
        slab[i].purged = true;
        slab[i].since_ms = now_ms;
    }
}

/* ---- The LRU of SuperSlabs without an ACTIVE slot ------------------------------------------ */

static size_t superslab_dirty_bytes(const hak_superslab_t *ss) {
    size_t bytes = 0;
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        bytes += (size_t)ss->slabs[i].dirty_pages * HAK_DIRTY_PAGE_BYTES;
    }
    return bytes;
}

static size_t lru_count(void) {
    return pool.lru.count + pool.clean.count;
}

static hak_lru_t *lru_of(const hak_superslab_t *ss) {
    return ss->clean ? &pool.clean : &pool.lru;
}

static void lru_enter(hak_superslab_t *ss, uint32_t now_ms) {
    for (unsigned i = 0; i < HAK_SLOTS; i += ss->slabs[i].slots) {
        if (ss->slabs[i].state == HAK_SLOT_EMPTY) {
            hak_empties_remove(&pool.empties, &ss->slabs[i]);
        } else {
            ss->slabs[i].slots = 1;
        }
    }
    ss->since_ms = now_ms;
    ss->clean = superslab_dirty_bytes(ss) == 0;
    hak_lru_add(lru_of(ss), ss);
    if (hak_options.ss_lru_debug) {
        hak_message_trace("[SP_LRU_PUSH] ss=%p count=%zu", (void *)ss->base, lru_count());
    }
}

static void lru_leave(hak_superslab_t *ss) {
    hak_lru_remove(lru_of(ss), ss);
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        hak_slab_t *slab = &ss->slabs[i];
        if (slab->state == HAK_SLOT_EMPTY) {
            if (slab->slots > 1) { /* it is cut */
                put_stamps_on(slab);
            }
            slab->slots = 1;
            slab->cls = HAK_NO_CLASS;
            slab->first = (uint8_t)i;
            slab->since_ms = ss->since_ms;
            hak_empties_add(&pool.empties, slab);
        }
    }
    HAK_COUNT(superslabs_from_lru);
    if (hak_options.ss_lru_debug) {
        hak_message_trace("[SP_LRU_POP] ss=%p count=%zu", (void *)ss->base, lru_count());
    }
}

static void forget_dirt(hak_superslab_t *ss) {
    hak_retain_sub_kept(&pool.share, superslab_dirty_bytes(ss));
    pool.slots_empty -= (size_t)__builtin_popcount(ss->empty);
    ss->empty = 0;
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        ss->slabs[i].state = HAK_SLOT_UNUSED;
        ss->slabs[i].dirty_pages = 0;
    }
}

/* Unmaps the SuperSlab that has been empty for longest. Where the system will not unmap (it may
 * need one mapping more than it allows), its memory is purged and the addresses are kept. */
static void lru_evict(hak_superslab_t *ss, uint32_t now_ms) {
    char *base = ss->base;
    hak_lru_remove(lru_of(ss), ss);
    HAK_COUNT_N(purged_kib, superslab_dirty_bytes(ss) >> 10);
    forget_dirt(ss);
    if (hak_options.ss_lru_debug) {
        hak_message_trace("[SP_LRU_EVICT] ss=%p count=%zu", (void *)base, lru_count());
    }
    if (hak_map_release(base, HAK_SUPERSLAB_BYTES)) {
        ss->mapped = false;
        ss->next = pool.spare_records;
        pool.spare_records = ss;
        pool.superslabs_now--;
        if (hak_retain_is_older(pool.evicted_ms, now_ms)) {
            pool.evicted = 0; /* what came before is forgotten */
        }
        pool.evicted++;
        pool.evicted_ms = now_ms;
        HAK_COUNT(superslabs_returned);
        return;
    }
    pool.patience = (unsigned)hak_min(2 * pool.patience + 1, PATIENCE_MOST);
    HAK_COUNT(purge_calls);
    (void)hak_os.purge(base, HAK_SUPERSLAB_BYTES); /* its tags stay RETURNED, which is true */
    lru_enter(ss, now_ms);
}

/* ---- Giving back --------------------------------------------------------------------------- */

static bool give_back_oldest(uint32_t now_ms) {
    if (pool.lru.oldest != NULL) {
        lru_evict(pool.lru.oldest, now_ms);
        return true;
    }
    if (pool.empties.oldest != NULL) {
        purge_empty(pool.empties.oldest, now_ms);
        return true;
    }
    return false;
}

/* Clean ones first: they are only addresses. A system that refuses is asked less and less often,
 * and for another one each time. */
static void keep_few_superslabs(uint32_t now_ms) {
    size_t most = hak_max(hak_options.lru_max, hak_options.prewarm);
    if (pool.waiting > 0) {
        pool.waiting--;
        return;
    }
    while (lru_count() > most) {
        size_t before = lru_count();
        lru_evict(pool.clean.oldest != NULL ? pool.clean.oldest : pool.lru.oldest, now_ms);
        if (lru_count() >= before) {
            pool.waiting = pool.patience;
            return;
        }
        pool.patience = 0;
    }
}

static void keep_within_bounds(uint32_t now_ms) {
    while (hak_retain_own_excess(&hak_retain, &pool.share, now_ms) != 0 &&
           give_back_oldest(now_ms)) {
    }
    keep_few_superslabs(now_ms);
    for (int step = 0; step < DECAY_STEPS && pool.empties.oldest != NULL; step++) {
        if (!hak_retain_is_older(pool.empties.oldest->since_ms, now_ms)) {
            break;
        }
        purge_empty(pool.empties.oldest, now_ms);
    }
    hak_superslab_t *ss = pool.lru.oldest;
    if (ss != NULL && hak_retain_is_older(ss->since_ms, now_ms)) {
        lru_evict(ss, now_ms);
    }
}

/* ---- Acquire and release -------------------------------------------------------------------- */

/* The lowest naturally aligned run of count bits in bits, or -1. */
static int find_run(uint32_t bits, unsigned count) {
    switch (count) {
    case 1:
        break;
    case 2:
        bits = bits & (bits >> 1) & 0x55555555U;
        break;
    default:
        bits = bits & (bits >> 1);
        bits = bits & (bits >> 2) & 0x11111111U;
        break;
    }
    return bits == 0 ? -1 : __builtin_ctz(bits);
}

static hak_slab_t *take_slots(hak_superslab_t *ss, int first, unsigned cls, uint32_t now_ms) {
    for (unsigned i = 0; i < hak_class_info[cls].slots; i++) {
        claim_slot(ss, (unsigned)first + i, now_ms);
    }
    return activate(ss, (unsigned)first, cls);
}

static hak_slab_t *acquire_stage1(unsigned cls) {
    hak_slab_t *slab = pool.empties.by_class[cls];
    if (slab == NULL) {
        return NULL;
    }
    hak_superslab_t *ss = hak_slab_superslab(slab);
    hak_empties_remove(&pool.empties, slab);
    hak_retain_sub_kept(&pool.share, dirty_bytes(slab));
    pool.slots_empty -= slab->slots;
    ss->empty &= ~slot_mask(slab->index, slab->slots);
    HAK_COUNT(stage1);
    put_stamps_on(slab);
    if (hak_options.ss_acquire_debug) {
        hak_message_trace("[SP_ACQUIRE_STAGE1] class=%u reusing EMPTY slot (ss=%p slab=%u)", cls,
                          (void *)ss->base, slab->index);
    }
    return activate(ss, slab->index, cls);
}

static void trace_stage2(const hak_superslab_t *ss, int first, unsigned cls) {
    if (hak_options.ss_acquire_debug) {
        hak_message_trace("[SP_ACQUIRE_STAGE2] class=%u using %s slot (ss=%p slab=%d)", cls,
                          (ss->empty >> first) & 1 ? "EMPTY" : "UNUSED", (void *)ss->base, first);
    }
}

typedef enum { ONLY_EMPTY, ONLY_UNUSED, EMPTY_OR_UNUSED } which_slots_t;

static uint32_t slots_of(const hak_superslab_t *ss, which_slots_t which) {
    uint32_t unused = ~(ss->active | ss->empty);
    return which == ONLY_EMPTY ? ss->empty : which == ONLY_UNUSED ? unused : unused | ss->empty;
}

/* The fullest SuperSlab with room. */
static hak_slab_t *acquire_stage2(unsigned cls, which_slots_t which, int tries_max,
                                  uint32_t now_ms) {
    unsigned count = hak_class_info[cls].slots;
    int tries = 0;
    for (uint32_t bits = pool.partly.bucket_bits; bits != 0;) {
        unsigned fullest = 31 - (unsigned)__builtin_clz(bits);
        bits &= ~((uint32_t)1 << fullest);
        for (hak_superslab_t *ss = pool.partly.buckets[fullest]; ss != NULL; ss = ss->next) {
            int first = find_run(slots_of(ss, which), count);
            if (first >= 0) {
                HAK_COUNT(stage2);
                trace_stage2(ss, first, cls);
                return take_slots(ss, first, cls, now_ms);
            }
            if (++tries == tries_max) {
                return NULL;
            }
        }
    }
    return NULL;
}

static hak_slab_t *acquire_stage3(unsigned cls, hak_superslab_t *ss, bool from_lru,
                                  uint32_t now_ms) {
    HAK_COUNT(stage3);
    if (hak_options.ss_acquire_debug) {
        hak_message_trace("[SP_ACQUIRE_STAGE3] class=%u new SuperSlab (ss=%p from_lru=%d)", cls,
                          (void *)ss->base, from_lru);
    }
    unsigned count = hak_class_info[cls].slots;
    int first = find_run(ss->empty, count);
    return take_slots(ss, first >= 0 ? first : find_run(~ss->active, count), cls, now_ms);
}

static hak_slab_t *acquire_from_lru(unsigned cls, bool only_dirty, uint32_t now_ms) {
    hak_superslab_t *ss = pool.lru.newest;
    if (ss == NULL && !only_dirty) {
        ss = pool.clean.newest;
    }
    if (ss == NULL) {
        return NULL;
    }
    lru_leave(ss);
    return acquire_stage3(cls, ss, true, now_ms);
}

static hak_slab_t *acquire_from_system(unsigned cls, bool grown, uint32_t now_ms) {
    hak_superslab_t *ss = map_superslab(grown);
    if (ss == NULL) {
        return NULL;
    }
    if (pool.evicted != 0) {
        pool.evicted--;
        hak_retain_wanted_back(&hak_retain, HAK_SUPERSLAB_BYTES, pool.evicted_ms, now_ms);
    }
    return acquire_stage3(cls, ss, false, now_ms);
}

/* Memory that is resident comes first, wherever it is: it costs no page fault and no memory. */
static hak_slab_t *acquire_resident(unsigned cls, uint32_t now_ms) {
    hak_slab_t *slab = acquire_stage1(cls);
    if (slab == NULL && pool.empties.newest != NULL) {
        slab = acquire_stage2(cls, ONLY_EMPTY, RUN_TRIES, now_ms);
    }
    return slab != NULL ? slab : acquire_from_lru(cls, true, now_ms);
}

static hak_slab_t *acquire_any(unsigned cls, bool grown, uint32_t now_ms) {
    hak_slab_t *slab = acquire_stage2(cls, EMPTY_OR_UNUSED, RUN_TRIES, now_ms);
    if (slab == NULL) {
        slab = acquire_from_lru(cls, false, now_ms);
    }
    if (slab == NULL) {
        slab = acquire_from_system(cls, grown, now_ms);
    }
    if (slab == NULL) { /* no memory: now the search may take as long as it takes */
        slab = acquire_stage2(cls, EMPTY_OR_UNUSED, INT32_MAX, now_ms);
    }
    return slab;
}

hak_slab_t *hak_pool_acquire_resident(unsigned cls) {
    hak_lock(&pool.lock);
    hak_slab_t *slab = acquire_resident(cls, hak_os.now_ms());
    hak_unlock(&pool.lock);
    return slab;
}

hak_slab_t *hak_pool_acquire_sparse(unsigned cls) {
    hak_lock(&pool.lock);
    uint32_t now_ms = hak_os.now_ms();
    hak_slab_t *slab = acquire_stage1(cls);
    if (slab == NULL) {
        slab = acquire_stage2(cls, ONLY_UNUSED, RUN_TRIES, now_ms);
    }
    hak_unlock(&pool.lock);
    return slab;
}

hak_slab_t *hak_pool_acquire(unsigned cls, bool grown) {
    HAK_ASSERT_EXPENSIVE(hak_pool_is_valid());
    hak_lock(&pool.lock);
    uint32_t now_ms = hak_os.now_ms();
    hak_slab_t *slab = acquire_resident(cls, now_ms);
    if (slab == NULL) {
        slab = acquire_any(cls, grown, now_ms);
    }
    hak_unlock(&pool.lock);
    return slab;
}

void hak_pool_release(hak_slab_t *slab) {
    HAK_ASSERT(slab->free_count == hak_load_relaxed(&slab->carved));
    HAK_ASSERT(!slab->listed && hak_load_relaxed(&slab->remote) == 0);
    hak_lock(&pool.lock);
    hak_superslab_t *ss = hak_slab_superslab(slab);
    uint32_t now_ms = hak_os.now_ms();
    HAK_COUNT(released_slabs);
    deactivate(slab, now_ms);
    if (hak_options.ss_free_debug) {
        hak_message_trace("[SP_SLOT_RELEASE] ss=%p slab_idx=%u class=%u used=0 (marking EMPTY)",
                          (void *)ss->base, slab->index, slab->cls);
        hak_message_trace("[SP_SLOT_FREELIST] class=%u pushed slot count=%zu active_slots=%d/%d",
                          slab->cls, pool.empties.counts[slab->cls], __builtin_popcount(ss->active),
                          HAK_SLOTS);
    }
    if (ss->active == 0) {
        lru_enter(ss, now_ms);
    }
    keep_within_bounds(now_ms);
    hak_unlock(&pool.lock);
    HAK_ASSERT_EXPENSIVE(hak_pool_is_valid());
}

void hak_pool_shed(size_t bytes) {
    hak_lock(&pool.lock);
    uint32_t now_ms = hak_os.now_ms();
    size_t keep = pool.share.retained_bytes - hak_min(bytes, pool.share.retained_bytes);
    while (pool.share.retained_bytes > keep && give_back_oldest(now_ms)) {
    }
    hak_unlock(&pool.lock);
}

void hak_pool_keep_bound(void) {
    size_t excess = hak_retain_excess(&hak_retain, hak_os.now_ms());
    if (HAK_UNLIKELY(excess != 0)) {
        hak_pool_shed(excess);
    }
}

void hak_pool_prewarm(size_t count) {
    hak_lock(&pool.lock);
    uint32_t now_ms = hak_os.now_ms();
    for (size_t i = 0; i < count; i++) {
        hak_superslab_t *ss = map_superslab(false);
        if (ss == NULL) {
            break;
        }
        lru_enter(ss, now_ms);
    }
    hak_unlock(&pool.lock);
}

bool hak_pool_trim(void) {
    hak_lock(&pool.lock);
    uint32_t now_ms = hak_os.now_ms();
    size_t before = pool.share.retained_bytes + lru_count() * HAK_SUPERSLAB_BYTES;
    for (size_t left = lru_count(); left > 0; left--) {
        lru_evict(pool.lru.oldest != NULL ? pool.lru.oldest : pool.clean.oldest, now_ms);
    }
    while (pool.empties.oldest != NULL) {
        purge_empty(pool.empties.oldest, now_ms);
    }
    bool gave = pool.share.retained_bytes + lru_count() * HAK_SUPERSLAB_BYTES < before;
    hak_unlock(&pool.lock);
    return gave;
}

void hak_pool_gauges(hak_pool_gauges_t *out) {
    hak_lock(&pool.lock);
    size_t active = pool.share.live_bytes / HAK_SLOT_BYTES;
    *out = (hak_pool_gauges_t){
        .superslabs_now = pool.superslabs_now,
        .superslabs_peak = pool.superslabs_peak,
        .superslabs_in_lru = lru_count(),
        .slots_active = active,
        .slots_empty = pool.slots_empty,
        .slots_unused = pool.superslabs_now * HAK_SLOTS - active - pool.slots_empty,
        .retained_bytes = pool.share.retained_bytes,
        .bound_bytes = hak_retain_bound(&hak_retain),
    };
    hak_unlock(&pool.lock);
}

hak_superslab_t *hak_pool_next_superslab(const hak_superslab_t *after) {
    hak_superslab_t *ss = after != NULL ? after->all_next : pool.all;
    while (ss != NULL && !ss->mapped) {
        ss = ss->all_next;
    }
    return ss;
}

void hak_pool_each_slab(void (*visit)(hak_slab_t *slab, void *context), void *context) {
    hak_superslab_t *ss = NULL;
    while ((ss = hak_pool_next_superslab(ss)) != NULL) {
        for (unsigned i = 0; i < HAK_SLOTS; i++) {
            hak_slab_t *slab = &ss->slabs[i];
            if (slab->state == HAK_SLOT_ACTIVE && slab->first == i) {
                visit(slab, context);
            }
        }
    }
}

void hak_pool_lock(void) {
    hak_lock(&pool.lock);
}

bool hak_pool_try_lock(void) {
    return hak_lock_try(&pool.lock);
}

void hak_pool_unlock(void) {
    hak_unlock(&pool.lock);
}

hak_lock_t *hak_pool_own_lock(void) {
    return &pool.lock;
}

/* ---- Validity -------------------------------------------------------------------------------- */

static bool superslab_is_valid(const hak_superslab_t *ss, size_t *retained, size_t *active) {
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        const hak_slab_t *slab = &ss->slabs[i];
        bool is_active = (ss->active >> i) & 1;
        bool is_empty = (ss->empty >> i) & 1;
        if (slab->index != i || is_active != (slab->state == HAK_SLOT_ACTIVE) ||
            is_empty != (slab->state == HAK_SLOT_EMPTY)) {
            return false;
        }
        uint8_t tag = hak_map_tag(ss->base + i * HAK_SLOT_BYTES);
        if (hak_tag_is_class(tag) != is_active || (is_empty && tag != HAK_TAG_EMPTY)) {
            return false;
        }
        *active += is_active;
        *retained += is_empty ? (size_t)slab->dirty_pages * HAK_DIRTY_PAGE_BYTES : 0;
    }
    return hak_map_record(ss->base) == ss;
}

bool hak_pool_is_valid(void) {
    hak_lock(&pool.lock);
    size_t retained = 0;
    size_t active = 0;
    size_t superslabs = 0;
    bool valid = hak_empties_is_valid(&pool.empties) && hak_buckets_is_valid(&pool.partly);
    for (hak_superslab_t *ss = pool.all; ss != NULL && valid; ss = ss->all_next) {
        if (ss->mapped) {
            superslabs++;
            valid = superslab_is_valid(ss, &retained, &active) && (ss->active == 0) == ss->in_lru;
        }
    }
    valid = valid && retained == pool.share.retained_bytes &&
            active * HAK_SLOT_BYTES == pool.share.live_bytes && superslabs == pool.superslabs_now;
    hak_unlock(&pool.lock);
    return valid;
}
