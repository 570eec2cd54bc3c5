/* pool_slots.c: see pool_slots.h.
 *
 * Threads:   see pool_slots.h.
 */
#include "pool_slots.h"

#include "freelist.h"
#include "os.h"
#include "stats.h"

/* Blocks of a slab that is released whose stamps are taken off: each costs a line of memory. */
#define BARE_MOST 64U

/* After a huge page that was dear so many SuperSlabs do without, twice as many after the next, at
 * most so many times as many. */
#define DEAR_SKIPS 16U
#define DEAR_PATIENCE_MOST 16U

hak_pool_state_t hak_pool;

static size_t dirty_bytes(const hak_slab_t *slab) {
    size_t pages = 0;
    for (unsigned i = 0; i < slab->slots; i++) {
        pages += slab[i].dirty_pages;
    }
    return pages * HAK_DIRTY_PAGE_BYTES;
}

/* ---- SuperSlab records -------------------------------------------------------------------- */

static hak_superslab_t *take_record(void) {
    hak_superslab_t *ss = hak_pool.spare_records;
    if (ss != NULL) {
        hak_pool.spare_records = ss->next;
        ss->next = NULL;
        return ss;
    }
    ss = hak_meta_alloc(sizeof *ss, HAK_CACHE_LINE);
    if (ss != NULL) {
        ss->all_next = hak_pool.all;
        hak_pool.all = ss;
    }
    return ss;
}

static bool wants_huge_page(bool grown) {
    if (!grown || hak_options.thp != 2) {
        return hak_options.thp == 1;
    }
    if (hak_pool.huge_skips != 0) {
        hak_pool.huge_skips--;
        return false;
    }
    hak_pool.huge_tries++;
    return true;
}

void hak_slots_note_huge_page(bool was_dear) {
    if (hak_pool.huge_skips != 0) {
        return; /* of threads that asked at the same time, the first dear page counts */
    }
    unsigned longer = hak_pool.huge_patience == 0 ? 1 : 2U * hak_pool.huge_patience;
    hak_pool.huge_patience = was_dear ? (uint8_t)hak_min(longer, DEAR_PATIENCE_MOST) : 0;
    hak_pool.huge_skips = (uint16_t)(hak_pool.huge_patience * DEAR_SKIPS);
}

