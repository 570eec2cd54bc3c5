/* heap.c: see heap.h.
 *
 * Threads:   functions named _locked expect heap->lock to be held.
 */
#include "heap.h"

#include <pthread.h>

#include "message.h"
#include "options.h"
#include "os.h"
#include "pool.h"
#include "remote_queue.h"
#include "stats.h"

/* Blocks of one drain are gathered by slab in this many places at a time. */
#define GROUPS 16
/* A refill goes on to further slabs, up to this many, while it has less than half of its wish. */
#define REFILL_SLABS 4
/* So many drains without a refill in between say that the bin is too wide. Waves that a bin can
 * hold at all come to fewer before it has grown enough. */
#define DRAINS_TO_SHRINK 16
/* So many blocks in a bin are not worth a look. */
#define SHORT_CHAIN 4
/* Orphans looked at by one adoption: bounds the work. */
#define ADOPT_TRIES 4

_Thread_local hak_heap_t *hak_tls_heap __attribute__((tls_model("initial-exec"))) = &hak_heap_none;

/* For every size an empty bin; any will do. */
static hak_bin_t no_bin;
#define NO_BIN_8 &no_bin, &no_bin, &no_bin, &no_bin, &no_bin, &no_bin, &no_bin, &no_bin
#define NO_BIN_32 NO_BIN_8, NO_BIN_8, NO_BIN_8, NO_BIN_8
#define NO_BINS .tiny_bins = {NO_BIN_32, NO_BIN_32, &no_bin}
_Static_assert(HAK_TINY_MAX / 16 + 1 == 65, "NO_BINS names every entry");
hak_heap_t hak_heap_none = {NO_BINS};
hak_heap_t hak_heap_late = {NO_BINS};

static struct {
    hak_lock_t lock;
    hak_heap_t *_Atomic all;            /* written under lock; heaps are never removed */
    hak_heap_t *orphans, *orphans_tail; /* guarded by lock */
    _Atomic size_t orphan_count;        /* written under lock; a hint without it */
    size_t heap_count;                  /* guarded by lock */
    pthread_key_t key;                  /* const after init: its destructor tells of exits */
    bool has_key;                       /* const after init */
    bool ready;                         /* guarded by lock */
} registry;

static void help(hak_heap_t *heap);

static void push_ready(hak_heap_t *owner, hak_slab_t *slab) {
    uint32_t slots = slab->slots; /* after the push the slab may be gone */
    hak_add_relaxed(&owner->ready_count, slots);
    hak_ready_push(&owner->ready, slab);
    help(owner);
}

/* ---- Intervals ------------------------------------------------------------------------------ */

static uint32_t interval_max(unsigned cls) {
    size_t by_bytes = ((size_t)hak_options.tiny_cap << 10) / hak_class_stride(cls);
    return (uint32_t)hak_clamp(by_bytes, HAK_BIN_INTERVAL_MIN, hak_options.tiny_drain_interval);
}

/* What a new thread holds back at first: some pages of a class at most. */
static uint32_t interval_start(unsigned cls) {
    size_t start = hak_clamp(16384 / hak_class_stride(cls), 8, 128);
    return (uint32_t)hak_min(start, interval_max(cls));
}

/* A thread that needs few blocks of a class gets few: they all have to go home when it ends. */
static uint32_t batch_start(unsigned cls) {
    return (uint32_t)hak_clamp(1024 / hak_class_stride(cls), 1, 8);
}

static void reset_intervals_locked(hak_heap_t *heap) {
    heap->grown_bytes = 0;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        hak_shelf_t *shelf = &heap->shelves[cls];
        shelf->interval = interval_start(cls);
        shelf->batch = batch_start(cls);
        shelf->drains = 0;
        shelf->head_most = shelf->reserve_most = 0;
        hak_heap_bin(heap, cls)->room = (int32_t)shelf->interval - 1;
    }
}

static void set_interval_locked(hak_heap_t *heap, unsigned cls, uint32_t interval) {
    size_t stride = hak_class_stride(cls);
    hak_shelf_t *shelf = &heap->shelves[cls];
    size_t bytes = heap->grown_bytes - shelf->interval * stride + interval * stride;
    if (interval > shelf->interval && bytes > (size_t)HAK_HEAP_BINS_KIB << 10) {
        return;
    }
    heap->grown_bytes = bytes;
    shelf->interval = interval;
}

