/* heap_search.c: see heap_search.h.
 *
 * Threads:   functions named _locked expect every lock to be held (hak_heap_lock_all()).
 */
#include "heap_search.h"

#include "pool.h"
#include "remote_queue.h"

static bool is_stamped_now(const void *block) {
    const _Atomic uintptr_t *words = (const _Atomic uintptr_t *)block;
    return hak_load_acquire(&words[1]) == hak_stamp;
}

static bool is_free_block(const void *block, unsigned cls) {
    return hak_map_tag(block) == hak_tag_of_class(cls) && (uintptr_t)block % HAK_ALIGNMENT == 0 &&
           is_stamped_now(block);
}

/* A step along a chain that its owner may be changing: a link is followed only from where a free
 * block of the class can be. No such memory goes away while the pool's lock is held, so reading it
 * is safe. The stamp comes after the link (hak_bin_push()) and goes before the program can write:
 * with the stamp on before and after, it was a link that was read, unless the block was allocated,
 * written and freed in between. NULL at the end, or where the chain has changed. */
static const void *next_free(const void *block, unsigned cls) {
    if (!is_free_block(block, cls)) {
        return NULL;
    }
    const void *next = (const void *)hak_load_acquire((const _Atomic uintptr_t *)block);
    return is_stamped_now(block) ? next : NULL;
}

/* Looks that must agree before anybody is accused of a double free. */
#define ACCUSE_WALKS 3
#define CHAIN_MOST (2 * (size_t)UINT16_MAX)

static bool chain_holds(const void *block, const void *link, unsigned cls) {
    for (size_t steps = 0; link != NULL && steps < CHAIN_MOST; steps++) {
        if (link == block) {
            return true;
        }
        link = next_free(link, cls);
    }
    return false;
}

/* False when the chain ends where it should not. */
static bool visit_chain(const void *link, unsigned cls, hak_visit_free_t *visit, void *context) {
    for (size_t steps = 0; link != NULL && steps < CHAIN_MOST; steps++) {
        const void *next = next_free(link, cls);
        if (!is_free_block(link, cls)) { /* so next may be no link */
            return false;
        }
        visit(link, cls, context);
        link = next;
    }
    return link == NULL;
}

bool hak_heap_each_bin_block_locked(hak_visit_free_t *visit, void *context) {
    bool whole = true;
    for (hak_heap_t *heap = hak_heap_first(); heap != NULL; heap = heap->all_next) {
        for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
            void *const volatile *head = &hak_heap_bin(heap, cls)->head;
            const void *reserve = hak_bins_reserve(&heap->shelves[cls]);
            whole &= visit_chain(*head, cls, visit, context);
            whole &= visit_chain(reserve, cls, visit, context);
        }
    }
    return whole;
}

/* The head twice: what set_apart() moves from it to the reserve meanwhile is not overlooked. */
static bool heap_holds(hak_heap_t *heap, const void *block, unsigned cls) {
    void *const volatile *head = &hak_heap_bin(heap, cls)->head;
    return chain_holds(block, *head, cls) ||
           chain_holds(block, hak_bins_reserve(&heap->shelves[cls]), cls) ||
           chain_holds(block, *head, cls);
}

static bool find_free_locked(const void *block, unsigned cls) {
    hak_slab_t *slab = hak_slab_of(block, cls);
    bool found = chain_holds(block, slab->free, cls) ||
                 chain_holds(block, hak_remote_first(slab, block), cls);
    for (hak_heap_t *heap = hak_heap_first(); heap != NULL && !found; heap = heap->all_next) {
        found = heap_holds(heap, block, cls);
    }
    return found;
}

bool hak_heap_block_is_free(const void *block, unsigned cls) {
    bool found = true;
    hak_heap_lock_all();
    /* Its slab may have been released meanwhile; then it is free. */
    bool gone = hak_map_tag(block) != hak_tag_of_class(cls);
    /* A free block is found each time, a live one by rare chance: see next_free(). */
    for (int walks = 0; walks < ACCUSE_WALKS && found && !gone; walks++) {
        found = find_free_locked(block, cls);
    }
    hak_heap_unlock_all();
    return found;
}

