/* slab.c: see slab.h.
 *
 * Threads:   the caller holds the lock of the slab's owner.
 */
#include "slab.h"

#include "message.h"
#include "os.h"
#include "remote_queue.h"
#include "stats.h"

void *hak_block_report_changed(const void *block) {
    uint8_t tag = hak_map_tag(block);
    if (!hak_tag_is_class(tag)) {
        hak_message_fatal("free list is corrupt: it leads to %p, which is no block", block);
    }
    unsigned cls = hak_tag_class(tag);
    hak_message_fatal_about(block,
                            "free list is corrupt: %p was written to after it was freed "
                            "(class %u, %zu bytes)",
                            block, cls, hak_class_stride(cls));
}

/* Nothing is written into a block before its stamp was seen: one that stands in a list wrongly may
 * be in use. */
static void link_free(void *block, void *next) {
    if (HAK_UNLIKELY(!hak_block_is_stamped(block))) {
        hak_block_report_changed(block);
    }
    hak_block_set_next(block, next);
}

static void append(hak_chain_t *chain, void *head, void *tail, unsigned count) {
    if (chain->head == NULL) {
        chain->head = head;
    } else {
        link_free(chain->tail, head);
    }
    chain->tail = tail;
    chain->count += count;
}

/* The last of the first want free blocks, of which there are more. */
static void *walk_free(const hak_slab_t *slab, unsigned want) {
    void *last = slab->free;
    for (unsigned i = 1; i < want; i++) {
        void *next = hak_block_next(last);
        if (HAK_UNLIKELY(!hak_slab_holds(slab, next))) {
            hak_block_report_changed(last);
        }
        last = next;
    }
    return last;
}

/* What came home last, if it is about what is wanted, goes as it came: where its last block lies
 * is known. Blocks that were freed elsewhere are not in this core's cache, and a walk along them
 * waits for each. */
static unsigned take_free(hak_slab_t *slab, unsigned want, hak_chain_t *chain) {
    HAK_ASSERT(want != 0);
    unsigned count = slab->free_count;
    void *head = slab->free;
    void *last = slab->tail;
    void *rest = NULL;
    if (count > want) {
        bool fits = slab->batch_count <= want && slab->batch_count >= want - want / 2;
        count = fits ? slab->batch_count : want;
        last = fits ? hak_slab_at(slab->batch_tail, head) : walk_free(slab, want);
        rest = hak_block_next(last);
        if (HAK_UNLIKELY(!hak_slab_holds(slab, rest))) {
            hak_block_report_changed(last);
        }
        link_free(last, NULL);
    } else {
        slab->tail = NULL;
    }
    slab->free = rest;
    slab->free_count = (uint16_t)(slab->free_count - count);
    slab->batch_count = (uint16_t)(slab->batch_count - hak_min(count, slab->batch_count));
    append(chain, head, last, count);
    return count;
}

size_t hak_slab_resident_bytes(const hak_slab_t *slab) {
    size_t pages = 0;
    for (unsigned i = 0; i < slab->slots; i++) {
        pages += slab[i].dirty_pages;
        if (slab[i].dirty_pages < HAK_SLOT_DIRTY_PAGES) {
            break;
        }
    }
    return pages * HAK_DIRTY_PAGE_BYTES;
}

void hak_slab_populate(hak_slab_t *slab, size_t bytes) {
    static _Atomic bool refused; /* by a system that cannot: relaxed, another try does no harm */
    size_t carved = hak_load_relaxed(&slab->carved) * hak_class_stride(slab->cls);
    size_t touched = hak_round_up(carved, hak_map.page_bytes);
    size_t from = hak_max(hak_slab_resident_bytes(slab), touched);
    size_t to =
        hak_min(hak_round_down(carved + bytes, hak_map.page_bytes), slab->slots * HAK_SLOT_BYTES);
    if (from != touched || to < from + 2 * hak_map.page_bytes || hak_load_relaxed(&refused)) {
        return;
    }
    HAK_COUNT(populate_calls);
    if (!hak_os.populate(hak_slab_base(slab) + from, to - from)) {
        hak_store_relaxed(&refused, true);
        return;
    }
    for (unsigned i = 0; i < slab->slots && i * HAK_SLOT_BYTES < to; i++) {
        size_t here = hak_min(to - i * HAK_SLOT_BYTES, HAK_SLOT_BYTES) / HAK_DIRTY_PAGE_BYTES;
        slab[i].dirty_pages = (uint8_t)hak_max(slab[i].dirty_pages, here);
    }
}

/* At most a page where pages would have to be made resident; what is resident costs nothing. */
static unsigned carve_limit(const hak_slab_t *slab, unsigned carved) {
    const hak_class_info_t *info = &hak_class_info[slab->cls];
    size_t edge = (size_t)carved * info->stride;
    size_t resident = hak_slab_resident_bytes(slab);
    size_t ready = resident > edge ? (resident - edge) / info->stride : 0;
    return (unsigned)hak_min(hak_max(ready, info->carve), info->capacity - carved);
}

