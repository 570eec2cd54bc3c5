/* world.c: see world.h. */
#include "world.h"

#include <string.h>

#include "alloc.h"
#include "pool.h"
#include "remote_queue.h"
#include "scheduler.h"
#include "stats.h"

#define BLOCKS_MAX 128
#define HEAPS_MAX 8
#define SLABS_MAX 16
#define CAPACITY_MAX 16
#define FILLED_WORDS 8

static struct {
    uint64_t *p;
    unsigned actor;
    bool live;
} blocks[BLOCKS_MAX];
static unsigned block_count;
static unsigned may_lose, lost; /* blocks */

static struct {
    hak_heap_t *heap;
    unsigned actor;
} heaps[HEAPS_MAX];
static unsigned heap_count;

typedef enum { PLACE_NONE, PLACE_LIVE, PLACE_BIN, PLACE_RESERVE, PLACE_HOME, PLACE_REMOTE } place_t;
static const char *const place_names[] = {
    "nowhere", "live", "in a bin", "in a reserve", "on the free list", "in the remote queue"};

/* What the audit sees of each ACTIVE slab. */
typedef struct {
    hak_slab_t *slab;
    bool on_ready, in_list;
    unsigned counts[PLACE_REMOTE + 1];
    uint8_t places[CAPACITY_MAX];
} view_t;
static view_t views[SLABS_MAX];
static unsigned view_count;

/* Every heap there is: the one kind of metadata of this size (-Wl,--wrap). */
#define HEAP_BYTES (HAK_HEAP_IN_FRONT + sizeof(hak_heap_t))
_Static_assert(HEAP_BYTES != sizeof(hak_superslab_t), "told apart by their sizes");
void *__real_hak_meta_alloc(size_t bytes, size_t align);
void *__wrap_hak_meta_alloc(size_t bytes, size_t align);
void *__wrap_hak_meta_alloc(size_t bytes, size_t align) {
    char *memory = __real_hak_meta_alloc(bytes, align);
    if (bytes == HEAP_BYTES) {
        if (heap_count == HEAPS_MAX) {
            model_fail("too many heaps");
        }
        heaps[heap_count].heap = (hak_heap_t *)(void *)(memory + HAK_HEAP_IN_FRONT);
        heaps[heap_count++].actor = model_actor();
    }
    return memory;
}

unsigned world_heap_count(void) {
    return heap_count;
}

hak_heap_t *world_heap(unsigned index) {
    return heaps[index].heap;
}

unsigned world_heap_actor(const hak_heap_t *heap) {
    for (unsigned i = 0; i < heap_count; i++) {
        if (heaps[i].heap == heap) {
            return heaps[i].actor;
        }
    }
    return SCHED_ACTORS;
}

/* ---- What threads do --------------------------------------------------------------------------- */

static hak_slab_t *slab_of(const void *p) {
    uint8_t tag = hak_map_tag(p);
    return hak_tag_is_class(tag) ? hak_slab_of(p, hak_tag_class(tag)) : NULL;
}

static unsigned index_in_slab(const hak_slab_t *slab, const void *p) {
    return hak_class_index(slab->cls, (size_t)((const char *)p - hak_slab_base(slab)));
}

static uint64_t contents(unsigned number) {
    return 0xB10C000000000000U + number;
}

static void check_contents(unsigned number) {
    for (unsigned i = 0; i < FILLED_WORDS; i++) {
        if (blocks[number].p[i] != contents(number)) {
            model_fail("a live block was written to (word %u of block %u)", i, number);
        }
    }
}

unsigned world_alloc_size(size_t size) {
    unsigned number = block_count++;
    if (number == BLOCKS_MAX) {
        model_fail("too many blocks");
    }
    model_note("malloc(%zu)", size);
    uint64_t *p = hak_malloc(size);
    if (p == NULL) {
        model_fail("no memory");
    }
    for (unsigned i = 0; i < number; i++) {
        if (blocks[i].live && blocks[i].p == p) {
            model_fail("a live block was handed out again (block %u)", i);
        }
    }
    for (unsigned i = 0; i < FILLED_WORDS; i++) {
        p[i] = contents(number);
    }
    blocks[number].p = p;
    blocks[number].actor = model_actor();
    blocks[number].live = true;
    const hak_slab_t *slab = slab_of(p);
    model_note("got block %u.%u", slab->index, index_in_slab(slab, p));
    return number;
}

