/* heap.c: see heap.h.
 *
 * Threads:   functions named _locked expect heap->lock to be held.
 */
#include "heap.h"

#include <pthread.h>

#include "home.h"
#include "large.h"
#include "options.h"
#include "pool.h"
#include "remote_queue.h"
#include "stats.h"

/* A refill goes on to further slabs, up to this many, while it has less than half of its wish. */
#define REFILL_SLABS 4
/* Of what a class has out, the part by which one refill may add to it. */
#define FRESH_SHARE 8
/* Where fewer blocks may be shared, a thread may as well have a page of its own. */
#define COMMON_LEAST 2
#define COMMON_TRIES 200
/* Orphans looked at by one adoption: bounds the work. */
#define ADOPT_TRIES 4

_Thread_local hak_heap_t *hak_tls_heap __attribute__((tls_model("initial-exec"))) = HAK_HEAP_NONE;
_Thread_local hak_heap_t *hak_tls_in_hand __attribute__((tls_model("initial-exec")));

/* For every size an empty bin; any will do. */
#define NO_BIN &hak_no_heaps.bins[0]
#define NO_BIN_4 NO_BIN, NO_BIN, NO_BIN, NO_BIN
#define NO_BIN_32 NO_BIN_4, NO_BIN_4, NO_BIN_4, NO_BIN_4, NO_BIN_4, NO_BIN_4, NO_BIN_4, NO_BIN_4
_Static_assert(HAK_TINY_MAX / 16 + 1 + sizeof(hak_bin_t) / sizeof(void *) == 69, "one for each");
const hak_no_heaps_t hak_no_heaps = {.tiny_bins = {NO_BIN_32, NO_BIN_32, NO_BIN_4, NO_BIN}};

static struct {
    hak_lock_t lock;
    hak_heap_t *_Atomic all;            /* written under lock; heaps are never removed */
    hak_heap_t *orphans, *orphans_tail; /* guarded by lock */
    _Atomic size_t orphan_count;        /* written under lock; a hint without it */
    hak_heap_t *_Atomic common;         /* set once, under lock; release and acquire */
    size_t heap_count;                  /* guarded by lock; without the common one */
    pthread_key_t key;                  /* const after init: its destructor tells of exits */
    bool has_key;                       /* const after init */
    bool ready;                         /* guarded by lock */
} registry;

/* ---- Refill ---------------------------------------------------------------------------------- */