static void widen_locked(hak_heap_t *heap, unsigned cls) {
    uint32_t wider = heap->shelves[cls].interval * 2;
    set_interval_locked(heap, cls, (uint32_t)hak_min(wider, interval_max(cls)));
}

/* ---- Slabs of a heap ------------------------------------------------------------------------ */

static void list_slab_locked(hak_heap_t *heap, hak_slab_t *slab) {
    hak_shelf_t *shelf = &heap->shelves[slab->cls];
    slab->prev = NULL;
    slab->next = shelf->slabs;
    if (slab->next != NULL) {
        slab->next->prev = slab;
    }
    shelf->slabs = slab;
    slab->listed = true;
}

static void unlist_slab_locked(hak_heap_t *heap, hak_slab_t *slab) {
    if (slab->prev != NULL) {
        slab->prev->next = slab->next;
    } else {
        heap->shelves[slab->cls].slabs = slab->next;
    }
    if (slab->next != NULL) {
        slab->next->prev = slab->prev;
    }
    slab->next = slab->prev = NULL;
    slab->listed = false;
}

/* After blocks came home. A slab that was full has few free blocks: in front it is used first, and
 * the emptier ones behind it get the chance to run empty. */
static void settle_slab_locked(hak_heap_t *heap, hak_slab_t *slab) {
    if (hak_slab_all_home(slab)) {
        if (slab->listed) {
            unlist_slab_locked(heap, slab);
        }
        hak_pool_release(slab);
    } else if (!slab->listed) {
        list_slab_locked(heap, slab);
    }
}

/* Empties the ready list. A slab that was adopted while a producer was on its way here belongs to
 * another heap by now and is passed on, its queue untouched. */
static void drain_ready_locked(hak_heap_t *heap) {
    hak_slab_t *slab = hak_ready_take_all(&heap->ready);
    hak_store_relaxed(&heap->ready_count, 0);
    while (slab != NULL) {
        hak_slab_t *next = hak_load_relaxed(&slab->ready_next); /* seen with the list */
        hak_heap_t *owner = hak_load_relaxed(&slab->owner);
        if (HAK_LIKELY(owner == heap)) {
            if (hak_slab_drain_remote(slab) != 0) {
                settle_slab_locked(heap, slab);
            }
        } else {
            push_ready(owner, slab);
        }
        slab = next;
    }
}

/* ---- Remote frees ---------------------------------------------------------------------------- */

/* An orphan's ready list is emptied by whoever pushes on it, a sleeper's when it grows long.
 *
 * Nothing is stranded: the pusher's store to ready precedes its load of state, and an exiting
 * thread's store to state precedes its look at ready, all sequentially consistent, so one of them
 * sees the other. If the lock is held, the holder looks again after it let go, as every path that
 * unlocks an orphan ends here. For an owned heap a failed try needs no second one: its owner
 * empties the list before its next refill. */
static bool wants_help(hak_heap_t *heap) {
    return hak_load_seq(&heap->state) == HAK_HEAP_ORPHAN ||
           hak_load_relaxed(&heap->ready_count) >= HAK_READY_PATIENCE;
}

static void help(hak_heap_t *heap) {
    while (hak_load_seq(&heap->ready) != NULL && wants_help(heap)) {
        if (!hak_lock_try(&heap->lock)) {
            return;
        }
        HAK_COUNT(helped);
        drain_ready_locked(heap);
        hak_unlock(&heap->lock);
    }
}

/* A pointer to where a block would be that was never handed out passes the hit path's checks. */
static HAK_COLD void bin_is_broken(const void *block, unsigned cls) {
    (void)cls;
    hak_message_fatal("invalid free of %p: not allocated by hakmem", block);
}

static void send_remote(hak_slab_t *slab, void *head, void *tail, unsigned count) {
    HAK_COUNT(remote_batches);
    HAK_COUNT_N(remote_blocks, count);
    if (!hak_remote_push(slab, head, tail)) {
        return;
    }
    /* The blocks just pushed are not home before the slab is on a ready list, so it still is a
     * slab and has an owner; which one may change, see drain_ready_locked(). */
    hak_heap_t *owner = hak_load_relaxed(&slab->owner);
    if (HAK_UNLIKELY(owner == NULL)) { /* a slab at rest: these blocks were home already */
        bin_is_broken(head, slab->cls);
    }
    push_ready(owner, slab);
}