unsigned world_alloc(void) {
    return world_alloc_size(WORLD_SIZE);
}

void world_alloc_many(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        (void)world_alloc();
    }
}

void world_free(unsigned number) {
    const hak_slab_t *slab = slab_of(blocks[number].p);
    check_contents(number);
    model_note("free(block %u.%u)", slab->index, index_in_slab(slab, blocks[number].p));
    blocks[number].live = false;
    hak_free(blocks[number].p);
}

/* Though it be short. */
void world_set_apart(void) {
    unsigned cls = hak_class_of(WORLD_SIZE);
    hak_heap_bin(hak_tls_heap, cls)->reserve_most = 1;
    hak_bins_open(hak_tls_heap, cls);
    hak_tls_heap->shelves[cls].seen = true; /* the first of all intervals would go on */
    hak_bins_interval_over(hak_tls_heap, cls);
}

void world_send_home(void) {
    unsigned cls = hak_class_of(WORLD_SIZE);
    world_set_apart();
    hak_bins_interval_over(hak_tls_heap, cls);
}

void world_free_home(unsigned number) {
    world_free(number);
    world_send_home();
}

void world_scatter(void) {
    unsigned cls = hak_class_of(WORLD_SIZE);
    hak_shelf_t *shelf = &hak_tls_heap->shelves[cls];
    hak_bins_open(hak_tls_heap, cls);
    shelf->scattered = UINT32_MAX;
    shelf->room_start = 1;
    hak_heap_bin(hak_tls_heap, cls)->room = 1;
    hak_tls_heap->scattered[cls / 64] |= (uint64_t)1 << cls % 64;
}

void *world_block(unsigned number) {
    return blocks[number].p;
}

void world_may_lose(unsigned most) {
    may_lose = most;
}

/* ---- The audit: slabs and blocks --------------------------------------------------------------- */

static void view_slab(hak_slab_t *slab, void *context) {
    (void)context;
    if (view_count == SLABS_MAX) {
        model_fail("too many slabs");
    }
    views[view_count] = (view_t){.slab = slab};
    view_count++;
}

static view_t *view_of(const hak_slab_t *slab) {
    for (unsigned i = 0; i < view_count; i++) {
        if (views[i].slab == slab) {
            return &views[i];
        }
    }
    return NULL;
}

static void place_block(const void *p, place_t place) {
    view_t *view = view_of(slab_of(p));
    if (view == NULL || !hak_slab_holds(view->slab, p)) {
        model_fail("%p is %s, but no block", p, place_names[place]);
    }
    unsigned index = index_in_slab(view->slab, p);
    if (view->places[index] != PLACE_NONE) {
        model_fail("block %u.%u is %s and %s", view->slab->index, index,
                   place_names[view->places[index]], place_names[place]);
    }
    view->places[index] = place;
    view->counts[place]++;
}

static void place_chain(const void *first, place_t place) {
    for (const void *p = first; p != NULL; p = hak_block_next(p)) {
        place_block(p, place);
        if (!hak_block_is_stamped(p)) {
            model_fail("%p is %s without a stamp", p, place_names[place]);
        }
    }
}

static void place_all_blocks(void) {
    for (unsigned i = 0; i < block_count; i++) {
        if (blocks[i].live) {
            place_block(blocks[i].p, PLACE_LIVE);
            check_contents(i);
        }
    }
    for (unsigned i = 0; i < heap_count; i++) {
        for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
            place_chain(hak_heap_bin(heaps[i].heap, cls)->head, PLACE_BIN);
            place_chain(hak_bins_reserve(&heaps[i].heap->shelves[cls]), PLACE_RESERVE);
        }
    }
    for (unsigned i = 0; i < view_count; i++) {
        place_chain(views[i].slab->free, PLACE_HOME);
        place_chain(hak_remote_first(views[i].slab, hak_slab_base(views[i].slab)), PLACE_REMOTE);
    }
}

static const void *last_of(const void *block) {
    while (block != NULL && hak_block_next(block) != NULL) {
        block = hak_block_next(block);
    }
    return block;
}