/* A slab with room of the class from an orphaned heap, now this heap's. */
static hak_slab_t *adopt_from_locked(hak_heap_t *heap, hak_heap_t *orphan, unsigned cls) {
    if (!hak_lock_try(&orphan->lock)) {
        return NULL;
    }
    if (orphan->stale_bins) {
        hak_bins_drain_all_locked(orphan);
    }
    hak_home_drain_ready_locked(orphan);
    hak_slab_t *slab = orphan->shelves[cls].slabs;
    if (slab != NULL && orphan->shared) { /* one stays, for all */
        slab = slab->next;
    }
    if (slab != NULL) {
        hak_home_unlist_slab_locked(orphan, slab);
        hak_home_count_slab_locked(orphan, cls, -1);
        hak_home_move_out_locked(orphan, heap, slab);
        /* Under both locks. A producer may still read the old owner: sort_ready_locked(). */
        hak_store_relaxed(&slab->owner, heap);
        HAK_COUNT(adopted_slabs);
    }
    hak_unlock(&orphan->lock);
    hak_home_help(orphan);
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

static hak_slab_t *adopt_from_orphans_locked(hak_heap_t *heap, unsigned cls) {
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

static hak_slab_t *adopt_locked(hak_heap_t *heap, unsigned cls) {
    hak_slab_t *slab = adopt_from_orphans_locked(heap, cls);
    hak_heap_t *common = hak_load_acquire(&registry.common); /* see make_common() */
    if (slab == NULL && common != NULL && common != heap) {
        slab = adopt_from_locked(heap, common, cls);
    }
    return slab;
}

/* First goes what is of no use to the tier that grew. */
void hak_heap_keep_peak(hak_tier_t grown) {
    void (*const shed[])(size_t bytes) = {hak_pool_shed, hak_large_shed};
    size_t over = hak_retain_over_peak(&hak_retain);
    if (HAK_UNLIKELY(over != 0)) {
        shed[grown == HAK_TIER_POOL](over);
        shed[grown != HAK_TIER_POOL](hak_min(over, hak_retain_over_peak(&hak_retain)));
    }
}

/* Fresh memory is the last resort: idle bins give back what they hold first. But for the first slab
 * of a class: of most classes a heap needs a few blocks, for which a fresh page is enough, and an
 * EMPTY slot would be lost to those that need all of it. */
static hak_slab_t *acquire_locked(hak_heap_t *heap, unsigned cls) {
    bool is_first = heap->shelves[cls].slab_count == 0;
    hak_slab_t *slab = is_first ? hak_pool_acquire_sparse(cls) : NULL;
    if (slab == NULL) {
        slab = hak_pool_acquire_resident(cls);
    }
    if (slab == NULL && heap == hak_tls_heap && hak_bins_drain_idle_locked(heap, cls)) {
        slab = hak_pool_acquire_resident(cls);
    }
    if (slab == NULL) {
        bool grown = cls < HAK_TINY_CLASSES && heap->tiny_slabs >= HAK_HUGE_FROM_SLABS;
        slab = hak_pool_acquire(cls, grown);
        hak_heap_keep_peak(HAK_TIER_POOL);
    }
    return slab;
}

static hak_slab_t *obtain_slab_locked(hak_heap_t *heap, unsigned cls, hak_source_t *source) {
    hak_slab_t *slab = adopt_locked(heap, cls);
    *source = HAK_FROM_ADOPTED;
    if (slab == NULL) {
        *source = HAK_FROM_POOL;
        slab = acquire_locked(heap, cls);
        if (slab == NULL) {
            return NULL;
        }
        hak_store_relaxed(&slab->owner, heap);
    }
    hak_heap_note_locked(heap, *source == HAK_FROM_POOL ? HAK_EVENT_ACQUIRED : HAK_EVENT_ADOPTED,
                         cls, hak_slab_base(slab), 0);
    hak_home_list_slab_locked(heap, slab);
    hak_home_count_slab_locked(heap, cls, 1);
    return slab;
}

/* An eighth of what the class has: so a class that grows is made resident in larger and larger
 * pieces, up to a slab, and a small one page by page. Of wide blocks a program may never touch the
 * middle: they are left to it. */
static void populate_locked(hak_heap_t *heap, hak_slab_t *slab) {
    if (slab->cls >= HAK_TINY_CLASSES) {
        return;
    }
    const hak_class_info_t *info = &hak_class_info[slab->cls];
    size_t others = (heap->shelves[slab->cls].slab_count - 1) * info->slots * HAK_SLOT_BYTES;
    size_t here = hak_load_relaxed(&slab->carved) * (size_t)info->stride;
    hak_slab_populate(slab, (others + here) / 8);
}

/* How many blocks a refill may have where that takes memory that was no block yet: an eighth of
 * what is out. The bin is empty, so that is what the program has, but for what others hold of it.
 */
static unsigned fresh_most(const hak_heap_t *heap, unsigned cls) {
    return (unsigned)hak_max(hak_load_relaxed(&heap->shelves[cls].out) / FRESH_SHARE,
                             hak_bins_batch_start(cls));
}

/* The one place where a slab's blocks come from, after what others sent back. The order is the
 * invariant: slab by slab, free blocks before uncarved ones, then an orphan's slab, then the pool.
 */
static void fill_locked(hak_heap_t *heap, unsigned cls, unsigned want, hak_chain_t *chain) {
    unsigned fresh = fresh_most(heap, cls);
    for (int tries = 0; tries < REFILL_SLABS; tries++) {
        hak_slab_t *slab = heap->shelves[cls].slabs;
        hak_source_t source = HAK_FROM_NEXT;
        if (slab == NULL && chain->count == 0 && hak_home_drain_ready_locked(heap)) {
            slab = heap->shelves[cls].slabs; /* and of other classes, slabs may have become free */
        }
        if (slab == NULL && chain->count == 0) {
            slab = obtain_slab_locked(heap, cls, &source);
        } else if (slab != NULL && tries == 0) {
            source = slab->free_count != 0 ? HAK_FROM_FREE : HAK_FROM_CARVE;
        }
        if (slab == NULL) {
            return;
        }
        if (slab->free_count == 0) {
            if (chain->count >= fresh) {
                return;
            }
            want = (unsigned)hak_min(want, fresh);
            populate_locked(heap, slab);
        }
        heap->refills[source]++;
        hak_home_take_locked(heap, slab, want - chain->count, chain);
        if (!hak_slab_has_room(slab)) {
            hak_home_unlist_slab_locked(heap, slab);
        }
        if (chain->count >= (want + 1) / 2) {
            return;
        }
    }
}

/* No more than is wanted. */
static void fill_exactly_locked(hak_heap_t *heap, unsigned cls, unsigned want, hak_chain_t *chain) {
    heap->refills[HAK_FROM_REMOTE] += hak_home_drain_ready_locked(heap);
    fill_locked(heap, cls, want, chain);
}

/* Queues come as they are, be they longer than what is wanted; not where someone counts on bins
 * that hold few. */
static void fill_own_locked(hak_heap_t *heap, unsigned cls, unsigned want, hak_chain_t *chain) {
    if (hak_options.refill != 0 || hak_options.guard_sample != 0) {
        fill_exactly_locked(heap, cls, want, chain);
        return;
    }
    unsigned most = HAK_BIN_EXCESS * hak_heap_bin(heap, cls)->interval;
    *chain = hak_home_receive_locked(heap, cls, want, most);
    heap->refills[HAK_FROM_REMOTE] += chain->count != 0;
    if (chain->count < (want + 1) / 2) {
        fill_locked(heap, cls, want, chain);
    }
}

/* A block leaves the free ones. */
static void *live(void *block) {
    return HAK_LIKELY(hak_block_take_stamp(block)) ? block : hak_block_report_changed(block);
}

static void *take_first(hak_bin_t *bin) {
    void *block = bin->head;
    if (block == NULL) {
        return NULL;
    }
    bin->head = hak_block_next(block);
    hak_signal_fence();
    return live(block);
}

/* How many blocks a thread may still take from slabs that it shares. One that needs few of a class
 * would leave most of a page of its own empty, and so would each of a hundred like it. */
static size_t common_left(const hak_heap_t *heap, unsigned cls) {
    const hak_shelf_t *shelf = &heap->shelves[cls];
    size_t most = ((size_t)hak_options.common << 10) / hak_class_stride(cls);
    bool has_own = shelf->slab_count != 0;
    return has_own || most < COMMON_LEAST || shelf->borrowed >= most ? 0 : most - shelf->borrowed;
}

/* Another heap's lock is never waited for, see heap.h; but who gives up takes a page of his own. */
static bool try_patiently(hak_lock_t *lock) {
    for (int tries = 0; tries < COMMON_TRIES; tries++) {
        if (hak_load_relaxed(&lock->word) == 0 && hak_lock_try(lock)) {
            return true;
        }
        hak_cpu_relax();
    }
    return false;
}

/* False: the heap has to look for blocks itself. */
static bool borrow_locked(hak_heap_t *heap, unsigned cls, size_t want, hak_chain_t *chain) {
    /* Acquire pairs with the release in make_common(). */
    hak_heap_t *common = hak_load_acquire(&registry.common);
    size_t left = common != NULL ? common_left(heap, cls) : 0;
    if (left == 0 || !try_patiently(&common->lock)) {
        return false;
    }
    fill_exactly_locked(common, cls, (unsigned)hak_min(want, left), chain);
    hak_unlock(&common->lock);
    hak_home_help(common);
    heap->shelves[cls].borrowed += chain->count;
    return chain->count != 0;
}

static void *refill_locked(hak_heap_t *heap, unsigned cls) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    hak_shelf_t *shelf = &heap->shelves[cls];
    hak_chain_t chain = {NULL, NULL, 0};
    hak_bins_note_miss(heap, cls);
    unsigned most = hak_options.refill != 0 ? hak_options.refill : UINT32_MAX;
    unsigned want = (unsigned)hak_min(shelf->batch, most);
    if (!borrow_locked(heap, cls, want, &chain)) {
        fill_own_locked(heap, cls, want, &chain);
    }
    shelf->batch = (uint32_t)hak_min((size_t)shelf->batch * 2, bin->interval);
    hak_bin_splice(bin, chain.head, chain.tail);
    hak_bins_note_refill(heap, cls, chain.count);
    hak_bins_add_passed(heap, cls, (int)chain.count);
    hak_heap_note_locked(heap, HAK_EVENT_REFILL, cls, chain.head, chain.count);
    HAK_TALLY(heap, refills);
    return take_first(bin);
}

void *hak_heap_refill(hak_heap_t *heap, unsigned cls) {
    void *block = NULL;
    if (hak_bins_take_reserve(heap, cls)) {
        block = take_first(hak_heap_bin(heap, cls));
    }
    if (block == NULL) { /* even after the reserve came back: a signal handler took it all */
        hak_lock(&heap->lock);
        block = refill_locked(heap, cls);
        hak_unlock(&heap->lock);
        hak_home_help(heap);
    }
    return block;
}

/* ---- Birth and exit -------------------------------------------------------------------------- */

static void thread_exits(void *heap_of_thread) {
    hak_heap_t *heap = heap_of_thread;
    int cancel_type = hak_cancel_defer(); /* or the heap might end on no list */
    /* From here on this thread's hit paths miss; what it still allocates and frees goes through
     * hak_heap_alloc_late() and hak_heap_free_late() and leaves nothing behind. */
    hak_tls_in_hand = heap;
    hak_tls_heap = HAK_HEAP_LATE;
    hak_lock(&heap->lock);
    hak_bins_drain_all_locked(heap);
    hak_bins_reset(heap);
    hak_store_seq(&heap->state, HAK_HEAP_ORPHAN); /* before the look at ready: wants_help() */
    hak_home_drain_ready_locked(heap);
    hak_unlock(&heap->lock);
    hak_lock(&registry.lock);
    list_orphan(heap, true);
    hak_tls_in_hand = NULL;
    hak_unlock(&registry.lock);
    hak_home_help(heap);
    hak_cancel_restore(cancel_type);
}

bool hak_heap_system_init(void) {
    hak_lock(&registry.lock);
    if (!registry.ready && hak_map_init()) {
        registry.ready = true;
        /* Without a key (all in use) exits go unnoticed: memory is lost then, but none is denied.
         */
        registry.has_key = pthread_key_create(&registry.key, thread_exits) == 0;
    }
    bool ready = registry.ready;
    hak_unlock(&registry.lock);
    return ready;
}

static hak_heap_t *make_heap(void) {
    char *memory = hak_meta_alloc(HAK_HEAP_IN_FRONT + sizeof(hak_heap_t), HAK_HEAP_PAGE);
    if (memory == NULL) {
        return NULL;
    }
    hak_heap_t *heap = (hak_heap_t *)(void *)(memory + HAK_HEAP_IN_FRONT);
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_info_t *info = &hak_class_info[cls];
        /* Wider slabs do not fit sixteen bits: no offset passes 0, hak_free_wide_by() goes on. */
        hak_bin_t *bin = hak_heap_bin(heap, cls);
        bin->inverse = info->inverse;
        bin->bound = info->slots == 1 ? info->inverse : 0;
    }
    for (size_t i = 0; i <= HAK_TINY_MAX / 16; i++) {
        heap->tiny_bins[i] = hak_heap_bin(heap, hak_class_table[i]);
    }
    hak_bins_reset(heap);
    hak_store_relaxed(&heap->state, HAK_HEAP_ORPHAN);
    heap->all_next = hak_load_relaxed(&registry.all);
    hak_store_relaxed(&registry.all, heap);
    return heap;
}

