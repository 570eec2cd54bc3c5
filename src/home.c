/* home.c: see home.h.
 *
 * Threads:   functions named _locked expect heap->lock to be held.
 */
#include "home.h"

#include "large.h"
#include "message.h"
#include "os.h"
#include "pool.h"
#include "remote_queue.h"
#include "stats.h"

/* Blocks of one chain are gathered by slab in this many places at a time. */
#define GROUPS 16
#define EACH_REMEMBERED 8U

/* ---- Slabs of a heap ------------------------------------------------------------------------ */

void hak_home_list_slab_locked(hak_heap_t *heap, hak_slab_t *slab) {
    hak_shelf_t *shelf = &heap->shelves[slab->cls];
    slab->prev = NULL;
    slab->next = shelf->slabs;
    if (slab->next != NULL) {
        slab->next->prev = slab;
    }
    shelf->slabs = slab;
    slab->listed = true;
}

void hak_home_unlist_slab_locked(hak_heap_t *heap, hak_slab_t *slab) {
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
            hak_home_unlist_slab_locked(heap, slab);
        }
        hak_home_count_slab_locked(heap, slab->cls, -1);
        hak_heap_note_locked(heap, HAK_EVENT_RELEASED, slab->cls, hak_slab_base(slab), 0);
        hak_pool_release(slab);
        hak_large_keep_bound();
    } else if (!slab->listed) {
        hak_home_list_slab_locked(heap, slab);
    }
}

static void push_ready(hak_heap_t *owner, hak_slab_t *slab) {
    uint32_t slots = slab->slots; /* after the push the slab may be gone */
    hak_ready_push(&owner->ready, slab);
    hak_add_relaxed(&owner->ready_count, slots); /* not before: hak_home_drain_ready_locked() */
    hak_home_help(owner);
}

static void add_out(hak_heap_t *heap, unsigned cls, unsigned blocks) {
    _Atomic uint32_t *out = &heap->shelves[cls].out;
    hak_store_relaxed(out, hak_load_relaxed(out) +
                               blocks); /* relaxed: a look that comes late or early */
}

void hak_home_count_slab_locked(hak_heap_t *heap, unsigned cls, int change) {
    heap->shelves[cls].slab_count += (uint32_t)change;
    heap->tiny_slabs += cls < HAK_TINY_CLASSES ? (size_t)change : 0;
}

void hak_home_move_out_locked(hak_heap_t *from, hak_heap_t *to, const hak_slab_t *slab) {
    unsigned out = hak_load_relaxed(&slab->carved) - slab->free_count;
    add_out(from, slab->cls, -out);
    add_out(to, slab->cls, out);
}

unsigned hak_home_take_locked(hak_heap_t *heap, hak_slab_t *slab, unsigned want,
                              hak_chain_t *chain) {
    unsigned carved = hak_load_relaxed(&slab->carved);
    unsigned taken = hak_slab_take(slab, want, chain);
    add_out(heap, slab->cls, taken);
    HAK_TALLY_N(heap, carved_blocks, hak_load_relaxed(&slab->carved) - carved);
    return taken;
}

/* ---- Remote queues --------------------------------------------------------------------------- */

/* Slabs off the ready list wait, each with others of its class, for the next refill of the class.
 * Until then their queues grow, and the lines that producers write stay with them: were each refill
 * to empty the queues of all classes, those lines would go back and forth for a handful of blocks.
 *
 * A slab that was adopted while a producer was on its way here belongs to another heap by now and
 * is passed on, its queue untouched. */
static void sort_ready_locked(hak_heap_t *heap) {
    hak_slab_t *slab = hak_ready_take_all(&heap->ready);
    while (slab != NULL) {
        hak_slab_t *next = hak_load_relaxed(&slab->ready_next); /* seen with the list */
        hak_heap_t *owner = hak_load_relaxed(&slab->owner);
        if (HAK_LIKELY(owner == heap)) {
            hak_shelf_t *shelf = &heap->shelves[slab->cls];
            hak_store_relaxed(&slab->ready_next, shelf->waiting);
            shelf->waiting = slab;
            heap->waiting_classes[slab->cls / 64] |= (uint64_t)1 << slab->cls % 64;
            heap->waiting_slots += slab->slots;
        } else {
            push_ready(owner, slab);
        }
        slab = next;
    }
}