/* ---- Validity -------------------------------------------------------------------------------- */

/* The blocks of one slab that were found in some list. */
typedef struct {
    const hak_slab_t *slab;
    uint64_t found[HAK_SLOT_BYTES / HAK_ALIGNMENT / 64];
    bool valid;
} census_t;

/* A chain may hold blocks of other slabs too. A block of this slab must be free, and in no list
 * yet; so a chain that runs in a circle is left at its second round. */
static unsigned census_chain(census_t *census, const void *block) {
    const hak_slab_t *slab = census->slab;
    unsigned count = 0;
    for (; block != NULL && census->valid; block = hak_block_next(block)) {
        if (hak_map_tag(block) != hak_tag_of_class(slab->cls) || !hak_block_is_stamped(block)) {
            census->valid = false;
        } else if (hak_slab_of(block, slab->cls) == slab) {
            size_t offset = (uintptr_t)block - (uintptr_t)hak_slab_base(slab);
            unsigned index = hak_class_index(slab->cls, offset);
            uint64_t bit = (uint64_t)1 << index % 64;
            census->valid = hak_slab_holds(slab, block) && !(census->found[index / 64] & bit);
            census->found[index / 64] |= bit;
            count++;
        }
    }
    return count;
}

static void census_heap(census_t *census, hak_heap_t *heap) {
    unsigned cls = census->slab->cls;
    (void)census_chain(census, hak_heap_bin(heap, cls)->head);
    (void)census_chain(census, hak_bins_reserve(&heap->shelves[cls]));
}

/* What is free is in exactly one place, and what is in none is live. */
static void census_slab(hak_slab_t *slab, void *valid) {
    census_t census = {.slab = slab, .valid = *(bool *)valid && hak_slab_is_valid(slab)};
    unsigned free_count = census_chain(&census, slab->free);
    hak_chain_t queue = hak_remote_chain(hak_load_acquire(&slab->remote), hak_slab_base(slab));
    unsigned queued = census_chain(&census, queue.head);
    census.valid = census.valid && queued == queue.count &&
                   (queued == 0 || hak_block_next(queue.tail) == NULL);
    for (hak_heap_t *heap = hak_heap_first(); heap != NULL; heap = heap->all_next) {
        census_heap(&census, heap);
    }
    char *base = hak_slab_base(slab);
    unsigned carved = hak_load_relaxed(&slab->carved);
    for (unsigned i = 0; i < carved && census.valid; i++) {
        bool listed = (census.found[i / 64] >> i % 64) & 1;
        census.valid = listed == hak_block_is_stamped(base + i * hak_class_stride(slab->cls));
    }
    bool owned = hak_load_relaxed(&slab->owner) != NULL && slab->listed == hak_slab_has_room(slab);
    *(bool *)valid = census.valid && owned && free_count == slab->free_count;
}

/* Slabs that wait are the heap's, of the class, and others have sent them blocks. */
static bool waiting_is_valid(const hak_heap_t *heap) {
    uint32_t slots = 0;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_slab_t *slab = heap->shelves[cls].waiting;
        bool marked = (heap->waiting_classes[cls / 64] >> cls % 64) & 1;
        for (; slab != NULL; slab = hak_load_relaxed(&slab->ready_next)) {
            slots += slab->slots;
            if (!marked || slots > heap->waiting_slots || slab->cls != cls ||
                hak_load_relaxed(&slab->owner) != heap || hak_load_relaxed(&slab->remote) == 0) {
                return false;
            }
        }
    }
    return slots == heap->waiting_slots;
}

bool hak_heap_is_valid(void) {
    bool valid = true;
    hak_heap_lock_all();
    for (hak_heap_t *heap = hak_heap_first(); heap != NULL; heap = heap->all_next) {
        valid =
            valid && waiting_is_valid(heap) && (heap != hak_tls_heap || hak_bins_is_valid(heap));
    }
    hak_pool_each_slab(census_slab, &valid);
    hak_heap_unlock_all();
    return valid;
}