static void check_slab(const view_t *view) {
    const hak_slab_t *slab = view->slab;
    unsigned carved = hak_load_relaxed(&slab->carved);
    for (unsigned i = 0; i < carved; i++) {
        if (view->places[i] == PLACE_NONE && ++lost > may_lose) {
            model_fail("block %u.%u is lost", slab->index, i);
        }
    }
    if (view->counts[PLACE_HOME] != slab->free_count || !hak_slab_is_valid(slab)) {
        model_fail("slab %u: counts are wrong", slab->index);
    }
    hak_chain_t queue = hak_remote_chain(hak_load_relaxed(&slab->remote), hak_slab_base(slab));
    if (view->counts[PLACE_REMOTE] != queue.count ||
        last_of(queue.head) != queue.tail) {
        model_fail("slab %u's remote queue holds %u blocks and says %u", slab->index,
                   view->counts[PLACE_REMOTE], queue.count);
    }
    if (hak_slab_all_home(slab)) {
        model_fail("slab %u has all blocks home and was not released", slab->index);
    }
    if (view->in_list != hak_slab_has_room(slab) || view->in_list != slab->listed) {
        model_fail("slab %u %s in its owner's list", slab->index,
                   view->in_list ? "is, without room," : "with room is not");
    }
    if (hak_load_relaxed(&slab->remote) != 0 && !view->on_ready) {
        model_fail("stranded: slab %u's remote queue is not empty, and it is on no ready list",
                   slab->index);
    }
}

/* ---- The audit: heaps -------------------------------------------------------------------------- */

static void walk_lists(const hak_heap_t *heap) {
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_slab_t *prev = NULL;
        for (hak_slab_t *slab = heap->shelves[cls].slabs; slab != NULL; slab = slab->next) {
            view_t *view = view_of(slab);
            if (view == NULL || view->in_list || slab->prev != prev || slab->cls != cls ||
                hak_load_relaxed(&slab->owner) != heap) {
                model_fail("a heap's list of slabs is broken (slab %u)", slab->index);
            }
            view->in_list = true;
            prev = slab;
        }
    }
}

/* A ready list, or a list of slabs that wait. */
static unsigned walk_ready_list(const hak_heap_t *heap, hak_slab_t *slab) {
    unsigned slots = 0;
    if (slab != NULL && hak_load_relaxed(&heap->state) == HAK_HEAP_ORPHAN) {
        model_fail("stranded: slab %u is on the ready list of an orphan, or waits", slab->index);
    }
    for (; slab != NULL; slab = hak_load_relaxed(&slab->ready_next)) {
        view_t *view = view_of(slab);
        if (view == NULL) {
            model_fail("slab %u is on a ready list and was released", slab->index);
        }
        if (view->on_ready) {
            model_fail("slab %u is on ready lists twice", slab->index);
        }
        view->on_ready = true;
        if (hak_load_relaxed(&slab->remote) == 0) {
            model_fail("slab %u is on a ready list, its remote queue empty", slab->index);
        }
        slots += slab->slots;
    }
    return slots;
}

static void walk_ready(const hak_heap_t *heap) {
    unsigned waiting = 0;
    (void)walk_ready_list(heap, hak_load_relaxed(&heap->ready));
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        waiting += walk_ready_list(heap, heap->shelves[cls].waiting);
    }
    if (waiting != heap->waiting_slots) {
        model_fail("%u slots wait, and %u are counted", waiting, heap->waiting_slots);
    }
}

static void count_slabs(const hak_heap_t *heap) {
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        unsigned count = 0;
        for (unsigned i = 0; i < view_count; i++) {
            const hak_slab_t *slab = views[i].slab;
            count += hak_load_relaxed(&slab->owner) == heap && slab->cls == cls;
        }
        if (count != heap->shelves[cls].slab_count) {
            model_fail("a heap counts %u slabs of class %u, and has %u",
                       heap->shelves[cls].slab_count, cls, count);
        }
    }
}

static bool bins_are_empty(hak_heap_t *heap) {
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        if (hak_heap_bin(heap, cls)->head != NULL ||
            hak_load_relaxed(&heap->shelves[cls].reserve) != 0) {
            return false;
        }
    }
    return true;
}

static void check_heap(hak_heap_t *heap) {
    unsigned holders = 0;
    for (unsigned i = 0; i < SCHED_ACTORS; i++) {
        holders += model_heap(i) == heap;
    }
    bool orphan = hak_load_relaxed(&heap->state) == HAK_HEAP_ORPHAN;
    if (holders > 1 || orphan != (holders == 0) || orphan != heap->listed) {
        model_fail("a heap of %u threads is %s, %s", holders, orphan ? "an orphan" : "owned",
                   heap->listed ? "listed" : "not listed");
    }
    if (orphan && !heap->stale_bins && !bins_are_empty(heap)) {
        model_fail("an orphan has blocks in its bins");
    }
    if (hak_load_relaxed(&heap->lock.word) != 0) {
        model_fail("a heap's lock is held by nobody");
    }
    walk_lists(heap);
    walk_ready(heap);
    count_slabs(heap);
}