static hak_slab_t *take_waiting_locked(hak_heap_t *heap, unsigned cls) {
    hak_shelf_t *shelf = &heap->shelves[cls];
    hak_slab_t *slab = shelf->waiting;
    if (slab != NULL) {
        shelf->waiting = hak_load_relaxed(&slab->ready_next);
        heap->waiting_slots -= slab->slots;
    }
    return slab;
}

/* Slabs whose last block comes home so are released. */
static void take_home_locked(hak_heap_t *heap, hak_slab_t *slab) {
    unsigned home = hak_slab_drain_remote(slab);
    hak_heap_note_locked(heap, HAK_EVENT_RECEIVED, slab->cls, hak_slab_base(slab), home);
    add_out(heap, slab->cls, -home);
    settle_slab_locked(heap, slab);
}

/* The count starts anew before the list is taken: a slab that comes later is counted later; one too
 * many makes help come early. */
bool hak_home_drain_ready_locked(hak_heap_t *heap) {
    hak_store_relaxed(&heap->ready_count, 0);
    sort_ready_locked(heap);
    bool any = heap->waiting_slots != 0;
    for (unsigned i = 0; i < 2; i++) {
        for (uint64_t left = heap->waiting_classes[i]; left != 0; left &= left - 1) {
            hak_slab_t *slab;
            unsigned cls = i * 64 + (unsigned)__builtin_ctzll(left);
            while ((slab = take_waiting_locked(heap, cls)) != NULL) {
                take_home_locked(heap, slab);
            }
        }
        heap->waiting_classes[i] = 0;
    }
    return any;
}

/* Queue upon queue, none walked along. One that is too long comes home, as in a drain; should its
 * count grow meanwhile, that does no harm. */
static hak_chain_t take_queues_locked(hak_heap_t *heap, unsigned cls, unsigned want,
                                      unsigned most) {
    hak_chain_t all = {NULL, NULL, 0};
    hak_slab_t *slab;
    while (all.count < (want + 1) / 2 && (slab = take_waiting_locked(heap, cls)) != NULL) {
        if (hak_remote_count(hak_load_relaxed(&slab->remote)) > most) {
            take_home_locked(heap, slab);
            continue;
        }
        hak_chain_t queue = hak_slab_receive(slab);
        hak_heap_note_locked(heap, HAK_EVENT_RECEIVED, cls, hak_slab_base(slab), queue.count);
        if (all.count == 0) {
            all = queue;
        } else {
            hak_block_set_next(queue.tail, all.head);
            all.head = queue.head;
            all.count += queue.count;
        }
    }
    return all;
}

/* The heap may not want a block of some class for long: nothing waits so long. */
hak_chain_t hak_home_receive_locked(hak_heap_t *heap, unsigned cls, unsigned want, unsigned most) {
    uint32_t before = heap->waiting_slots;
    /* Relaxed: what comes at this moment is seen by the look that follows every unlock. */
    if (before == 0 && hak_load_relaxed(&heap->ready) == NULL) {
        return (hak_chain_t){NULL, NULL, 0};
    }
    uint32_t now_ms = hak_os.now_ms();
    hak_store_relaxed(&heap->looked_ms, now_ms);
    heap->waiting_ms = before == 0 ? now_ms : heap->waiting_ms;
    hak_store_relaxed(&heap->ready_count, before); /* as in hak_home_drain_ready_locked() */
    sort_ready_locked(heap);
    hak_chain_t chain = take_queues_locked(heap, cls, want, most);
    if (heap->waiting_slots != before) {
        hak_add_relaxed(&heap->ready_count, heap->waiting_slots - before);
    }
    if (heap->waiting_slots >= HAK_AWAKE_SLOTS / 2 || now_ms - heap->waiting_ms >= HAK_AWAKE_MS) {
        hak_home_drain_ready_locked(heap);
    }
    return chain;
}

/* ---- Remote frees ---------------------------------------------------------------------------- */