static HAK_COLD void advise_huge_pages(hak_superslab_t *ss, bool grown) {
    ss->huge = wants_huge_page(grown);
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

hak_superslab_t *hak_slots_map(bool grown) {
    hak_superslab_t *ss = take_record();
    if (ss == NULL) {
        return NULL;
    }
    ss->base = hak_map_claim(HAK_SUPERSLAB_BYTES, HAK_SUPERSLAB_BYTES, HAK_AREA_SUPERSLAB);
    if (ss->base == NULL) {
        ss->next = hak_pool.spare_records;
        hak_pool.spare_records = ss;
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
    ss->huge = ss->whole = false;
    if (HAK_UNLIKELY(grown || hak_options.thp == 1 || hak_map.huge_by_default)) {
        advise_huge_pages(ss, grown);
    }
    hak_map_set_tags(ss->base, HAK_SLOTS, HAK_TAG_UNUSED);
    hak_map_set_record(ss->base, ss);
    hak_pool.superslabs_now++;
    hak_pool.superslabs_peak = hak_max(hak_pool.superslabs_peak, hak_pool.superslabs_now);
    HAK_COUNT(superslabs_mapped);
    return ss;
}

/* ---- States ---------------------------------------------------------------------------------- */

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
void hak_slots_put_stamps_on(hak_slab_t *slab) {
    for (size_t i = 0; i < slab->bare; i++) {
        hak_block_set_stamp(hak_slab_base(slab) + i * hak_class_stride(slab->bare_cls));
    }
    slab->bare = 0;
}

/* Cuts an EMPTY slab of several slots into EMPTY slots of one. */
static void cut_empty(hak_slab_t *slab) {
    unsigned count = slab->slots;
    hak_empties_remove(&hak_pool.empties, slab);
    for (unsigned i = 0; i < count; i++) {
        slab[i].slots = 1;
        slab[i].cls = HAK_NO_CLASS;
        slab[i].first = slab[i].index;
        slab[i].since_ms = slab->since_ms;
        hak_empties_add(&hak_pool.empties, &slab[i]);
    }
}

/* EMPTY or UNUSED -> on the way to ACTIVE: off all lists and accounts. */
static void claim_slot(hak_superslab_t *ss, unsigned index, uint32_t now_ms) {
    hak_slab_t *slab = &ss->slabs[index];
    HAK_ASSERT(slab->state != HAK_SLOT_ACTIVE);
    if (slab->state == HAK_SLOT_UNUSED) {
        if (slab->purged) {
            hak_retain_wanted_back(&hak_retain, HAK_SLOT_BYTES, HAK_SLOT_BYTES, slab->since_ms,
                                   now_ms);
        }
        return;
    }
    hak_slab_t *head = &ss->slabs[slab->first];
    hak_slots_put_stamps_on(head);
    if (head->slots > 1) {
        cut_empty(head);
    }
    hak_empties_remove(&hak_pool.empties, slab);
    hak_retain_sub_kept(&hak_pool.share, dirty_bytes(slab));
    hak_pool.slots_empty--;
    ss->empty &= ~((uint32_t)1 << index);
    slab->state = HAK_SLOT_UNUSED;
}

static hak_slab_t *activate(hak_superslab_t *ss, unsigned first, unsigned cls) {
    unsigned count = hak_class_info[cls].slots;
    hak_slab_t *slab = &ss->slabs[first];
    hak_buckets_remove(&hak_pool.partly, ss);
    ss->active |= slot_mask(first, count);
    hak_buckets_add(&hak_pool.partly, ss);
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
    slab->free_count = slab->batch_count = 0;
    slab->listed = false;
    hak_store_relaxed(&slab->carved, 0);
    hak_store_relaxed(&slab->remote, 0);
    hak_retain_add_live(&hak_pool.share, count * HAK_SLOT_BYTES);
    hak_map_set_tags(hak_slab_base(slab), count, hak_tag_of_class(cls));
    return slab;
}

hak_slab_t *hak_slots_take(hak_superslab_t *ss, unsigned first, unsigned cls, uint32_t now_ms) {
    for (unsigned i = 0; i < hak_class_info[cls].slots; i++) {
        claim_slot(ss, first + i, now_ms);
    }
    return activate(ss, first, cls);
}

hak_slab_t *hak_slots_reuse(hak_slab_t *slab) {
    hak_superslab_t *ss = hak_slab_superslab(slab);
    hak_empties_remove(&hak_pool.empties, slab);
    hak_retain_sub_kept(&hak_pool.share, dirty_bytes(slab));
    hak_pool.slots_empty -= slab->slots;
    ss->empty &= ~slot_mask(slab->index, slab->slots);
    hak_slots_put_stamps_on(slab);
    return activate(ss, slab->index, slab->cls);
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

void hak_slots_release(hak_slab_t *slab, uint32_t now_ms) {
    hak_superslab_t *ss = hak_slab_superslab(slab);
    uint32_t mask = slot_mask(slab->index, slab->slots);
    HAK_ASSERT((ss->active & mask) == mask);
    note_dirty(slab);
    hak_buckets_remove(&hak_pool.partly, ss);
    ss->active &= ~mask;
    ss->empty |= mask;
    hak_buckets_add(&hak_pool.partly, ss);
    for (unsigned i = 0; i < slab->slots; i++) {
        slab[i].state = HAK_SLOT_EMPTY;
    }
    slab->since_ms = now_ms;
    hak_store_relaxed(&slab->owner, NULL);
    hak_pool.slots_empty += slab->slots;
    hak_retain_sub_live(&hak_pool.share, slab->slots * HAK_SLOT_BYTES);
    hak_retain_add_kept(&hak_pool.share, dirty_bytes(slab));
    hak_map_set_tags(hak_slab_base(slab), slab->slots, HAK_TAG_EMPTY);
    take_stamps_off(slab);
    hak_empties_add(&hak_pool.empties, slab);
}

void hak_slots_purge(hak_slab_t *slab, uint32_t now_ms) {
    hak_superslab_t *ss = hak_slab_superslab(slab);
    size_t bytes = dirty_bytes(slab);
    hak_empties_remove(&hak_pool.empties, slab);
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
    hak_retain_sub_kept(&hak_pool.share, bytes);
    hak_pool.slots_empty -= slab->slots;
    ss->empty &= ~slot_mask(slab->index, slab->slots);
    hak_map_set_tags(hak_slab_base(slab), slab->slots, HAK_TAG_RETURNED);
    for (unsigned i = 0; i < slab->slots; i++) {
        slab[i].state = HAK_SLOT_UNUSED;
        slab[i].dirty_pages = 0;
        slab[i].purged = true;
        slab[i].since_ms = now_ms;
    }
}

size_t hak_superslab_dirty_bytes(const hak_superslab_t *ss) {
    size_t bytes = 0;
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        bytes += (size_t)ss->slabs[i].dirty_pages * HAK_DIRTY_PAGE_BYTES;
    }
    return bytes;
}

void hak_slots_forget(hak_superslab_t *ss) {
    hak_retain_sub_kept(&hak_pool.share, hak_superslab_dirty_bytes(ss));
    hak_pool.slots_empty -= (size_t)__builtin_popcount(ss->empty);
    ss->empty = 0;
    for (unsigned i = 0; i < HAK_SLOTS; i++) {
        ss->slabs[i].state = HAK_SLOT_UNUSED;
        ss->slabs[i].dirty_pages = 0;
    }
}