/* ---- Drain ----------------------------------------------------------------------------------- */

typedef struct {
    hak_slab_t *slab;
    uintptr_t base;        /* of the slab, */
    uintptr_t carved_size; /* and how far its blocks reach */
    hak_chain_t chain;
} group_t;

static void send_group_home_locked(hak_heap_t *heap, group_t *group) {
    hak_slab_t *slab = group->slab;
    hak_chain_t *chain = &group->chain;
    if (hak_load_relaxed(&slab->owner) == heap) { /* changes only under this heap's lock */
        hak_slab_give(slab, chain->head, chain->tail, chain->count);
        settle_slab_locked(heap, slab);
    } else {
        send_remote(slab, chain->head, chain->tail, chain->count);
    }
    group->slab = NULL;
    group->chain = (hak_chain_t){NULL, NULL, 0};
}

/* The group of the block's slab; one that stood in its place goes home first. */
static group_t *find_group_locked(hak_heap_t *heap, group_t *groups, const void *block,
                                  unsigned cls) {
    if (HAK_UNLIKELY(hak_map_tag(block) != hak_tag_of_class(cls))) {
        bin_is_broken(block, cls);
    }
    hak_slab_t *slab = hak_slab_of(block, cls);
    group_t *group = &groups[((uintptr_t)slab / sizeof *slab) % GROUPS];
    if (group->slab != slab && group->slab != NULL) {
        send_group_home_locked(heap, group);
    }
    group->slab = slab;
    group->base = (uintptr_t)hak_slab_base(slab);
    group->carved_size = hak_load_relaxed(&slab->carved) * hak_class_stride(cls);
    return group;
}

/* Sends a whole chain home: one batch for each slab, as long as the chain does not jump about
 * between more slabs than there are places. */
static unsigned send_home_locked(hak_heap_t *heap, unsigned cls, void *block) {
    group_t groups[GROUPS] = {{NULL, 0, 0, {NULL, NULL, 0}}};
    const uint64_t inverse = hak_class_info[cls].wide_inverse;
    unsigned count = 0;
    size_t slot = SIZE_MAX; /* of the block before: neighbours share their slab */
    group_t *group = NULL;
    while (block != NULL) {
        if (hak_map_slot(block) != slot) {
            slot = hak_map_slot(block);
            group = find_group_locked(heap, groups, block, cls);
        }
        uintptr_t offset = (uintptr_t)block - group->base; /* hak_slab_holds(), drawn out */
        if (HAK_UNLIKELY(offset >= group->carved_size || offset * inverse >= inverse)) {
            bin_is_broken(block, cls);
        }
        void *next = hak_block_next(block); /* only now is it known to be a block */
        hak_chain_push(&group->chain, block);
        block = next;
        count++;
    }
    for (unsigned i = 0; i < GROUPS; i++) {
        if (groups[i].slab != NULL) {
            send_group_home_locked(heap, &groups[i]);
        }
    }
    return count;
}

static void drain_reserve_locked(hak_heap_t *heap, unsigned cls) {
    hak_shelf_t *shelf = &heap->shelves[cls];
    void *chain = shelf->reserve;
    shelf->reserve = NULL;
    unsigned count = send_home_locked(heap, cls, chain);
    HAK_COUNT(drains);
    HAK_COUNT_N(drained_blocks, count);
    if (hak_options.tiny_sll_drain_debug) {
        hak_message_trace("[TLS_SLL_DRAIN] class=%u blocks=%u interval=%u", cls, count,
                          shelf->interval);
    }
}

/* Only by the heap's thread, or for a heap that has none. */
static void drain_bin_locked(hak_heap_t *heap, unsigned cls) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    if (heap->shelves[cls].reserve != NULL) {
        drain_reserve_locked(heap, cls);
    }
    if (bin->head != NULL) {
        heap->shelves[cls].reserve = bin->head;
        bin->head = NULL;
        drain_reserve_locked(heap, cls);
    }
}

static void drain_bins_locked(hak_heap_t *heap) {
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        drain_bin_locked(heap, cls);
    }
    heap->stale_bins = false;
}