/* An orphan's ready list is emptied by whoever pushes on it, a sleeper's when it grows long, and
 * with it what waits.
 *
 * Nothing is stranded: the pusher's store to ready precedes its load of state, and an exiting
 * thread's store to state precedes its look at ready, all sequentially consistent, so one of them
 * sees the other. If the lock is held, the holder looks again after it let go, as every path that
 * unlocks a heap ends here, the owner's own too: it may never come to another refill. */
static bool wants_help(hak_heap_t *heap) {
    if (hak_load_seq(&heap->state) == HAK_HEAP_ORPHAN) {
        return true;
    }
    /* An owner that looks just now may seem to be asleep: help that it does not need is no harm. */
    uint32_t slots = hak_load_relaxed(&heap->ready_count);
    return slots >= HAK_ASLEEP_SLOTS &&
           (slots >= HAK_AWAKE_SLOTS ||
            hak_os.now_ms() - hak_load_relaxed(&heap->looked_ms) >= HAK_AWAKE_MS);
}

void hak_home_help(hak_heap_t *heap) {
    while (hak_load_seq(&heap->ready) != NULL && wants_help(heap)) {
        if (!hak_lock_try(&heap->lock)) {
            return;
        }
        HAK_TALLY(heap, helped);
        hak_home_drain_ready_locked(heap);
        hak_unlock(&heap->lock);
    }
}

/* A pointer to where a block would be that was never handed out passes the hit path's checks. */
static HAK_COLD void bin_is_broken(const void *block) {
    hak_message_fatal_about(block, "invalid free of %p: not allocated by hakmem", block);
}

static void push_remote(hak_slab_t *slab, hak_chain_t chain) {
    if (!hak_remote_push(slab, chain)) {
        return;
    }
    /* The blocks just pushed are not home before the slab is on a ready list, so it still is a
     * slab and has an owner; which one may change, see sort_ready_locked(). */
    hak_heap_t *owner = hak_load_relaxed(&slab->owner);
    if (HAK_UNLIKELY(owner == NULL)) { /* a slab at rest: these blocks were home already */
        bin_is_broken(chain.head);
    }
    push_ready(owner, slab);
}

void hak_home_send_remote(hak_slab_t *slab, void *block) {
    HAK_COUNT(remote_batches);
    HAK_COUNT(remote_blocks);
    push_remote(slab, (hak_chain_t){block, block, 1});
}

/* ---- A chain goes home ----------------------------------------------------------------------- */

/* What goes home to one slab of another heap, in one batch. */
typedef struct {
    hak_slab_t *slab;
    hak_chain_t chain;
} group_t;

static HAK_COLD void came_home_twice(const hak_slab_t *slab, const void *block) {
    hak_message_fatal_about(block,
                            "double free: a block came home twice, near %p (class %u, %zu bytes)",
                            block, slab->cls, hak_class_stride(slab->cls));
}

/* The part of a chain from head on that lies in one slab, each block seen to be one and free. Its
 * links stay as they are; *rest is what follows. */
static hak_chain_t cut_stretch(const hak_slab_t *slab, unsigned cls, void *head, void **rest) {
    const uintptr_t stamp = hak_stamp;
    const hak_class_info_t *info = &hak_class_info[cls];
    const uint64_t inverse = info->wide_inverse;
    const uintptr_t base = hak_round_down((uintptr_t)head, info->slots * HAK_SLOT_BYTES);
    const unsigned carved = hak_load_relaxed(&slab->carved);
    const uintptr_t carved_bytes = (uintptr_t)carved * info->stride;
    hak_chain_t stretch = {head, NULL, 0};
    void *block = head;
    for (;;) { /* hak_slab_holds(), drawn out; NULL lies in no slab */
        uintptr_t offset = (uintptr_t)block - base;
        if (offset >= carved_bytes) {
            break;
        }
        if (HAK_UNLIKELY(offset * inverse >= inverse)) {
            bin_is_broken(block);
        }
        if (HAK_UNLIKELY(!hak_block_carries(block, stamp))) {
            hak_block_report_changed(block);
        }
        if (HAK_UNLIKELY(stretch.count == carved)) { /* the chain runs in a circle */
            came_home_twice(slab, block);
        }
        stretch.tail = block;
        stretch.count++;
        block = hak_block_next(block);
    }
    if (HAK_UNLIKELY(stretch.count == 0)) { /* beyond what was carved */
        bin_is_broken(head);
    }
    *rest = block;
    return stretch;
}

