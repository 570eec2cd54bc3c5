/* bins.c: see bins.h.
 *
 * Threads:   functions named _locked expect heap->lock to be held.
 */
#include "bins.h"

#include "bin_look.h"
#include "home.h"
#include "message.h"
#include "options.h"
#include "os.h"
#include "retain.h"
#include "stats.h"

/* So many drains without a refill in between say that the bin is too wide. Waves that a bin can
 * hold at all come to fewer before it has grown enough. */
#define DRAINS_TO_SHRINK 16
/* A bin whose reserve keeps coming back waits for so many intervals before one sets it apart, but
 * for one only or no more than come to so many times HAKMEM_TINY_CAP: 1 MiB. */
#define CALM_MOST 3
#define CALM_CAPS 16
/* Counts in a row that found no excess: each doubles the way to the next, this many times, to so
 * many bytes. */
#define COUNTS_IN_VAIN 3
#define UNCOUNTED_BYTES ((size_t)2 << 20)
/* So many say that the thread only frees: it keeps nothing of the class then. What it sends home an
 * interval earlier it would not have used, and when it comes to rest it pins fewer slabs. */
#define DRAINS_TO_KEEP_NONE 2
/* After so many, and no refill, the class is coming to its end: intervals shorten to a part of what
 * is out. Else the last one's blocks, each in another slab, would pin as many slabs as all before,
 * where one block that lives on, or that a sleeping thread holds, keeps the end from being seen. */
#define DRAINS_TO_HURRY DRAINS_TO_SHRINK
#define HURRY_SHARE 8
/* A bin of so many blocks: where allocations keep pace with frees, setting them apart would only
 * make the next allocation miss. */
#define SHORT_CHAIN 4
/* An interval of a class of wide blocks is a long one if it lasts for so many frees of the heap,
 * and a class rare after two of them: what all such classes hold adds up to megabytes. */
#define RARE_FREES 2048
#define RARE_FEW 2
#define RARE_LEAST 2
/* No class is rare that is refilled so many times within an interval. */
#define BUSY_REFILLS 4
/* So many short intervals in a row are no end of a burst. */
#define PACED_FEW 8
/* After so many frees of a class, fewer of wide blocks, a heap sees whether all that it holds
 * belongs to others. Of so many blocks in its bin one can tell. */
#define FIRST_FREES 16
#define OTHERS_FEW (SHORT_CHAIN + 1)
/* A class that was scattered for so many frees gathers 32 again, since it may not be so any more:
 * in 16 places (home.c), blocks of 16 producers that take turns make batches of two. */
#define SCATTERED_FREES 4096
#define GATHERED_FREES 32
/* Of fewer blocks one cannot tell. */
#define SCATTERED_SAMPLE OTHERS_FEW
/* What a look at all scattered classes should find, in slots: fewer are not worth the lock, and
 * more should not be pinned by a thread that falls asleep. Each class may hold what leads to that.
 */
#define FOUND_FEW 8
#define FOUND_MANY 20
#define HOLD_LEAST 2
#define HOLD_MOST 8

/* ---- Intervals ------------------------------------------------------------------------------ */

/* A sample can only be where a bin is empty: that must come often enough. */
static uint32_t few_for_samples(size_t blocks) {
    size_t most = hak_options.guard_sample != 0 ? hak_max(hak_options.guard_sample / 4, 1) : blocks;
    return (uint32_t)hak_min(blocks, most);
}

static uint32_t interval_max(unsigned cls) {
    size_t by_bytes = ((size_t)hak_options.tiny_cap << 10) / hak_class_stride(cls);
    return few_for_samples(
        hak_clamp(by_bytes, HAK_BIN_INTERVAL_MIN, hak_options.tiny_drain_interval));
}

/* What a new thread holds back at first: some pages of a class at most. */
static uint16_t interval_start(unsigned cls) {
    size_t start = hak_clamp(16384 / hak_class_stride(cls), 8, 128);
    return (uint16_t)hak_min(start, interval_max(cls));
}

