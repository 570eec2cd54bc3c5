/* alloc.c: see alloc.h.
 *
 * Threads:   see alloc.h.
 */
#include "alloc.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/single_threaded.h>

#include "alloc_fast.h"
#include "flight.h"
#include "guard.h"
#include "harden.h"
#include "heap_search.h"
#include "large.h"
#include "message.h"
#include "options.h"
#include "os.h"
#include "pool.h"
#include "sample.h"
#include "stats.h"
#include "tick.h"

bool (*hak_foreign_free)(void *p);
size_t (*hak_foreign_size)(const void *p);

/* ---- Start-up -------------------------------------------------------------------------------- */

static hak_lock_t start_lock;
static _Atomic bool started; /* atomic: release and acquire in start_slow() */
/* Started, in the default mode, and nothing is to be done now and then: so modes and ticks cost
 * those nothing who have none. Atomic: release in start_slow(), acquire in is_settled(). */
static _Atomic bool settled;

/* glibc takes its list of streams before its malloc's locks, since a thread that holds a stream
 * may allocate. fork handlers run before both, so hakmem takes the list first itself; it is
 * recursive. Weak: other C libraries have no such lock. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

static void each_lock(void (*visit)(hak_lock_t *lock, void *context), void *context) {
    visit(&start_lock, context);
    visit(&hak_map.lock, context);
    visit(hak_guard_own_lock(), context);
    visit(hak_large_own_lock(), context);
    visit(hak_tick_own_lock(), context);
    hak_arena_each_lock(visit, context);
    hak_heap_each_lock(visit, context);
}

static void note_mine(hak_lock_t *lock, void *is_inside) {
    *(bool *)is_inside = *(bool *)is_inside || hak_lock_is_mine(lock);
}

static void inherit(hak_lock_t *lock, void *parent) {
    hak_lock_inherit(lock, *(uint32_t *)parent);
}

/* A fork in a signal handler that interrupted a slow path. In a process of one thread it is
 * harmless: parent and child both come back to that path, and nobody else is in any. With other
 * threads there is no order in which their locks could be taken now. */
static unsigned forks_inside; /* under way; written by the only thread there is */

bool hak_is_inside(void) {
    bool inside = false;
    each_lock(note_mine, &inside);
    return inside;
}

static bool may_fork_inside(void) {
    bool inside = hak_is_inside();
    if (HAK_UNLIKELY(inside && !__libc_single_threaded)) {
        hak_message_fatal("fork in a signal handler that interrupted malloc or free");
    }
    return inside;
}

static void fork_prepare(void) {
    if (HAK_UNLIKELY(may_fork_inside())) {
        forks_inside++;
        return;
    }
    if (_IO_list_lock != NULL) {
        _IO_list_lock();
    }
    hak_lock_everything();
}

static void fork_in_parent(void) {
    if (HAK_UNLIKELY(forks_inside != 0)) {
        forks_inside--;
        return;
    }
    hak_unlock_everything();
    if (_IO_list_unlock != NULL) {
        _IO_list_unlock();
    }
}

static void fork_in_child(void) {
    uint32_t parent = hak_lock_self;
    hak_lock_forget_self();
    HAK_COUNT(forks);
    if (HAK_UNLIKELY(forks_inside != 0)) {
        forks_inside--;
        each_lock(inherit, &parent);
        return;
    }
    if (_IO_list_resetlock != NULL) {
        _IO_list_resetlock();
    }
    int cancel_type = hak_guard_own_lock()->cancel_type; /* of all locks it was taken first */
    hak_lock_reset(&start_lock);
    hak_lock_reset(&hak_map.lock);
    hak_lock_reset(hak_large_own_lock());
    hak_arena_after_fork_in_child();
    hak_lock_reset(hak_guard_own_lock());
    hak_heap_after_fork_in_child(); /* last: it uses the locks above */
    hak_tick_after_fork_in_child();
    hak_cancel_restore(cancel_type);
}

/* A fatal report may come from under this thread's heap's lock; other heaps still serve. */
static void leave_heap(void) {
    hak_flight_heap = hak_tls_heap;
    hak_tls_heap = HAK_HEAP_LATE;
}