static void check_registry(void) {
    size_t orphans;
    size_t listed = 0;
    for (unsigned i = 0; i < heap_count; i++) {
        listed += heaps[i].heap->listed;
    }
    if (hak_heap_count(&orphans) != heap_count || orphans != listed) {
        model_fail("the registry's counts are wrong");
    }
}

static uint64_t acquisitions(void) {
    return hak_counters.stage1 + hak_counters.stage2 + hak_counters.stage3;
}

void world_audit(void) {
    view_count = lost = 0;
    hak_pool_each_slab(view_slab, NULL);
    place_all_blocks();
    for (unsigned i = 0; i < heap_count; i++) {
        check_heap(heaps[i].heap);
    }
    for (unsigned i = 0; i < view_count; i++) {
        if (world_heap_actor(hak_load_relaxed(&views[i].slab->owner)) == SCHED_ACTORS) {
            model_fail("slab %u has no owner", views[i].slab->index);
        }
        check_slab(&views[i]);
    }
    check_registry();
    if (!hak_pool_is_valid() || acquisitions() - hak_counters.released_slabs != view_count) {
        model_fail("the pool's counts are wrong");
    }
}

unsigned world_slabs_active(void) {
    hak_pool_gauges_t gauges;
    hak_pool_gauges(&gauges);
    return (unsigned)gauges.slots_active;
}

/* ---- What must still be possible ---------------------------------------------------------------- */

/* Blocks of WORLD_SIZE that the owners' slabs can still give. */
static unsigned room_of(const hak_heap_t *heap, bool orphans) {
    unsigned room = 0;
    for (unsigned i = 0; i < view_count; i++) {
        const hak_heap_t *owner = hak_load_relaxed(&views[i].slab->owner);
        bool counts = orphans ? hak_load_relaxed(&owner->state) == HAK_HEAP_ORPHAN : owner == heap;
        if (counts && views[i].slab->cls == hak_class_of(WORLD_SIZE)) {
            unsigned carved = hak_load_relaxed(&views[i].slab->carved);
            room += hak_class_info[views[i].slab->cls].capacity - carved;
            room += views[i].counts[PLACE_HOME] + views[i].counts[PLACE_REMOTE];
        }
    }
    return room;
}

static bool is_alive(unsigned thread) {
    return model_heap(thread) != HAK_HEAP_NONE && model_heap(thread) != HAK_HEAP_LATE;
}

static void empty_own_bins(void) {
    unsigned guest = model_actor();
    for (unsigned i = 0; i < guest; i++) {
        if (is_alive(i)) {
            model_become(i);
            hak_heap_trim();
        }
    }
    model_become(guest);
    hak_heap_trim();
}

/* The guest first: what it takes from orphans must not be taken by others before. */
static void allocate_everything(void) {
    unsigned guest = model_actor();
    uint64_t before = acquisitions();
    unsigned room[SCHED_ACTORS];
    for (unsigned i = 0; i <= guest; i++) {
        room[i] = i == guest ? room_of(NULL, true) : is_alive(i) ? room_of(model_heap(i), false) : 0;
    }
    for (unsigned i = guest + 1; i-- > 0;) {
        model_become(i);
        world_alloc_many(room[i]);
        if (acquisitions() != before) {
            model_fail("memory that is free cannot be allocated");
        }
    }
    model_become(guest);
}

static void end_everything(void) {
    unsigned guest = model_actor();
    for (unsigned i = 0; i < block_count; i++) {
        if (blocks[i].live) {
            model_become(is_alive(blocks[i].actor) ? blocks[i].actor : guest);
            world_free(i);
        }
    }
    for (unsigned i = 0; i <= guest; i++) {
        model_become(i);
        model_exit_thread();
    }
}

void world_finish(void) {
    world_audit();
    empty_own_bins();
    world_audit();
    allocate_everything();
    world_audit();
    end_everything();
    world_audit();
    if (view_count > lost) {
        model_fail("%u slabs are left when all is freed", view_count);
    }
}