static uint32_t first_interval(unsigned cls) {
    size_t first = hak_clamp(8192 / hak_class_stride(cls), OTHERS_FEW, FIRST_FREES);
    return (uint32_t)hak_min(first, interval_max(cls));
}

/* A thread that needs few blocks of a class gets few: they all have to go home when it ends. */
uint32_t hak_bins_batch_start(unsigned cls) {
    return few_for_samples(hak_clamp(1024 / hak_class_stride(cls), 1, 8));
}

/* An interval ends with the free that finds no room. */
static int32_t room_for(uint32_t frees) {
    return (int32_t)frees - 1;
}

static void start_interval(hak_heap_t *heap, unsigned cls, uint32_t frees) {
    int32_t room = room_for(frees);
    heap->shelves[cls].room_start = room;
    heap->shelves[cls].began = heap->frees;
    heap->shelves[cls].refilled = 0;
    hak_heap_bin(heap, cls)->room = room;
}

static bool is_open(const hak_heap_t *heap, unsigned cls) {
    return (hak_load_relaxed(&heap->open[cls / 64]) >> (cls % 64) & 1) != 0;
}

/* Of a class that is not open, at most the room is less than at birth. */
void hak_bins_reset(hak_heap_t *heap) {
    heap->grown_bytes = heap->frees = 0;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        hak_bin_t *bin = hak_heap_bin(heap, cls);
        if (is_open(heap, cls) || bin->interval == 0) {
            bin->interval = interval_start(cls);
            bin->head_most = bin->reserve_most = 0;
            bin->room = room_for(first_interval(cls));
        }
    }
    hak_store_relaxed(&heap->open[0], 0);
    hak_store_relaxed(&heap->open[1], 0);
    heap->scattered[0] = heap->scattered[1] = 0;
    heap->hold = HOLD_LEAST;
}

void hak_bins_open(hak_heap_t *heap, unsigned cls) {
    if (HAK_LIKELY(is_open(heap, cls))) {
        return;
    }
    hak_shelf_t *shelf = &heap->shelves[cls];
    shelf->start = interval_start(cls);
    shelf->room_start = room_for(first_interval(cls)); /* frees may have taken of it already */
    shelf->began = 0;
    shelf->refilled = 0;
    shelf->calm = shelf->waited = shelf->paced = shelf->in_vain = 0;
    shelf->flushed = shelf->regretted = false;
    shelf->seen = shelf->recycles = false;
    shelf->rare = 0;
    shelf->batch = hak_bins_batch_start(cls);
    shelf->drains = shelf->scattered = 0;
    shelf->borrowed = 0;
    hak_store_relaxed(&shelf->passed, 0);
    shelf->passed_told = 0;
    shelf->seen_head = NULL;
    shelf->seen_room = 0;
    hak_signal_fence();
    (void)hak_or_relaxed(&heap->open[cls / 64], (uint64_t)1 << cls % 64);
}

/* It holds nothing, and its shelf need not be looked at. */
static bool is_unused(const hak_heap_t *heap, unsigned cls) {
    return !is_open(heap, cls) && heap->bins[HAK_TAG_CLASS + cls].head == NULL;
}

bool hak_bins_is_valid(const hak_heap_t *heap) {
    bool valid = true;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_bin_t *bin = &heap->bins[HAK_TAG_CLASS + cls];
        bool is_new = bin->head_most == 0 && bin->reserve_most == 0 &&
                      hak_load_relaxed(&heap->shelves[cls].reserve) == 0;
        valid = valid && (is_new || is_open(heap, cls));
    }
    return valid;
}

static size_t grown_bytes(const hak_heap_t *heap, unsigned cls, uint32_t interval) {
    uint32_t start = heap->shelves[cls].start;
    return interval > start ? (interval - start) * hak_class_stride(cls) : 0;
}