static HAK_COLD bool start_slow(void) {
    if (hak_load_acquire(&started)) {
        hak_tick();
        return true;
    }
    hak_lock(&start_lock);
    bool first = !hak_load_relaxed(&started);
    bool ok = true;
    if (first) {
        hak_options_read(hak_os_is_secure());
        ok = hak_heap_system_init();
        if (ok && hak_options.harden != 0) {
            hak_harden_start();
            if (hak_operators_harden != NULL) {
                hak_operators_harden();
            }
        }
        if (ok) {
            hak_message_on_fatal = leave_heap;
            hak_message_on_details = hak_flight_report;
            hak_store_release(&started, true);
        }
    }
    hak_unlock(&start_lock);
    if (first && ok) {
        /* Registered before a second thread can exist, since starting one allocates. Called
         * without a lock and with everything in place: libc may allocate in here. */
        (void)pthread_atfork(fork_prepare, fork_in_parent, fork_in_child);
        hak_pool_prewarm(hak_options.prewarm);
        if (hak_options.verbose) {
            hak_message_trace("hakmem %s", HAK_VERSION);
        }
        if (hak_options.help || hak_options.verbose) {
            hak_options_print(2);
        }
        if (hak_hardened) {
            hak_harden_catch_faults();
        }
        if (hak_options.guard_sample != 0 && !hak_hardened) {
            hak_sample_start();
        }
        hak_tick_start();
        hak_store_release(&settled, !hak_ticking && !hak_hardened && !hak_sampling);
    }
    return ok;
}

static bool is_settled(void) {
    return HAK_LIKELY(hak_load_acquire(&settled));
}

/* Of hakmem that is not settled. */
static bool is_hardened(void) {
    return hak_load_acquire(&started) && hak_hardened;
}

static bool start(void) {
    return is_settled() || start_slow();
}

void hak_lock_everything(void) {
    hak_guard_lock();
    if (hak_hardened) {
        hak_arena_lock_all();
    }
    hak_heap_lock_all();
    hak_lock(hak_large_own_lock());
    hak_lock(&hak_map.lock);
}

void hak_unlock_everything(void) {
    hak_unlock(&hak_map.lock);
    hak_unlock(hak_large_own_lock());
    hak_heap_unlock_all();
    if (hak_hardened) {
        hak_arena_unlock_all();
    }
    hak_guard_unlock();
}

/* ---- Allocation ------------------------------------------------------------------------------ */

static void *try_class(unsigned cls) {
    hak_heap_t *heap = hak_heap_get();
    if (HAK_UNLIKELY(heap == NULL)) {
        return hak_heap_alloc_late(cls);
    }
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    void *block = bin->head;
    return block != NULL ? hak_bin_pop(bin, block) : hak_heap_refill(heap, cls);
}

/* The system has no more. What is kept for other sizes, or lies in bins, may be enough; but for a
 * size that all of it would not be enough for, nothing is given up. */
static HAK_COLD bool make_room(size_t size) {
    hak_lock(&hak_map.lock);
    bool may_help = size <= hak_map.mapped_bytes;
    hak_unlock(&hak_map.lock);
    if (may_help) {
        (void)hak_guard_release_held();
        (void)hak_trim_all();
    }
    return may_help;
}

static void *alloc_class(unsigned cls) {
    void *block = try_class(cls);
    if (HAK_UNLIKELY(block == NULL) && make_room(hak_class_stride(cls))) {
        block = try_class(cls);
    }
    return block;
}

static void *alloc_large(size_t size, size_t align, bool *zero) {
    void *(*alloc)(size_t, size_t, bool *) = *zero ? hak_large_alloc : hak_large_alloc_resident;
    void *block = alloc(size, align, zero);
    if (HAK_UNLIKELY(block == NULL) && make_room(size)) {
        block = alloc(size, align, zero);
    }
    hak_heap_keep_peak(HAK_TIER_LARGE);
    return block;
}

static HAK_COLD void *alloc_hardened_again(size_t size, size_t align, hak_origin_t origin) {
    if (!make_room(size)) {
        return NULL;
    }
    void *block = hak_harden_alloc(size, align, origin);
    return block == NULL && hak_harden_relax() ? hak_harden_alloc(size, align, origin) : block;
}

HAK_INLINE void *alloc_hardened(size_t size, size_t align, hak_origin_t origin) {
    hak_tick();
    void *block = hak_harden_alloc(size, align, origin);
    return HAK_LIKELY(block != NULL) ? block : alloc_hardened_again(size, align, origin);
}

/* Where the next multiple of the alignment is far, whole pages fit better. */
static unsigned class_of_aligned(size_t size, size_t align) {
    unsigned cls = hak_class_of_aligned(size, align);
    bool is_wide = cls < HAK_CLASSES && size > HAK_ONE_SLOT_MAX;
    return is_wide && hak_class_stride(cls) - size > size / 4 ? HAK_CLASSES : cls;
}