/* The heap without a thread whose slabs all threads share: an orphan that stands on no list of
 * orphans, so nobody adopts it. It is made with the second thread's heap. */
static void make_common(void) {
    hak_heap_t *common = make_heap();
    if (common != NULL) {
        common->shared = true;
        hak_store_release(&registry.common, common);
    }
}

/* An orphan or a new heap, nobody's yet: still in the state of an orphan, on no list. */
static hak_heap_t *borrow_heap(void) {
    hak_lock(&registry.lock);
    hak_heap_t *heap = registry.orphans;
    if (heap != NULL) {
        unlist_orphan(heap);
    } else {
        heap = make_heap();
        registry.heap_count += heap != NULL;
        if (registry.heap_count == 2 && heap != NULL && hak_options.common != 0) {
            make_common();
        }
    }
    hak_tls_in_hand = heap;
    hak_unlock(&registry.lock);
    return heap;
}

/* A heap that is borrowed and not yet the thread's would be lost with a cancelled thread. */
static hak_heap_t *take_heap(void) {
    int cancel_type = hak_cancel_defer();
    hak_heap_t *heap = borrow_heap();
    if (heap != NULL) {
        hak_lock(&heap->lock);
        if (hak_load_relaxed(&heap->ready_count) != 0 || heap->shelves[0].slabs != NULL) {
            HAK_COUNT(adopted_heaps);
        }
        hak_store_seq(&heap->state, HAK_HEAP_OWNED);
        heap->stale_bins = false; /* blocks left in its bins are this thread's now */
        hak_unlock(&heap->lock);
        hak_home_help(heap);
        hak_tls_heap = heap;
        hak_tls_in_hand = NULL;
        /* May allocate (more than 32 keys in the process): the heap is in place already. */
        if (registry.has_key) {
            pthread_setspecific(registry.key, heap);
        }
    }
    hak_cancel_restore(cancel_type);
    return heap;
}