static void set_interval(hak_heap_t *heap, unsigned cls, uint32_t interval) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    size_t bytes = heap->grown_bytes - grown_bytes(heap, cls, bin->interval) +
                   grown_bytes(heap, cls, interval);
    if (interval > bin->interval && bytes > (size_t)HAK_HEAP_BINS_KIB << 10) {
        return;
    }
    HAK_ASSERT(bytes <= (size_t)HAK_HEAP_BINS_KIB << 10);
    heap->grown_bytes = bytes;
    bin->interval = interval;
}

void hak_bins_widen(hak_heap_t *heap, unsigned cls) {
    uint32_t interval = hak_heap_bin(heap, cls)->interval;
    uint32_t most = interval_max(cls);
    if (interval != most && heap->shelves[cls].rare < RARE_FEW) {
        set_interval(heap, cls, (uint32_t)hak_min(interval * 2, most));
    }
}

/* ---- Drain ----------------------------------------------------------------------------------- */

static void count_sent_locked(hak_heap_t *heap, hak_sent_t sent) {
    HAK_TALLY(heap, drains);
    HAK_TALLY_N(heap, drained_blocks, hak_sent_blocks(sent));
    HAK_TALLY_N(heap, remote_batches, sent.batches);
    HAK_TALLY_N(heap, remote_blocks, sent.others);
}

static hak_sent_t add_sent(hak_sent_t a, hak_sent_t b) {
    return (hak_sent_t){a.own + b.own, a.others + b.others, a.batches + b.batches};
}

typedef hak_sent_t send_t(hak_heap_t *heap, unsigned cls, void *chain);

static hak_sent_t send_chain_locked(hak_heap_t *heap, unsigned cls, void *chain, send_t *send) {
    hak_heap_note_locked(heap, HAK_EVENT_DRAINED, cls, chain, 0);
    hak_sent_t sent = send(heap, cls, chain);
    hak_bins_add_passed(heap, cls, -(int)hak_sent_blocks(sent));
    if (hak_options.tiny_sll_drain_debug) {
        hak_message_trace("[TLS_SLL_DRAIN] class=%u blocks=%u interval=%u", cls,
                          hak_sent_blocks(sent), hak_heap_bin(heap, cls)->interval);
    }
    return sent;
}

static hak_sent_t drain_chain_locked(hak_heap_t *heap, unsigned cls, void *chain) {
    if (chain == NULL) {
        return (hak_sent_t){0, 0, 0};
    }
    hak_sent_t sent = send_chain_locked(heap, cls, chain, hak_home_send_locked);
    count_sent_locked(heap, sent);
    return sent;
}

/* Acquire pairs with the release in set_apart(): the links in the blocks are visible. */
static hak_sent_t drain_reserve_locked(hak_heap_t *heap, unsigned cls) {
    uintptr_t chain = hak_load_relaxed(&heap->shelves[cls].reserve);
    if (chain != 0 && (chain & HAK_IN_TRANSIT) == 0 &&
        hak_cas_acquire(&heap->shelves[cls].reserve, &chain, 0)) {
        return drain_chain_locked(heap, cls, (void *)chain);
    }
    return (hak_sent_t){0, 0, 0};
}

void hak_bins_mend(hak_heap_t *heap) {
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        hak_bin_t *bin = hak_heap_bin(heap, cls);
        uintptr_t chain = hak_load_relaxed(&heap->shelves[cls].reserve);
        if ((chain & HAK_IN_TRANSIT) != 0) {
            chain &= ~HAK_IN_TRANSIT;
            if (bin->head == (void *)chain) {
                bin->head = NULL;
            }
            hak_store_release(&heap->shelves[cls].reserve, chain); /* as in set_apart() */
        }
    }
}

static hak_sent_t drain_bin_locked(hak_heap_t *heap, unsigned cls) {
    if (is_unused(heap, cls)) {
        return (hak_sent_t){0, 0, 0};
    }
    hak_bins_open(heap, cls);
    heap->shelves[cls].in_vain = 0;
    hak_sent_t sent = drain_chain_locked(heap, cls, hak_take(&hak_heap_bin(heap, cls)->head));
    return add_sent(sent, drain_reserve_locked(heap, cls));
}

void hak_bins_drain_all_locked(hak_heap_t *heap) {
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        drain_bin_locked(heap, cls);
    }
    heap->stale_bins = false;
}