static unsigned carve(hak_slab_t *slab, unsigned want, hak_chain_t *chain) {
    const hak_class_info_t *info = &hak_class_info[slab->cls];
    unsigned carved = hak_load_relaxed(&slab->carved);
    unsigned count = (unsigned)hak_min(want, carve_limit(slab, carved));
    if (count == 0) {
        return 0;
    }
    char *first = hak_slab_base(slab) + (size_t)carved * info->stride;
    char *block = first;
    for (unsigned i = 1; i < count; i++) {
        hak_block_set_next(block, block + info->stride);
        hak_block_set_stamp(block);
        block += info->stride;
    }
    hak_block_set_next(block, NULL);
    hak_block_set_stamp(block);
    /* Relaxed: who checks a pointer to a block got it after this store, from whoever allocated
     * it; for a pointer that was never handed out, either answer is an error. */
    hak_store_relaxed(&slab->carved, (uint16_t)(carved + count));
    append(chain, first, block, count);
    return count;
}

unsigned hak_slab_take(hak_slab_t *slab, unsigned want, hak_chain_t *chain) {
    return slab->free_count != 0 ? take_free(slab, want, chain) : carve(slab, want, chain);
}

/* No more blocks can come home than are out. */
static void check_count(const hak_slab_t *slab, const void *head, unsigned count) {
    if (HAK_UNLIKELY(slab->free_count + count > hak_load_relaxed(&slab->carved))) {
        hak_message_fatal_about(head,
                                "double free: more blocks came home than went out, near %p "
                                "(class %u, %zu bytes)",
                                head, slab->cls, hak_class_stride(slab->cls));
    }
}

static void put_in_front(hak_slab_t *slab, void *head, void *tail, unsigned count) {
    hak_block_set_next(tail, slab->free);
    if (slab->free == NULL) {
        slab->tail = tail;
    }
    slab->free = head;
    slab->free_count = (uint16_t)(slab->free_count + count);
    slab->batch_count = (uint16_t)count;
    slab->batch_tail = (uint16_t)hak_slab_place(tail);
}

void hak_slab_give(hak_slab_t *slab, void *head, void *tail, unsigned count) {
    check_count(slab, head, count);
    put_in_front(slab, head, tail, count);
}

/* By their count all blocks are home, and the slab is about to go. Where one is in use though it
 * was sent home, since the program freed it twice and wrote over its stamp in between, or a signal
 * handler sent home what malloc had in hand, it must not. */
static void check_all_free(const hak_slab_t *slab) {
    const uintptr_t stamp = hak_stamp;
    const size_t stride = hak_class_stride(slab->cls);
    const char *block = hak_slab_base(slab);
    for (unsigned left = hak_load_relaxed(&slab->carved); left != 0; left--) {
        if (HAK_UNLIKELY(!hak_block_carries(block, stamp))) {
            hak_block_report_changed(block);
        }
        block += stride;
    }
}

/* Each block was looked at by who sent it, and is by who allocates it. */
hak_chain_t hak_slab_receive(hak_slab_t *slab) {
    hak_chain_t chain = hak_remote_take(slab, hak_slab_base(slab));
    HAK_ASSERT(chain.count != 0);
    if (HAK_UNLIKELY(!hak_slab_holds(slab, chain.head))) {
        hak_block_report_changed(chain.head);
    }
    if (HAK_UNLIKELY(!hak_slab_holds(slab, chain.tail) || chain.tail == slab->tail ||
                     !hak_block_is_stamped(chain.tail) || hak_block_next(chain.tail) != NULL)) {
        hak_block_report_changed(chain.tail);
    }
    check_count(slab, chain.head, chain.count);
    return chain;
}

unsigned hak_slab_drain_remote(hak_slab_t *slab) {
    hak_chain_t chain = hak_slab_receive(slab);
    put_in_front(slab, chain.head, chain.tail, chain.count);
    if (hak_slab_all_home(slab)) {
        check_all_free(slab);
    }
    return chain.count;
}

bool hak_slab_is_valid(const hak_slab_t *slab) {
    unsigned count = 0;
    unsigned carved = hak_load_relaxed(&slab->carved);
    if (carved > hak_class_info[slab->cls].capacity || slab->free_count > carved ||
        slab->batch_count > slab->free_count) {
        return false;
    }
    for (void *block = slab->free; block != NULL; block = hak_block_next(block)) {
        if (!hak_slab_holds(slab, block) || !hak_block_is_stamped(block) ||
            count == slab->free_count || (hak_block_next(block) == NULL && block != slab->tail)) {
            return false;
        }
        count++;
        if (count == slab->batch_count && hak_slab_place(block) != slab->batch_tail) {
            return false;
        }
    }
    return count == slab->free_count;
}