hak_heap_t *hak_heap_get(void) {
    hak_heap_t *heap = hak_tls_heap;
    if (heap == HAK_HEAP_LATE) {
        return NULL;
    }
    if (heap != HAK_HEAP_NONE) {
        return heap;
    }
    return hak_heap_system_init() ? take_heap() : NULL;
}

static void *alloc_from_borrowed(unsigned cls) {
    hak_chain_t chain = {NULL, NULL, 0};
    hak_heap_t *heap = borrow_heap();
    if (heap == NULL) {
        return NULL;
    }
    hak_lock(&heap->lock);
    fill_exactly_locked(heap, cls, 1, &chain);
    void *block = chain.head != NULL ? live(chain.head) : NULL;
    hak_unlock(&heap->lock);
    hak_lock(&registry.lock);
    list_orphan(heap, true);
    hak_tls_in_hand = NULL;
    hak_unlock(&registry.lock);
    hak_home_help(heap);
    return block;
}

void *hak_heap_alloc_late(unsigned cls) {
    if (!hak_heap_system_init()) {
        return NULL;
    }
    int cancel_type = hak_cancel_defer(); /* as in take_heap() */
    void *block = alloc_from_borrowed(cls);
    hak_cancel_restore(cancel_type);
    return block;
}

void hak_heap_free_late(void *block, unsigned cls) {
    hak_block_set_stamp(block);
    hak_lock(&registry.lock); /* keeps a fork from falling between the push and the ready list */
    hak_home_send_remote(hak_slab_of(block, cls), block);
    hak_unlock(&registry.lock);
}