/* A bin of a thousand blocks may have one in each of a hundred slabs and keep them all from going
 * home. In use that is the price of speed; idle, it is memory that other classes could have. */
bool hak_bins_drain_idle_locked(hak_heap_t *heap, unsigned but_cls) {
    bool drained = false;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        hak_bin_t *bin = hak_heap_bin(heap, cls);
        hak_shelf_t *shelf = &heap->shelves[cls];
        if (is_unused(heap, cls)) {
            continue;
        }
        hak_bins_open(heap, cls);
        bool idle = bin->head == shelf->seen_head && bin->room == shelf->seen_room;
        if (idle && cls != but_cls && (bin->head != NULL || hak_bins_reserve(shelf) != NULL)) {
            drain_bin_locked(heap, cls);
            drained = true;
        }
        shelf->seen_head = bin->head;
        shelf->seen_room = bin->room;
    }
    return drained;
}

void hak_bins_drain_reserves_locked(hak_heap_t *heap) {
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        drain_reserve_locked(heap, cls);
    }
}

/* A reserve that is taken back at once, interval after interval, would never be drained. So when
 * the upper bounds have added up, blocks are counted, and those beyond two intervals go home.
 * Returns what stays. */
static hak_chain_t cut_excess_locked(hak_heap_t *heap, unsigned cls, void *chain) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    hak_shelf_t *shelf = &heap->shelves[cls];
    const uintptr_t stamp = hak_stamp;
    uint32_t most = 2 * bin->interval;
    hak_chain_t kept = {chain, chain, 0};
    void *excess;
    for (;;) {
        if (HAK_UNLIKELY(!hak_block_carries(kept.tail, stamp))) {
            hak_block_report_changed(kept.tail);
        }
        excess = hak_block_next(kept.tail);
        if (++kept.count == most || excess == NULL) {
            break;
        }
        kept.tail = excess;
    }
    hak_block_set_next(kept.tail, NULL);
    bin->head_most = (int32_t)kept.count;
    if (excess != NULL) {
        shelf->in_vain = 0;
        drain_chain_locked(heap, cls, excess);
    } else {
        shelf->in_vain = (uint8_t)hak_min(shelf->in_vain + 1U, COUNTS_IN_VAIN);
    }
    return kept;
}

/* Allocations that nobody counts make the bounds run ahead. Where a count found no excess, and no
 * reserve lay idle since, the next one waits twice as long: a count is a cache miss for each block.
 * Rare classes are to hold little. */
static bool may_be_in_excess(const hak_bin_t *bin, const hak_shelf_t *shelf, unsigned cls) {
    size_t most = HAK_BIN_EXCESS * bin->interval * hak_class_stride(cls);
    if (shelf->rare == 0) {
        most = hak_max(most, hak_min(most << shelf->in_vain, UNCOUNTED_BYTES));
    }
    return bin->head_most > 0 && (size_t)bin->head_most * hak_class_stride(cls) > most &&
           bin->head != NULL;
}

/* The bin becomes the reserve, unless there is one. Release pairs with the acquire in
 * drain_reserve_locked(), by which another thread takes the chain. Compare-and-swap, since a signal
 * handler that frees much may do the same in between: no chain must be in two places. */
static void set_apart(hak_bin_t *bin, hak_shelf_t *shelf) {
    int cancel_type = hak_cancel_defer();
    uintptr_t chain = (uintptr_t)bin->head;
    uintptr_t none = 0;
    if (chain != 0 && hak_cas_relaxed(&shelf->reserve, &none, chain | HAK_IN_TRANSIT)) {
        bool is_apart = hak_take_if(&bin->head, (void *)chain);
        hak_store_release(&shelf->reserve, is_apart ? chain : 0);
    }
    hak_cancel_restore(cancel_type);
    shelf->waited = 0;
    bin->reserve_most = chain == 0 ? 0 : bin->head_most > 0 ? bin->head_most : 1;
    bin->head_most = 0;
}