/* A bin with a handful of blocks: where allocations keep pace with frees, setting them apart would
 * only make the next allocation miss. */
static bool is_short_chain(const void *block) {
    for (int steps = 0; steps < SHORT_CHAIN && block != NULL; steps++) {
        block = hak_block_next(block);
    }
    return block == NULL;
}

/* A reserve that is taken back at once, interval after interval, would never be drained. So when
 * the upper bounds have added up, blocks are counted, and those beyond two intervals go home. */
static void cut_excess_locked(hak_heap_t *heap, unsigned cls) {
    hak_shelf_t *shelf = &heap->shelves[cls];
    uint32_t keep = 2 * shelf->interval;
    uint32_t count = 1;
    void *last = hak_heap_bin(heap, cls)->head;
    while (count < keep && hak_block_next(last) != NULL) {
        last = hak_block_next(last);
        count++;
    }
    void *excess = hak_block_next(last);
    hak_block_set_next(last, NULL);
    shelf->head_most = (int32_t)count;
    if (excess != NULL) {
        HAK_COUNT(drains);
        HAK_COUNT_N(drained_blocks, send_home_locked(heap, cls, excess));
    }
}

void hak_heap_interval_over(hak_heap_t *heap, unsigned cls) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    hak_shelf_t *shelf = &heap->shelves[cls];
    if (shelf->reserve_most == 0 && is_short_chain(bin->head)) {
        shelf->head_most = SHORT_CHAIN;
        bin->room = (int32_t)shelf->interval - 1;
        return;
    }
    hak_lock(&heap->lock);
    if (shelf->reserve != NULL) {
        if (++shelf->drains % DRAINS_TO_SHRINK == 0 && shelf->interval > interval_start(cls)) {
            set_interval_locked(heap, cls, shelf->interval / 2);
        }
        drain_reserve_locked(heap, cls);
    }
    shelf->head_most += (int32_t)shelf->interval;
    if (shelf->head_most > 8 * (int32_t)shelf->interval && bin->head != NULL) {
        cut_excess_locked(heap, cls);
    }
    shelf->reserve = bin->head;
    shelf->reserve_most = shelf->head_most > 0 ? shelf->head_most : 1;
    shelf->head_most = 0;
    bin->head = NULL;
    bin->room = (int32_t)shelf->interval - 1;
    hak_unlock(&heap->lock);
}

/* ---- Refill ---------------------------------------------------------------------------------- */

/* A slab with room of the class from an orphaned heap, now this heap's. */
static hak_slab_t *adopt_from_locked(hak_heap_t *heap, hak_heap_t *orphan, unsigned cls) {
    if (!hak_lock_try(&orphan->lock)) {
        return NULL;
    }
    if (orphan->stale_bins) {
        drain_bins_locked(orphan);
    }
    drain_ready_locked(orphan);
    hak_slab_t *slab = orphan->shelves[cls].slabs;
    if (slab != NULL) {
        unlist_slab_locked(orphan, slab);
        /* Under both locks. A producer may still read the old owner: drain_ready_locked(). */
        hak_store_relaxed(&slab->owner, heap);
        HAK_COUNT(adopted_slabs);
    }
    hak_unlock(&orphan->lock);
    help(orphan);
    return slab;
}

static void unlist_orphan(hak_heap_t *heap) {
    if (heap->orphan_prev != NULL) {
        heap->orphan_prev->orphan_next = heap->orphan_next;
    } else {
        registry.orphans = heap->orphan_next;
    }
    if (heap->orphan_next != NULL) {
        heap->orphan_next->orphan_prev = heap->orphan_prev;
    } else {
        registry.orphans_tail = heap->orphan_prev;
    }
    heap->orphan_next = heap->orphan_prev = NULL;
    heap->listed = false;
    hak_sub_relaxed(&registry.orphan_count, 1);
}

static void list_orphan(hak_heap_t *heap, bool in_front) {
    heap->orphan_prev = in_front ? NULL : registry.orphans_tail;
    heap->orphan_next = in_front ? registry.orphans : NULL;
    if (heap->orphan_prev != NULL) {
        heap->orphan_prev->orphan_next = heap;
    } else {
        registry.orphans = heap;
    }
    if (heap->orphan_next != NULL) {
        heap->orphan_next->orphan_prev = heap;
    } else {
        registry.orphans_tail = heap;
    }
    heap->listed = true;
    hak_add_relaxed(&registry.orphan_count, 1);
}

