/* walk.c: see walk.h.
 *
 * Threads:   static functions expect every lock to be held.
 *
 * Free blocks are marked first, in a bit for each 16 bytes of a SuperSlab, so that each list is
 * walked once, however many slabs there are. The marks are a mapping of their own that goes away
 * again.
 */
#include "walk.h"

#include <errno.h>
#include <pthread.h>

#include "alloc.h"
#include "armor.h"
#include "guard.h"
#include "heap_search.h"
#include "large.h"
#include "os.h"
#include "pool.h"
#include "remote_queue.h"
#include "stats.h"

#define MARK_WORDS (HAK_SUPERSLAB_BYTES / HAK_ALIGNMENT / 64)

typedef struct {
    hak_visitor_t *visit;
    void *arg;
    int result; /* what the visitor returned last; not 0: it wants no more */
    bool torn;  /* another thread changed a chain while it was walked: its rest is not marked */
} walk_t;

/* ---- Marks ----------------------------------------------------------------------------------- */

static size_t mark_bit(const void *block) {
    return (uintptr_t)block % HAK_SUPERSLAB_BYTES / HAK_ALIGNMENT;
}

static void mark(const void *block, unsigned cls, void *unused) {
    (void)cls;
    (void)unused;
    const hak_superslab_t *ss = hak_map_record(block);
    size_t bit = mark_bit(block);
    ss->marks[bit / 64] |= (uint64_t)1 << bit % 64;
}

static void mark_chain(const hak_slab_t *slab, const void *block) {
    unsigned most = hak_load_relaxed(&slab->carved);
    for (unsigned count = 0; block != NULL && count < most; count++) {
        mark(block, slab->cls, NULL);
        block = hak_slab_next_free(slab, block);
    }
}

static void mark_slab(hak_slab_t *slab, void *unused) {
    (void)unused;
    mark_chain(slab, slab->free);
    mark_chain(slab, hak_remote_first(slab, hak_slab_base(slab)));
}

/* A block that carries the stamp and is in no list is live: the program may have copied a free one.
 */
static bool is_free(const walk_t *walk, const hak_superslab_t *ss, const void *block) {
    size_t bit = mark_bit(block);
    return ((ss->marks[bit / 64] >> bit % 64) & 1) != 0 ||
           (walk->torn && hak_block_is_stamped(block));
}

static size_t give_marks(uint64_t *marks) {
    size_t count = 0;
    hak_superslab_t *ss = NULL;
    while ((ss = hak_pool_next_superslab(ss)) != NULL) {
        ss->marks = marks != NULL ? marks + count * MARK_WORDS : NULL;
        count++;
    }
    return count;
}

/* ---- Visits ---------------------------------------------------------------------------------- */

static bool visit(walk_t *walk, hak_visit_kind_t kind, int cls, const void *address, size_t size) {
    const hak_visit_t what = {.kind = kind, .size_class = cls, .address = address, .size = size};
    walk->result = walk->visit(&what, walk->arg);
    return walk->result == 0;
}

static void visit_slab(hak_slab_t *slab, void *context) {
    walk_t *walk = context;
    const hak_superslab_t *ss = hak_slab_superslab(slab);
    const char *base = hak_slab_base(slab);
    size_t stride = hak_class_stride(slab->cls);
    size_t carved = hak_load_relaxed(&slab->carved);
    if (walk->result != 0 ||
        !visit(walk, HAK_VISIT_SLAB, slab->cls, base, slab->slots * HAK_SLOT_BYTES)) {
        return;
    }
    for (size_t i = 0; i < carved; i++) {
        const char *block = base + i * stride;
        size_t size = stride;
        bool live = hak_hardened ? hak_armor_is_live_locked(slab, (unsigned)i, &size)
                                 : !is_free(walk, ss, block);
        if (live && !visit(walk, HAK_VISIT_BLOCK, slab->cls, block, size)) {
            return;
        }
    }
}

/* Of a run with untouchable pages, the block in it; none where it was freed and is held. */
static bool visit_large(void *start, size_t bytes, void *context) {
    hak_guard_place_t place = hak_guard_run_locked(start);
    if (place.kind == HAK_GUARD_FREED) {
        return true;
    }
    if (place.kind != HAK_GUARD_NONE) {
        start = place.start;
        bytes = place.size;
    }
    return visit(context, HAK_VISIT_BLOCK, -1, start, bytes);
}

static void walk_all(walk_t *walk) {
    hak_pool_each_slab(mark_slab, NULL);
    walk->torn = !hak_heap_each_bin_block_locked(mark, NULL);
    hak_pool_each_slab(visit_slab, walk);
    if (walk->result == 0) {
        hak_large_each_live_locked(visit_large, walk);
    }
}

int hak_walk(hak_visitor_t *visitor, void *arg) {
    walk_t walk = {visitor, arg, 0, false};
    hak_heap_t *heap = hak_tls_heap;
    if (hak_map.slot_count == 0) {
        return 0; /* nothing was ever allocated */
    }
    int cancel_state; /* the callback may come to a cancellation point */
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    hak_lock_everything();
    size_t superslabs = give_marks(NULL);
    size_t bytes = hak_round_up(superslabs * MARK_WORDS * sizeof(uint64_t), hak_map.page_bytes);
    uint64_t *marks = bytes != 0 ? hak_os.map(bytes) : NULL;
    bool ready = marks != NULL || bytes == 0;
    if (ready) {
        HAK_COUNT_N(map_calls, bytes != 0);
        (void)give_marks(marks);
        hak_tls_heap = HAK_HEAP_LATE; /* its hit paths miss, and every slow path meets a lock */
        hak_lock_note = "malloc or free in a callback of hak_heap_visit";
        walk_all(&walk);
        hak_lock_note = NULL;
        hak_tls_heap = heap;
        (void)give_marks(NULL);
    }
    hak_unlock_everything();
    (void)pthread_setcancelstate(cancel_state, &cancel_state);
    if (marks != NULL) {
        HAK_COUNT(unmap_calls);
        (void)hak_os.unmap(marks, bytes);
    }
    if (!ready) {
        errno = ENOMEM;
    }
    return ready ? walk.result : -1;
}