/* ---- All heaps ------------------------------------------------------------------------------- */

void hak_heap_trim(void) {
    hak_heap_t *own = hak_tls_heap;
    hak_lock(&registry.lock);
    for (hak_heap_t *heap = hak_load_relaxed(&registry.all); heap != NULL; heap = heap->all_next) {
        hak_lock(&heap->lock);
        if (heap == own || heap->stale_bins) {
            hak_bins_drain_all_locked(heap);
        }
        hak_bins_drain_reserves_locked(heap);
        hak_home_drain_ready_locked(heap);
        hak_unlock(&heap->lock);
        hak_home_help(heap);
    }
    hak_unlock(&registry.lock);
}

static void add_tally(hak_tally_t *sum, const hak_tally_t *tally) {
#define COUNTER(name, help)
#define TALLY(name, help) sum->name += hak_tally_read(&tally->name);
#include "stats.def"
}

void hak_heap_add_counts_locked(uint64_t refills[HAK_SOURCES], hak_tally_t *sum) {
    for (hak_heap_t *heap = hak_load_relaxed(&registry.all); heap != NULL; heap = heap->all_next) {
        for (unsigned source = 0; source < HAK_SOURCES; source++) {
            refills[source] += heap->refills[source];
        }
        add_tally(sum, &heap->tally);
    }
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
        hak_home_help(heap);
    }
    hak_unlock(&registry.lock);
}