static hak_slab_t *adopt_locked(hak_heap_t *heap, unsigned cls) {
    if (hak_load_relaxed(&registry.orphan_count) == 0 || !hak_lock_try(&registry.lock)) {
        return NULL;
    }
    hak_slab_t *slab = NULL;
    for (int tries = 0; tries < ADOPT_TRIES && slab == NULL; tries++) {
        hak_heap_t *orphan = registry.orphans;
        if (orphan == NULL || orphan == heap) {
            break;
        }
        slab = adopt_from_locked(heap, orphan, cls);
        if (slab == NULL) { /* others first the next time */
            unlist_orphan(orphan);
            list_orphan(orphan, false);
        }
    }
    hak_unlock(&registry.lock);
    return slab;
}

static hak_slab_t *obtain_slab_locked(hak_heap_t *heap, unsigned cls) {
    hak_slab_t *slab = adopt_locked(heap, cls);
    if (slab == NULL) {
        slab = hak_pool_acquire(cls);
        if (slab == NULL) {
            return NULL;
        }
        hak_store_relaxed(&slab->owner, heap);
    }
    list_slab_locked(heap, slab);
    return slab;
}

/* The one place where blocks come from. The order is the invariant: what others sent back first,
 * then, slab by slab, free blocks before uncarved ones, then an orphan's slab, then the pool. */
static void fill_locked(hak_heap_t *heap, unsigned cls, unsigned want, hak_chain_t *chain) {
    drain_ready_locked(heap);
    for (int tries = 0; tries < REFILL_SLABS; tries++) {
        hak_slab_t *slab = heap->shelves[cls].slabs;
        if (slab == NULL && chain->count == 0) {
            slab = obtain_slab_locked(heap, cls);
        }
        if (slab == NULL) {
            return;
        }
        hak_slab_take(slab, want - chain->count, chain);
        if (!hak_slab_has_room(slab)) {
            unlist_slab_locked(heap, slab);
        }
        if (chain->count >= (want + 1) / 2) {
            return;
        }
    }
}

/* An empty head holds none of the interval's frees any more. */
static int32_t frees_so_far(const hak_bin_t *bin, const hak_shelf_t *shelf) {
    return (int32_t)shelf->interval - 1 - bin->room;
}

static void *take_first(hak_bin_t *bin) {
    void *block = bin->head;
    bin->head = hak_block_next(block);
    hak_block_clear_stamp(block);
    return block;
}

void *hak_heap_refill(hak_heap_t *heap, unsigned cls) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    hak_shelf_t *shelf = &heap->shelves[cls];
    hak_chain_t chain = {NULL, NULL, 0};
    hak_lock(&heap->lock);
    if (shelf->reserve != NULL) {
        bin->head = shelf->reserve;
        shelf->head_most = shelf->reserve_most - frees_so_far(bin, shelf);
        shelf->reserve_most = 0;
        shelf->reserve = NULL;
        widen_locked(heap, cls);
        HAK_COUNT(refills_reserve);
    } else {
        if (shelf->drains != 0) {
            shelf->drains = 0;
            widen_locked(heap, cls);
        }
        fill_locked(heap, cls, shelf->batch, &chain);
        shelf->batch = (uint32_t)hak_min((size_t)shelf->batch * 2, shelf->interval);
        bin->head = chain.head;
        shelf->head_most = (int32_t)chain.count - frees_so_far(bin, shelf);
        HAK_COUNT(refills);
    }
    void *block = bin->head != NULL ? take_first(bin) : NULL;
    hak_unlock(&heap->lock);
    return block;
}

/* ---- Birth and exit -------------------------------------------------------------------------- */

static void thread_exits(void *heap_of_thread) {
    hak_heap_t *heap = heap_of_thread;
    /* From here on this thread's hit paths miss; what it still allocates and frees goes through
     * hak_heap_alloc_late() and hak_heap_free_late() and leaves nothing behind. */
    hak_tls_heap = &hak_heap_late;
    hak_lock(&heap->lock);
    drain_bins_locked(heap);
    reset_intervals_locked(heap);
    hak_store_seq(&heap->state, HAK_HEAP_ORPHAN); /* before the look at ready: wants_help() */
    drain_ready_locked(heap);
    hak_unlock(&heap->lock);
    hak_lock(&registry.lock);
    list_orphan(heap, true);
    hak_unlock(&registry.lock);
    help(heap);
}