static void count_drain(hak_heap_t *heap, unsigned cls) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    hak_shelf_t *shelf = &heap->shelves[cls];
    shelf->calm = shelf->in_vain = 0;
    if (++shelf->drains % DRAINS_TO_SHRINK == 0 && bin->interval > shelf->start) {
        set_interval(heap, cls, (uint32_t)hak_max(bin->interval / 2, shelf->start));
    }
}

/* An interval ends. Two long ones in a row: frees of the class come so seldom that half as wide a
 * bin makes for no more work that counts. One alone may be where the class was not in use. */
static void note_span(hak_heap_t *heap, unsigned cls, uint32_t frees) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    hak_shelf_t *shelf = &heap->shelves[cls];
    heap->frees += frees;
    uint32_t span = heap->frees - shelf->began;
    if (cls < HAK_TINY_CLASSES) {
        return;
    }
    if (span > RARE_FREES) {
        shelf->rare = (uint8_t)hak_min(shelf->rare + 1U, RARE_FEW);
    } else if (span < RARE_FREES / 4) {
        shelf->rare = 0;
    }
    if (span > RARE_FREES && shelf->rare == RARE_FEW && bin->interval > RARE_LEAST) {
        set_interval(heap, cls, (uint32_t)hak_max(bin->interval / 2, RARE_LEAST));
    } else if (shelf->rare == 0 && bin->interval < shelf->start) {
        set_interval(heap, cls, (uint32_t)hak_min(bin->interval * 2, shelf->start));
    }
}

/* Scattered from now on, for so many frees; 0: not any more. */
static void set_scattered(hak_heap_t *heap, unsigned cls, uint32_t frees) {
    uint64_t bit = (uint64_t)1 << cls % 64;
    heap->shelves[cls].scattered = frees;
    heap->scattered[cls / 64] = (heap->scattered[cls / 64] & ~bit) | (frees != 0 ? bit : 0);
}

static void keep_none_locked(hak_heap_t *heap, unsigned cls) {
    count_drain(heap, cls);
    hak_sent_t sent = drain_bin_locked(heap, cls);
    hak_heap_bin(heap, cls)->head_most = 0;
    if (sent.others >= SCATTERED_SAMPLE && sent.others < 2 * sent.batches) {
        set_scattered(heap, cls, SCATTERED_FREES);
    }
}

static bool holds_only_others(const hak_heap_t *heap, unsigned cls) {
    return hak_look_only_others(heap, cls, OTHERS_FEW, FIRST_FREES);
}

/* Others' blocks pin others' slabs. They are kept only where a thread was seen to use such. */
static bool keeps_none(hak_heap_t *heap, unsigned cls, bool is_short) {
    const hak_shelf_t *shelf = &heap->shelves[cls];
    return shelf->drains >= DRAINS_TO_KEEP_NONE ||
           (!is_short && shelf->calm == 0 && !shelf->recycles && holds_only_others(heap, cls));
}

static void drain_overdue_locked(hak_heap_t *heap, unsigned cls) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    hak_shelf_t *shelf = &heap->shelves[cls];
    if (hak_load_relaxed(&shelf->reserve) != 0) {
        count_drain(heap, cls);
        drain_reserve_locked(heap, cls);
    }
    if (may_be_in_excess(bin, shelf, cls)) {
        /* Off the bin first: what is changed is in no signal handler's reach, and what such a one
         * frees meanwhile stays. */
        void *chain = hak_take(&bin->head);
        if (chain != NULL) {
            hak_chain_t kept = cut_excess_locked(heap, cls, chain);
            hak_bin_splice(bin, kept.head, kept.tail);
            bin->head_most = (int32_t)hak_max((size_t)bin->head_most, kept.count);
        }
    }
}

/* It is this thread that moves it. */
static void check_not_in_transit(uintptr_t chain) {
    if (HAK_UNLIKELY((chain & HAK_IN_TRANSIT) != 0)) {
        hak_message_fatal(HAK_LOCK_INTERRUPTED);
    }
}