void hak_heap_each_lock(void (*visit)(hak_lock_t *lock, void *context), void *context) {
    visit(&registry.lock, context);
    for (hak_heap_t *heap = hak_load_relaxed(&registry.all); heap != NULL; heap = heap->all_next) {
        visit(&heap->lock, context);
    }
    visit(hak_pool_own_lock(), context);
}

/* No heap was in a slow path when the fork happened (its lock was taken), and a hit path is a
 * consistent state after every store. So an absent thread's bins are chains like any other. */
void hak_heap_after_fork_in_child(void) {
    int cancel_type = registry.lock.cancel_type; /* of these locks it was taken first */
    hak_lock_reset(&registry.lock);
    hak_lock_reset(hak_pool_own_lock());
    for (hak_heap_t *heap = hak_load_relaxed(&registry.all); heap != NULL; heap = heap->all_next) {
        hak_lock_reset(&heap->lock);
        if (heap == hak_tls_heap || heap == hak_tls_in_hand || heap->listed || heap->shared) {
            continue;
        }
        heap->stale_bins = true;
        hak_bins_mend(heap);
        hak_store_seq(&heap->state, HAK_HEAP_ORPHAN);
        list_orphan(heap, true);
    }
    /* Lost threads will not look at their ready lists any more, nor at what waits. Every lock is
     * free by now. */
    for (hak_heap_t *heap = hak_load_relaxed(&registry.all); heap != NULL; heap = heap->all_next) {
        if (heap != hak_tls_heap) {
            hak_lock(&heap->lock);
            hak_home_drain_ready_locked(heap);
            hak_unlock(&heap->lock);
            hak_home_help(heap); /* a signal handler may have come in between */
        }
    }
    hak_cancel_restore(cancel_type);
}

hak_heap_t *hak_heap_first(void) {
    return hak_load_relaxed(&registry.all);
}

size_t hak_heap_count(size_t *orphans) {
    hak_lock(&registry.lock);
    size_t count = registry.heap_count;
    *orphans = hak_load_relaxed(&registry.orphan_count);
    hak_unlock(&registry.lock);
    return count;
}