bool hak_heap_system_init(void) {
    hak_lock(&registry.lock);
    if (!registry.ready && hak_map_init()) {
        registry.ready = true;
        /* Without a key (all in use) exits go unnoticed: memory is lost then, but none is denied. */
        registry.has_key = pthread_key_create(&registry.key, thread_exits) == 0;
    }
    bool ready = registry.ready;
    hak_unlock(&registry.lock);
    return ready;
}

static hak_heap_t *make_heap(void) {
    hak_heap_t *heap = hak_meta_alloc(sizeof *heap, HAK_CACHE_LINE);
    if (heap == NULL) {
        return NULL;
    }
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        hak_bin_t *bin = hak_heap_bin(heap, cls);
        /* Wider slabs do not fit free()'s sixteen-bit arithmetic: 0 sends them the long way. */
        bin->inverse = hak_class_info[cls].slots == 1 ? hak_class_info[cls].inverse : 0;
    }
    for (size_t i = 0; i <= HAK_TINY_MAX / 16; i++) {
        heap->tiny_bins[i] = hak_heap_bin(heap, hak_tiny_class_table[i]);
    }
    reset_intervals_locked(heap);
    hak_store_relaxed(&heap->state, HAK_HEAP_ORPHAN);
    heap->all_next = hak_load_relaxed(&registry.all);
    hak_store_relaxed(&registry.all, heap);
    registry.heap_count++;
    return heap;
}

/* An orphan or a new heap, nobody's yet: still in the state of an orphan, on no list. */
static hak_heap_t *borrow_heap(void) {
    hak_lock(&registry.lock);
    hak_heap_t *heap = registry.orphans;
    if (heap != NULL) {
        unlist_orphan(heap);
    } else {
        heap = make_heap();
    }
    hak_unlock(&registry.lock);
    return heap;
}

hak_heap_t *hak_heap_get(void) {
    hak_heap_t *heap = hak_tls_heap;
    if (heap == &hak_heap_late) {
        return NULL;
    }
    if (heap != &hak_heap_none) {
        return heap;
    }
    if (!hak_heap_system_init() || (heap = borrow_heap()) == NULL) {
        return NULL;
    }
    hak_lock(&heap->lock);
    if (hak_load_relaxed(&heap->ready_count) != 0 || heap->shelves[0].slabs != NULL) {
        HAK_COUNT(adopted_heaps);
    }
    hak_store_seq(&heap->state, HAK_HEAP_OWNED);
    heap->stale_bins = false; /* blocks left in its bins are this thread's now */
    hak_unlock(&heap->lock);
    hak_tls_heap = heap;
    /* May allocate (more than 32 keys in the process): the heap is in place already. */
    if (registry.has_key) {
        pthread_setspecific(registry.key, heap);
    }
    return heap;
}

void *hak_heap_alloc_late(unsigned cls) {
    hak_chain_t chain = {NULL, NULL, 0};
    hak_heap_t *heap = hak_heap_system_init() ? borrow_heap() : NULL;
    if (heap == NULL) {
        return NULL;
    }
    hak_lock(&heap->lock);
    fill_locked(heap, cls, 1, &chain);
    if (chain.head != NULL) {
        hak_block_clear_stamp(chain.head);
    }
    hak_unlock(&heap->lock);
    hak_lock(&registry.lock);
    list_orphan(heap, true);
    hak_unlock(&registry.lock);
    help(heap);
    return chain.head;
}

void hak_heap_free_late(void *block, unsigned cls) {
    hak_block_set_stamp(block);
    hak_lock(&registry.lock); /* keeps a fork from falling between the push and the ready list */
    send_remote(hak_slab_of(block, cls), block, block, 1);
    hak_unlock(&registry.lock);
}

/* ---- All heaps ------------------------------------------------------------------------------- */