static int32_t frees_so_far(const hak_bin_t *bin, const hak_shelf_t *shelf) {
    return shelf->room_start - bin->room;
}

/* Blocks went home and none was wanted since: only then the ends of bursts are looked for. */
static bool is_shrinking(const hak_shelf_t *shelf) {
    return shelf->drains != 0;
}

static bool is_hurried(const hak_shelf_t *shelf) {
    return shelf->drains >= DRAINS_TO_HURRY;
}

/* The reserve has been drained. */
static void flush_locked(hak_heap_t *heap, unsigned cls) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    hak_shelf_t *shelf = &heap->shelves[cls];
    uint32_t out = hak_load_relaxed(&shelf->out);
    bool knows_out = shelf->borrowed == 0 || out != 0;
    if (!knows_out || !is_shrinking(shelf) || (int64_t)out > bin->head_most ||
        !hak_look_has(bin->head, out) ||
        (shelf->regretted && !hak_retain_is_older(shelf->regret_ms, hak_os.now_ms()))) {
        return;
    }
    drain_bin_locked(heap, cls);
    bin->head_most = 0;
    shelf->flushed = true;
    HAK_TALLY(heap, flushes);
}

/* Until the next look. The sums are upper bounds of what the bin holds, so the difference is a
 * lower bound of what is live. A stale count of blocks out, while another thread empties the ready
 * list, makes the look come early or at the end of the interval. */
static void begin_interval(hak_heap_t *heap, unsigned cls) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    uint32_t out = hak_load_relaxed(&heap->shelves[cls].out);
    uint32_t held = (uint32_t)(bin->head_most + bin->reserve_most);
    const hak_shelf_t *shelf = &heap->shelves[cls];
    uint32_t next = bin->interval;
    if (is_shrinking(shelf) && out > held) {
        next = (uint32_t)hak_min(next, out - held);
    }
    if (is_hurried(shelf) && out != 0) {
        next = (uint32_t)hak_min(next, hak_max(out / HURRY_SHARE, 1));
    }
    start_interval(heap, cls, shelf->scattered != 0 ? heap->hold : next);
}

/* For how many intervals a bin waits. */
static unsigned patience(const hak_bin_t *bin, const hak_shelf_t *shelf, unsigned cls) {
    size_t bytes = bin->interval * hak_class_stride(cls);
    size_t most = CALM_CAPS * ((size_t)hak_options.tiny_cap << 10);
    unsigned intervals = shelf->calm;
    while (intervals > 1 && intervals * bytes > most) {
        intervals--;
    }
    return intervals;
}

/* Whether it is, costs a cache miss for each block. Where nothing shrinks that changes little
 * before the bin is to be set apart: its bound is wider, and if it is long by then, it is set apart
 * after so many intervals and not after so many long ones. */
static bool may_matter_if_short(const hak_bin_t *bin, const hak_shelf_t *shelf, unsigned cls) {
    return is_shrinking(shelf) || shelf->waited >= patience(bin, shelf, cls) ||
           hak_options.guard_sample != 0;
}

/* With samples, a bin must become empty now and then, be its chain short or not. */
static bool is_sample_near(const hak_bin_t *bin, hak_shelf_t *shelf, unsigned cls) {
    shelf->waited++;
    return shelf->waited > patience(bin, shelf, cls) ||
           shelf->waited * (uint64_t)bin->interval > hak_options.guard_sample / 2;
}

/* Interval after interval a handful of blocks: allocations keep pace with frees, nothing shrinks.
 */
static void note_pace(hak_shelf_t *shelf, bool is_short) {
    shelf->paced = is_short ? (uint8_t)(shelf->paced + 1) : 0;
    if (shelf->paced == PACED_FEW) {
        shelf->paced = 0;
        shelf->drains = 0;
    }
}