/* A chain that comes to a block for a second time is led on from there along the links that it has
 * by now, to the end of what went home first. */
static void give_locked(hak_heap_t *heap, hak_slab_t *slab, hak_chain_t stretch) {
    if (HAK_UNLIKELY(stretch.tail == slab->tail)) {
        came_home_twice(slab, stretch.head);
    }
    hak_slab_give(slab, stretch.head, stretch.tail, stretch.count);
    settle_slab_locked(heap, slab);
}

static void send_group(group_t *group, hak_sent_t *sent) {
    if (group->slab != NULL) {
        push_remote(group->slab, group->chain);
        sent->batches++;
    }
    *group = (group_t){NULL, {NULL, NULL, 0}};
}

/* Slabs of other heaps: one batch for each, as long as the chain does not jump about between more
 * of them than there are places. */
static void join_group(group_t *groups, hak_slab_t *slab, hak_chain_t stretch, hak_sent_t *sent) {
    group_t *group = &groups[((uintptr_t)slab / sizeof *slab) % GROUPS];
    hak_chain_t *chain = &group->chain;
    if (group->slab != slab) {
        send_group(group, sent);
        *group = (group_t){slab, stretch};
        hak_block_set_next(stretch.tail, NULL);
        return;
    }
    if (HAK_UNLIKELY(stretch.tail == chain->tail)) { /* see give_locked() */
        came_home_twice(slab, stretch.head);
    }
    hak_block_set_next(stretch.tail, chain->head);
    chain->head = stretch.head;
    chain->count += stretch.count;
}

static hak_slab_t *slab_at(const void *block, unsigned cls) {
    if (HAK_UNLIKELY(hak_map_tag(block) != hak_tag_of_class(cls))) {
        bin_is_broken(block);
    }
    return hak_slab_of(block, cls);
}

/* Of a chain whose blocks go one by one: those that went. A block that comes again is no free one
 * any more, and its link is a queue's. Of longer chains the last ones are remembered. */
typedef struct {
    const void *heads[EACH_REMEMBERED];
    unsigned count;
} gone_t;

static void note_gone(gone_t *gone, const hak_slab_t *slab, const void *head) {
    unsigned known = (unsigned)hak_min(gone->count, EACH_REMEMBERED);
    for (unsigned i = 0; i < known; i++) {
        if (HAK_UNLIKELY(gone->heads[i] == head)) {
            came_home_twice(slab, head);
        }
    }
    gone->heads[gone->count++ % EACH_REMEMBERED] = head;
}

/* Without groups, each stretch goes as it is. */
static hak_sent_t send_locked(hak_heap_t *heap, unsigned cls, void *block, group_t *groups) {
    hak_sent_t sent = {0, 0, 0};
    gone_t gone = {.count = 0};
    while (block != NULL) {
        void *rest;
        hak_slab_t *slab = slab_at(block, cls);
        hak_chain_t stretch = cut_stretch(slab, cls, block, &rest);
        if (hak_load_relaxed(&slab->owner) == heap) { /* changes only under this heap's lock */
            give_locked(heap, slab, stretch);
            sent.own += stretch.count;
        } else if (groups != NULL) {
            join_group(groups, slab, stretch, &sent);
            sent.others += stretch.count;
        } else {
            note_gone(&gone, slab, stretch.head);
            push_remote(slab, stretch);
            sent.batches++;
            sent.others += stretch.count;
        }
        block = rest;
    }
    add_out(heap, cls, -sent.own);
    return sent;
}

hak_sent_t hak_home_send_locked(hak_heap_t *heap, unsigned cls, void *block) {
    group_t groups[GROUPS] = {{NULL, {NULL, NULL, 0}}};
    hak_sent_t sent = send_locked(heap, cls, block, groups);
    for (unsigned i = 0; i < GROUPS && sent.others != 0; i++) {
        send_group(&groups[i], &sent);
    }
    return sent;
}

hak_sent_t hak_home_send_each_locked(hak_heap_t *heap, unsigned cls, void *block) {
    return send_locked(heap, cls, block, NULL);
}