/* What the hit paths do not serve: misses, sizes and alignments beyond the bins'. *zero: known to
 * read as zero; before the call: memory that does is of more use than what is resident already. */
static HAK_NOINLINE void *alloc_beyond(size_t size, size_t align, hak_origin_t origin, bool *zero) {
    bool wants_zero = *zero;
    *zero = false;
    if (size > HAK_SIZE_MAX || align > HAK_SIZE_MAX) {
        return NULL;
    }
    bool settled_now = is_settled();
    if (HAK_UNLIKELY(!settled_now) && is_hardened()) {
        *zero = true;
        return alloc_hardened(size, align, origin);
    }
    unsigned cls = size > HAK_MID_MAX       ? HAK_CLASSES
                   : align <= HAK_ALIGNMENT ? hak_class_of(size)
                                            : class_of_aligned(size, align);
    if (HAK_UNLIKELY(!settled_now)) {
        bool first = !hak_load_acquire(&started);
        if (!start_slow()) {
            return NULL;
        }
        if (hak_hardened) { /* by which operator was not to be known before the mode was */
            *zero = true;
            return alloc_hardened(size, align,
                                  first && origin != HAK_BY_MALLOC ? HAK_BY_ANY : origin);
        }
        void *sample = hak_sampling ? hak_sample(size, align, origin, cls) : NULL;
        if (sample != NULL) {
            *zero = true;
            return sample;
        }
    }
    if (cls < HAK_CLASSES) {
        return alloc_class(cls);
    }
    *zero = wants_zero;
    return alloc_large(hak_max(size, 1), align, zero);
}

void *hak_alloc_cold(size_t size, size_t align, hak_origin_t origin) {
    bool zero = false;
    if (!is_settled() && is_hardened()) {
        return alloc_hardened(size, align, origin);
    }
    return alloc_beyond(size, align, origin, &zero);
}

static HAK_COLD void *out_of_memory(void) {
    errno = ENOMEM;
    return NULL;
}

/* errno stays as it is: nothing on the way sets it. */
static HAK_NOINLINE void *malloc_hardened(size_t size) {
    void *block = alloc_hardened(size, 1, HAK_BY_MALLOC);
    return HAK_LIKELY(block != NULL) ? block : out_of_memory();
}

static HAK_COLD void *malloc_miss(size_t size) {
    int saved = errno;
    bool zero = false;
    void *block = size <= HAK_MID_MAX && is_settled() ? alloc_class(hak_class_of(size))
                                                      : alloc_beyond(size, 1, HAK_BY_MALLOC, &zero);
    errno = block != NULL ? saved : ENOMEM;
    return block;
}

void *hak_malloc_miss(size_t size) {
    return !is_settled() && is_hardened() ? malloc_hardened(size) : malloc_miss(size);
}

void *hak_alloc_mid(size_t size, void *(*miss)(size_t)) {
    if (HAK_LIKELY(size <= HAK_MID_MAX)) {
        hak_bin_t *bin = hak_heap_bin(hak_tls_heap, hak_class_of(size));
        void *block = bin->head;
        if (HAK_LIKELY(block != NULL)) {
            return hak_bin_pop(bin, block);
        }
    }
    return miss(size);
}

void *hak_malloc(size_t size) {
    return hak_alloc_fast(size, hak_malloc_miss);
}

void *hak_calloc(size_t count, size_t size) {
    size_t bytes;
    if (HAK_UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
        errno = ENOMEM;
        return NULL;
    }
    if (bytes > HAK_MID_MAX) {
        bool zero = true;
        void *large = alloc_beyond(bytes, 1, HAK_BY_MALLOC, &zero);
        if (large == NULL) {
            errno = ENOMEM;
            return NULL;
        }
        return zero ? large : memset(large, 0, bytes);
    }
    void *block = hak_alloc_fast(bytes, hak_malloc_miss);
    return block != NULL ? memset(block, 0, bytes) : NULL;
}

static HAK_COLD void *malloc_cold(size_t size) {
    return hak_alloc_cold(size, 1, HAK_BY_MALLOC);
}

void *hak_alloc_aligned(size_t size, size_t align) {
    if (align <= HAK_ALIGNMENT && size <= HAK_MID_MAX) {
        return hak_alloc_fast(size, malloc_cold);
    }
    return hak_alloc_cold(size, align, HAK_BY_MALLOC);
}