/* All that a scattered class holds goes home. */
static hak_sent_t send_scattered_locked(hak_heap_t *heap, unsigned cls) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    hak_shelf_t *shelf = &heap->shelves[cls];
    void *chain = hak_take(&bin->head);
    if (chain == NULL) {
        return (hak_sent_t){0, 0, 0};
    }
    hak_bins_add_passed(heap, cls, frees_so_far(bin, shelf));
    hak_sent_t sent = send_chain_locked(heap, cls, chain, hak_home_send_each_locked);
    uint32_t left = shelf->scattered - (uint32_t)hak_min(hak_sent_blocks(sent), shelf->scattered);
    set_scattered(heap, cls, left);
    bin->head_most = 0;
    size_t gathered = hak_min(bin->interval, GATHERED_FREES);
    start_interval(heap, cls, left != 0 ? heap->hold : (uint32_t)gathered);
    return sent;
}

/* So that a thread with many classes holds no more than one with few. */
static void adjust_hold(hak_heap_t *heap, size_t found_slots) {
    if (found_slots < FOUND_FEW && heap->hold < HOLD_MOST) {
        heap->hold++;
    } else if (found_slots > FOUND_MANY && heap->hold > HOLD_LEAST) {
        heap->hold--;
    }
}

/* A free in a signal handler may so take the bins of other classes from a thread that it
 * interrupted in one of them. As of the handler's own class, that is malloc in a handler that
 * interrupted malloc.
 *
 * Room, hold and bits change under the lock: a fork finds them in keeping with each other, but for
 * the room of a class that has just become scattered, which is the longer one until the next look.
 */
static HAK_NOINLINE void look_at_scattered(hak_heap_t *heap) {
    hak_sent_t all = {0, 0, 0};
    size_t found_slots = 0;
    hak_lock(&heap->lock);
    for (unsigned i = 0; i < 2; i++) {
        for (uint64_t left = heap->scattered[i]; left != 0; left &= left - 1) {
            unsigned cls = i * 64 + (unsigned)__builtin_ctzll(left);
            if (hak_heap_bin(heap, cls)->head == NULL) {
                continue;
            }
            hak_sent_t sent = send_scattered_locked(heap, cls);
            found_slots += (size_t)hak_sent_blocks(sent) * hak_class_info[cls].slots;
            all = add_sent(all, sent);
        }
    }
    adjust_hold(heap, found_slots);
    HAK_TALLY(heap, scattered);
    if (hak_sent_blocks(all) != 0) {
        count_sent_locked(heap, all);
    }
    hak_unlock(&heap->lock);
    hak_home_help(heap);
}

/* A first interval ends early for a heap that frees what others allocated, and goes on for any
 * other. */
static HAK_NOINLINE bool goes_on(hak_heap_t *heap, unsigned cls) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    hak_shelf_t *shelf = &heap->shelves[cls];
    shelf->seen = true;
    int32_t more = (int32_t)bin->interval - (int32_t)first_interval(cls);
    if (more <= 0 || holds_only_others(heap, cls)) {
        return false;
    }
    shelf->room_start += more;
    bin->room += more;
    return true;
}

void hak_bins_interval_over(hak_heap_t *heap, unsigned cls) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    hak_shelf_t *shelf = &heap->shelves[cls];
    hak_bins_open(heap, cls);
    check_not_in_transit(hak_load_relaxed(&shelf->reserve));
    if (shelf->scattered != 0) {
        look_at_scattered(heap);
        return;
    }
    if (!shelf->seen && goes_on(heap, cls)) {
        return;
    }
    hak_bins_add_passed(heap, cls, frees_so_far(bin, shelf));
    note_span(heap, cls, (uint32_t)frees_so_far(bin, shelf));
    bool is_short = bin->reserve_most == 0 && may_matter_if_short(bin, shelf, cls) &&
                    hak_look_is_short(bin->head, SHORT_CHAIN);
    bin->head_most = is_short ? SHORT_CHAIN : bin->head_most + frees_so_far(bin, shelf);
    note_pace(shelf, is_short && !is_hurried(shelf));
    bool is_none_kept = keeps_none(heap, cls, is_short);
    if (hak_load_relaxed(&shelf->reserve) != 0 || may_be_in_excess(bin, shelf, cls) ||
        is_shrinking(shelf) || is_none_kept) {
        hak_lock(&heap->lock);
        if (is_none_kept) {
            keep_none_locked(heap, cls);
        } else {
            drain_overdue_locked(heap, cls);
            flush_locked(heap, cls);
        }
        hak_unlock(&heap->lock);
        hak_home_help(heap);
    }
    if (hak_options.guard_sample != 0 ? is_sample_near(bin, shelf, cls)
                                      : !is_short && ++shelf->waited > patience(bin, shelf, cls)) {
        set_apart(bin, shelf);
    }
    begin_interval(heap, cls);
}