void hak_heap_trim(void) {
    hak_heap_t *own = hak_tls_heap;
    hak_lock(&registry.lock);
    for (hak_heap_t *heap = hak_load_relaxed(&registry.all); heap != NULL; heap = heap->all_next) {
        hak_lock(&heap->lock);
        if (heap == own || heap->stale_bins) {
            drain_bins_locked(heap);
        }
        for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
            if (heap->shelves[cls].reserve != NULL) {
                drain_reserve_locked(heap, cls);
            }
        }
        drain_ready_locked(heap);
        hak_unlock(&heap->lock);
        help(heap);
    }
    hak_unlock(&registry.lock);
}

/* A chain that its owner may be changing: a link is followed only to where a block of the class can
 * be. No such memory goes away while the pool's lock is held, so reading it is safe. */
static bool chain_holds(const void *block, const void *link, unsigned cls) {
    for (size_t steps = 0; link != NULL && steps < 2 * (size_t)UINT16_MAX; steps++) {
        if (link == block) {
            return true;
        }
        if (hak_map_tag(link) != hak_tag_of_class(cls) || (uintptr_t)link % HAK_ALIGNMENT != 0 ||
            !hak_block_is_stamped(link)) {
            return false;
        }
        link = *(void *const volatile *)link;
    }
    return false;
}

bool hak_heap_block_is_free(const void *block, unsigned cls) {
    hak_heap_lock_all();
    hak_slab_t *slab = hak_slab_of(block, cls);
    bool found = chain_holds(block, slab->free, cls) ||
                 chain_holds(block, (void *)hak_load_acquire(&slab->remote), cls);
    for (hak_heap_t *heap = hak_load_relaxed(&registry.all); heap != NULL && !found;
         heap = heap->all_next) {
        void *const volatile *head = &hak_heap_bin(heap, cls)->head;
        found = chain_holds(block, heap->shelves[cls].reserve, cls) ||
                chain_holds(block, *head, cls);
    }
    hak_heap_unlock_all();
    return found;
}

size_t hak_heap_own_bins(size_t *blocks) {
    hak_heap_t *heap = hak_tls_heap;
    size_t bytes = 0;
    *blocks = 0;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        size_t here = 0;
        for (void *b = hak_heap_bin(heap, cls)->head; b != NULL; b = hak_block_next(b)) {
            here++;
        }
        for (void *b = heap->shelves[cls].reserve; b != NULL; b = hak_block_next(b)) {
            here++;
        }
        bytes += here * hak_class_stride(cls);
        *blocks += here;
    }
    return bytes;
}

void hak_heap_lock_all(void) {
    hak_lock(&registry.lock);
    for (hak_heap_t *heap = hak_load_relaxed(&registry.all); heap != NULL; heap = heap->all_next) {
        hak_lock(&heap->lock);
    }
    hak_pool_lock();
}

void hak_heap_unlock_all(void) {
    hak_pool_unlock();
    for (hak_heap_t *heap = hak_load_relaxed(&registry.all); heap != NULL; heap = heap->all_next) {
        hak_unlock(&heap->lock);
    }
    for (hak_heap_t *heap = hak_load_relaxed(&registry.all); heap != NULL; heap = heap->all_next) {
        help(heap);
    }
    hak_unlock(&registry.lock);
}

/* No heap was in a slow path when the fork happened (its lock was taken), and a hit path is a
 * consistent state after every store. So an absent thread's bins are chains like any other. */
void hak_heap_after_fork_in_child(void) {
    hak_lock_reset(&registry.lock);
    hak_pool_reset_lock();
    for (hak_heap_t *heap = hak_load_relaxed(&registry.all); heap != NULL; heap = heap->all_next) {
        hak_lock_reset(&heap->lock);
        if (heap == hak_tls_heap || heap->listed) {
            continue;
        }
        heap->stale_bins = true;
        hak_store_seq(&heap->state, HAK_HEAP_ORPHAN);
        list_orphan(heap, true);
    }
    /* Lost threads will not look at their ready lists any more. Every lock is free by now. */
    for (hak_heap_t *heap = hak_load_relaxed(&registry.all); heap != NULL; heap = heap->all_next) {
        help(heap);
    }
}

size_t hak_heap_count(size_t *orphans) {
    hak_lock(&registry.lock);
    size_t count = registry.heap_count;
    *orphans = hak_load_relaxed(&registry.orphan_count);
    hak_unlock(&registry.lock);
    return count;
}
