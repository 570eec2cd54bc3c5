/* flight.c: see flight.h.
 *
 * Threads:   see flight.h.
 */
#include "flight.h"

#include "guard.h"
#include "message.h"
#include "pool.h"

hak_heap_t *hak_flight_heap;

static void tell_event(const hak_event_t *event) {
    const void *where = (const void *)event->where;
    switch ((hak_event_kind_t)event->kind) {
    case HAK_EVENT_REFILL:
        hak_message_trace("hakmem:     refill: %u blocks, the first %p", event->count, where);
        break;
    case HAK_EVENT_ACQUIRED:
        hak_message_trace("hakmem:     slab %p acquired", where);
        break;
    case HAK_EVENT_ADOPTED:
        hak_message_trace("hakmem:     slab %p adopted", where);
        break;
    case HAK_EVENT_DRAINED:
        hak_message_trace("hakmem:     drain: a bin's blocks go home, the first %p", where);
        break;
    case HAK_EVENT_RECEIVED:
        hak_message_trace("hakmem:     slab %p: %u blocks home that others freed", where,
                          event->count);
        break;
    case HAK_EVENT_RELEASED:
        hak_message_trace("hakmem:     slab %p released", where);
        break;
    }
}

/* heap->lock is held, or never will be released. */
static void tell_events(const hak_heap_t *heap, unsigned cls) {
    unsigned total = heap->event_count;
    unsigned told = 0;
    for (unsigned i = total > HAK_EVENTS ? total - HAK_EVENTS : 0; i != total; i++) {
        const hak_event_t *event = &heap->events[i % HAK_EVENTS];
        if (event->cls == cls) {
            if (told++ == 0) {
                hak_message_trace("hakmem:   of the last %u events of its heap, those of class %u:",
                                  (unsigned)hak_min(total, HAK_EVENTS), cls);
            }
            tell_event(event);
        }
    }
}

static const char *owner_name(const hak_heap_t *owner) {
    if (owner == NULL) {
        return "nobody";
    }
    if (owner == hak_flight_heap) {
        return "this thread";
    }
    if (owner->shared) {
        return "all threads";
    }
    return hak_load_relaxed(&owner->state) == HAK_HEAP_ORPHAN ? "an ended thread"
                                                              : "another thread";
}

/* The pool's lock is held: the memory stays. */
static const char *block_state(const hak_slab_t *slab, long index) {
    if (index < 0 || index >= hak_class_info[slab->cls].capacity) {
        return "none";
    }
    if (index >= hak_load_relaxed(&slab->carved)) {
        return "never made";
    }
    const char *block = hak_slab_base(slab) + (size_t)index * hak_class_stride(slab->cls);
    return hak_block_is_stamped(block) ? "free" : "live";
}

static void tell_slab(const hak_slab_t *slab, const void *about) {
    const hak_class_info_t *info = &hak_class_info[slab->cls];
    const char *base = hak_slab_base(slab);
    long index = (long)hak_class_index(slab->cls, (size_t)((const char *)about - base));
    hak_message_trace("hakmem:   slab %p of %s: %u of %u blocks made, %u of them free at home",
                      (const void *)base, owner_name(hak_load_relaxed(&slab->owner)),
                      (unsigned)hak_load_relaxed(&slab->carved), (unsigned)info->capacity,
                      (unsigned)slab->free_count);
    hak_message_trace("hakmem:   block %ld of it at %p: %s; before it: %s; behind it: %s", index,
                      (const void *)(base + (size_t)index * info->stride), block_state(slab, index),
                      block_state(slab, index - 1), block_state(slab, index + 1));
}

void hak_flight_report(const void *about) {
    uint8_t tag = hak_map_tag(about);
    if (tag == HAK_TAG_LARGE) {
        hak_guard_tell(about);
    }
    if (!hak_tag_is_class(tag)) {
        return;
    }
    unsigned cls = hak_tag_class(tag);
    const hak_slab_t *slab = hak_slab_of(about, cls);
    hak_heap_t *owner = hak_load_relaxed(&slab->owner);
    bool locked = owner != NULL && !hak_lock_is_mine(&owner->lock) && hak_lock_try(&owner->lock);
    bool is_mine = owner != NULL && hak_lock_is_mine(&owner->lock);
    if (is_mine && hak_pool_try_lock()) {
        tell_slab(slab, about);
        hak_pool_unlock();
    }
    if (is_mine) {
        tell_events(owner, cls);
    }
    if (locked) {
        hak_unlock(&owner->lock);
    }
}