void hak_bins_note_refill(hak_heap_t *heap, unsigned cls, unsigned count) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    bin->head_most = (int32_t)count - frees_so_far(bin, &heap->shelves[cls]);
}

/* Refills are as wide as the interval, which no free may ever end: many of them end it so. */
static void note_refilled(hak_heap_t *heap, unsigned cls) {
    hak_shelf_t *shelf = &heap->shelves[cls];
    shelf->refilled = (uint8_t)hak_min(shelf->refilled + 1U, BUSY_REFILLS);
    if (shelf->refilled == BUSY_REFILLS && hak_heap_bin(heap, cls)->interval < shelf->start) {
        shelf->rare = 0;
        set_interval(heap, cls, shelf->start);
    }
}

void hak_bins_note_miss(hak_heap_t *heap, unsigned cls) {
    hak_shelf_t *shelf = &heap->shelves[cls];
    hak_bins_open(heap, cls);
    note_refilled(heap, cls);
    set_scattered(heap, cls, 0);
    if (shelf->drains != 0) {
        shelf->drains = 0;
        shelf->recycles = true;
        hak_bins_widen(heap, cls);
    }
    if (shelf->flushed) {
        shelf->flushed = false;
        shelf->regretted = true;
        shelf->regret_ms = hak_os.now_ms();
    }
}

/* What came into the bin and did not go home was allocated, or is in the reserve. How much that is,
 * is known roughly; what is told too early or too late is made up for the next time. */
uint32_t hak_bins_count_passed(hak_heap_t *heap, unsigned cls) {
    const hak_bin_t *bin = hak_heap_bin(heap, cls);
    hak_shelf_t *shelf = &heap->shelves[cls];
    hak_bins_open(heap, cls);
    int32_t kept = hak_load_relaxed(&shelf->reserve) != 0 ? bin->reserve_most : 0;
    int32_t came = frees_so_far(bin, shelf) - kept;
    uint32_t passed = hak_load_relaxed(&shelf->passed) + (uint32_t)came;
    int32_t more = (int32_t)(passed - shelf->passed_told);
    if (more <= 0) {
        return 0;
    }
    shelf->passed_told = passed;
    return (uint32_t)more;
}

/* The reserve becomes the bin, which is empty. */
static bool take_back(hak_bin_t *bin, hak_shelf_t *shelf) {
    uintptr_t chain = hak_load_relaxed(&shelf->reserve); /* by this thread, or 0 by another */
    check_not_in_transit(chain);
    if (chain == 0 || !hak_cas_relaxed(&shelf->reserve, &chain, chain | HAK_IN_TRANSIT)) {
        return false;
    }
    hak_signal_fence();
    bin->head = (void *)chain;
    hak_signal_fence();
    hak_store_relaxed(&shelf->reserve, 0);
    return true;
}

bool hak_bins_take_reserve(hak_heap_t *heap, unsigned cls) {
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    hak_shelf_t *shelf = &heap->shelves[cls];
    int cancel_type = hak_cancel_defer();
    bool taken = take_back(bin, shelf);
    hak_cancel_restore(cancel_type);
    if (!taken) {
        return false;
    }
    hak_bins_note_refill(heap, cls, (unsigned)bin->reserve_most);
    bin->reserve_most = 0;
    shelf->calm = (uint8_t)hak_min(shelf->calm + 1U, CALM_MOST);
    hak_bins_widen(heap, cls);
    HAK_TALLY(heap, refills_reserve);
    return true;
}