void *hak_aligned_alloc(size_t align, size_t size) {
    if (!hak_is_power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    int saved = errno;
    void *block = hak_alloc_aligned(size, align);
    errno = block != NULL ? saved : ENOMEM;
    return block;
}

/* ---- Free ------------------------------------------------------------------------------------ */

/* Of a bin of this thread's heap. */
static unsigned class_of(const hak_bin_t *bin) {
    return (unsigned)(bin - hak_tls_heap->bins) - HAK_TAG_CLASS;
}

void hak_free_interval_over(hak_bin_t *bin) {
    hak_bins_interval_over(hak_tls_heap, class_of(bin));
}

/* A checked block of the class: the thread may have no heap yet, or the block a stamp's bytes. */
static void free_block(void *p, unsigned cls) {
    hak_heap_t *heap = hak_heap_get();
    if (HAK_UNLIKELY(heap == NULL)) {
        hak_heap_free_late(p, cls);
        return;
    }
    hak_bin_t *bin = hak_heap_bin(heap, cls);
    hak_bin_push(bin, p);
    if (HAK_UNLIKELY(--bin->room < 0)) {
        hak_bins_interval_over(heap, cls);
    }
}

/* p starts a block that was handed out and is not free. A stamp alone does not convict: a program
 * may have put back the very bytes that the block held while it was free. */
static bool is_live_block(const void *p, unsigned cls) {
    return (uintptr_t)p % HAK_ALIGNMENT == 0 && hak_slab_holds(hak_slab_of(p, cls), p) &&
           (!hak_block_is_stamped(p) || !hak_heap_block_is_free(p, cls));
}

static bool free_large(void *p) {
    hak_guard_place_t place = hak_guard_place(p);
    bool done;
    if (HAK_LIKELY(place.kind == HAK_GUARD_NONE)) {
        hak_large_freed_t freed = hak_large_free(p);
        if (freed == HAK_LARGE_WAITS) {
            return true;
        }
        done = freed != HAK_LARGE_NO_BLOCK;
    } else {
        done = place.kind == HAK_GUARD_LIVE && hak_check_guarded(p, "free", &place) &&
               hak_guard_free(p);
    }
    hak_pool_keep_bound();
    return done;
}

static HAK_NOINLINE void free_slow(void *p, uint8_t tag) {
    int saved = errno;
    bool done = false;
    if (hak_tag_is_class(tag)) {
        done = is_live_block(p, hak_tag_class(tag));
        if (done) {
            free_block(p, hak_tag_class(tag));
        }
    } else if (tag == HAK_TAG_LARGE) {
        done = free_large(p);
    } else if (tag == HAK_TAG_NONE && hak_foreign_free != NULL) {
        done = hak_foreign_free(p);
    }
    if (!done) {
        hak_report_misuse(p, "free");
    }
    errno = saved;
}

void hak_free_cold_by(void *p, hak_origin_t by, size_t size) {
    if (p == NULL) {
        return;
    }
    uint8_t tag = hak_map_tag(p);
    if (!is_settled()) {
        hak_tick();
        if (is_hardened() && HAK_LIKELY(hak_harden_free(p, tag, by, size))) {
            return;
        }
    }
    free_slow(p, tag);
}

/* The hit path of blocks whose slab is wider than a slot. No inverse: the tag is no class, or the
 * thread has no heap. Where the slab is one slot, what did not pass does not pass here either: who
 * counts sixteens finds no multiple of the stride that is none in bytes. */
void hak_free_wide_by(void *p, hak_origin_t by, size_t size, hak_bin_t *bin) {
    uint32_t inverse = bin->inverse;
    if (HAK_LIKELY(inverse != 0)) {
        size_t slab_bytes = hak_class_info[class_of(bin)].slots * HAK_SLOT_BYTES;
        uint32_t offset = (uint32_t)((uintptr_t)p & (slab_bytes - 1));
        if (HAK_LIKELY(offset % HAK_ALIGNMENT == 0 && offset / HAK_ALIGNMENT * inverse < inverse &&
                       !hak_block_is_stamped(p))) {
            hak_bin_push(bin, p);
            if (HAK_UNLIKELY(--bin->room < 0)) {
                hak_free_interval_over(bin);
            }
            return;
        }
    }
    hak_free_cold_by(p, by, size);
}

void hak_free(void *p) {
    hak_free_fast(p);
}

/* ---- Blocks that exist ----------------------------------------------------------------------- */

/* The usable bytes of a live block; anything else is reported under the verb, and HAK_SIZE_UNKNOWN
 * if the program is to go on. */
static size_t checked_size(const void *p, const char *verb) {
    uint8_t tag = hak_map_tag(p);
    size_t hardened;
    if (HAK_UNLIKELY(hak_hardened) && hak_harden_size(p, verb, &hardened)) {
        return hardened;
    }
    if (HAK_LIKELY(hak_tag_is_class(tag))) {
        if (HAK_LIKELY(is_live_block(p, hak_tag_class(tag)))) {
            return hak_class_stride(hak_tag_class(tag));
        }
    } else if (tag == HAK_TAG_LARGE) {
        hak_guard_place_t place = hak_guard_place(p);
        if (place.kind == HAK_GUARD_LIVE && hak_check_guarded(p, verb, &place)) {
            return place.size;
        }
        size_t bytes = place.kind == HAK_GUARD_NONE ? hak_large_bytes(p, false) : 0;
        if (bytes != 0) {
            return bytes;
        }
    } else if (tag == HAK_TAG_NONE && hak_foreign_size != NULL) {
        size_t bytes = hak_foreign_size(p);
        if (bytes != 0) {
            return bytes;
        }
    }
    hak_report_misuse(p, verb);
    return HAK_SIZE_UNKNOWN;
}

size_t hak_usable_size(const void *p) {
    size_t bytes = p != NULL ? checked_size(p, "malloc_usable_size") : 0;
    if (hak_map_tag(p) == HAK_TAG_LARGE) {
        (void)hak_large_bytes(p, true); /* all of them are the program's from now on */
    }
    return bytes != HAK_SIZE_UNKNOWN ? bytes : 0;
}

/* Not worth a move: large enough, and no more than twice as large as need be, or small anyway. */
static bool fits_in_place(size_t usable, size_t size) {
    return size <= usable && (size >= usable / 2 || usable <= 64);
}

static bool is_large_block(const void *p) {
    return hak_map_tag(p) == HAK_TAG_LARGE;
}

/* For a large block that grows: the pages of the old one are to take the place of these. */
static void *alloc_to_move_to(size_t size) {
    int saved = errno;
    bool zero = true;
    void *block = alloc_beyond(size, 1, HAK_BY_MALLOC, &zero);
    errno = block != NULL ? saved : ENOMEM;
    return block;
}

static void *move_block(void *p, size_t usable, size_t size) {
    int saved = errno;
    void *block = is_large_block(p) && usable >= HAK_LARGE_MOVE_MIN && size > usable
                      ? alloc_to_move_to(size)
                      : hak_malloc(size);
    if (block == NULL && size <= usable) { /* no memory for a smaller one: the old one will do */
        errno = saved;
        return p;
    }
    if (block == NULL) {
        return NULL;
    }
    if (is_large_block(p) && is_large_block(block) && size >= usable &&
        (hak_hardened ? hak_guard_move(block, p) : hak_large_move(block, p))) {
        return block; /* the pages went over, and p with them */
    }
    memcpy(block, p, hak_min(usable, size));
    hak_free(p);
    return block;
}

void *hak_realloc(void *p, size_t size) {
    if (p == NULL) {
        return hak_malloc(size);
    }
    size_t usable = checked_size(p, "realloc");
    if (HAK_UNLIKELY(usable == HAK_SIZE_UNKNOWN)) {
        errno = EINVAL;
        return NULL;
    }
    if (size == 0) {
        hak_free(p);
        return NULL;
    }
    if (size > HAK_SIZE_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    if (HAK_UNLIKELY(hak_hardened)) {
        if (hak_harden_resize(p, size)) {
            return p;
        }
    } else if (is_large_block(p)) {
        if (hak_guard_resize(p, size)) { /* a sample */
            return p;
        }
        bool stays = size > HAK_MID_MAX || size >= usable / 2;
        if (stays && hak_large_resize(p, size)) {
            hak_heap_keep_peak(HAK_TIER_LARGE);
            hak_pool_keep_bound();
            return p;
        }
    } else if (fits_in_place(usable, size)) {
        return p;
    }
    return move_block(p, usable, size);
}

bool hak_trim_all(void) {
    if (!start()) {
        return false;
    }
    bool hardened = hak_hardened && hak_harden_trim();
    hak_heap_trim();
    bool pool = hak_pool_trim();
    bool large = hak_large_trim();
    return hardened || pool || large;
}
