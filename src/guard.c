/* guard.c: see guard.h.
 *
 * Threads:   functions named _locked expect guard.lock to be held.
 *
 * A record lies outside the memory that it describes and is found by the start of its run, which
 * the large tier knows for each address.
 *
 * Invariants:
 *   count == live records + held ones <= most
 *   held == the length of the queue oldest ... newest;  held_bytes == the sum of their runs
 *   a run is in the large tier's hands again only when all its pages can be touched
 */
#include "guard.h"

#include <string.h>

#include "address_map.h"
#include "canary.h"
#include "large.h"
#include "message.h"
#include "os.h"
#include "stack.h"
#include "stats.h"

/* Freed blocks that are held: their addresses are used again only when so many newer ones came. */
#define HELD_MOST 1024
#define HELD_BYTES_MOST ((size_t)256 << 20)
/* From here on a block starts right behind the page in front, so that its pages can be moved. */
#define WHOLE_PAGES_FROM ((size_t)4 << 20)
#define PURGE_FROM ((size_t)256 << 10)
/* A block and the pages around it make up to four mappings of one; all together may have half of
 * those that the process may have. */
#define MAPPINGS_STANDARD 65530
#define MAPPINGS_PER_BLOCK 8
#define BLOCKS_MOST ((size_t)1 << 17) /* however many mappings there may be */
#define BUCKETS 4096
#define TRIES 1000 /* of a lock that may never be free again */

typedef enum { SPARE, LIVE, HELD } state_t;
typedef enum { ALLOCATED, FREED, STACKS } stack_kind_t;

/* All guarded by guard.lock, but for who looks on while the process ends. */
typedef struct record {
    uintptr_t run; /* the first page that nobody may touch */
    size_t run_bytes;
    uintptr_t body, end; /* of the pages between the untouchable ones */
    uintptr_t block;
    size_t size; /* as it was asked for */
    state_t state;
    bool closed; /* live: the pages around its own are untouchable */
    bool clean;  /* held: all of it is untouchable and zero */
    hak_origin_t origin;
    hak_guard_reason_t reason;
    hak_stack_t *stacks;  /* sampled ones: of the allocation, of the free; NULL without memory */
    struct record *next;  /* in its bucket; of the spare ones */
    struct record *newer; /* held: in the queue */
    struct record *all;   /* const: the list of all records there ever were */
} record_t;

static struct {
    hak_lock_t lock;
    /* Written under lock. Without it a stale 0 does no harm: who holds a guarded block got it from
     * somebody who saw it counted. */
    _Atomic size_t count;
    size_t most;            /* guarded by lock; 0: not known yet */
    bool short_of_mappings; /* guarded by lock: the system has refused one more */
    record_t *_Atomic all;  /* written under lock; release, acquire in look_at_fault() */
    record_t *spare;        /* guarded by lock, and so are all that follow */
    record_t *oldest, *newest;
    size_t held, held_bytes;
    size_t closed; /* guarded by lock: live ones with untouchable pages */
} guard;

/* Guarded by guard.lock. By itself: each fork takes the lock, and that should touch no page that a
 * program without guarded blocks does not write to anyway. */
static record_t *buckets[BUCKETS];

/* ---- Records --------------------------------------------------------------------------------- */

static record_t **bucket_of(uintptr_t run) {
    return &buckets[run / hak_map.page_bytes * 0x9E3779B97F4A7C15U >> 52];
}

_Static_assert(BUCKETS == 1 << (64 - 52), "the hash has as many bits as there are buckets");

static record_t *find_locked(uintptr_t run) {
    record_t *record = *bucket_of(run);
    while (record != NULL && record->run != run) {
        record = record->next;
    }
    return record;
}

static record_t *new_record_locked(void) {
    record_t *record = guard.spare;
    if (record != NULL) {
        guard.spare = record->next;
        return record;
    }
    record = hak_meta_alloc(sizeof *record, _Alignof(record_t));
    if (record != NULL) {
        record->all = hak_load_relaxed(&guard.all);
        hak_store_release(&guard.all, record);
    }
    return record;
}

static void drop_record_locked(record_t *record) {
    record->state = SPARE;
    record->next = guard.spare;
    guard.spare = record;
}

static void list_locked(record_t *record) {
    record_t **bucket = bucket_of(record->run);
    record->next = *bucket;
    *bucket = record;
    hak_store_relaxed(&guard.count, hak_load_relaxed(&guard.count) + 1);
}

static void unlist_locked(record_t *record) {
    record_t **link = bucket_of(record->run);
    while (*link != record) {
        link = &(*link)->next;
    }
    *link = record->next;
    hak_store_relaxed(&guard.count, hak_load_relaxed(&guard.count) - 1);
}

/* The record of the run that p lies in. A block starts in the first page behind an untouchable one,
 * nearly always the first of the run: that spares the large tier the search. */
static record_t *covering_locked(const void *p) {
    uintptr_t address = (uintptr_t)p;
    if (hak_load_relaxed(&guard.count) == 0 || hak_map_tag(p) != HAK_TAG_LARGE) {
        return NULL;
    }
    record_t *record =
        find_locked(hak_round_down(address, hak_map.page_bytes) - hak_map.page_bytes);
    if (record == NULL || address - record->run >= record->run_bytes) {
        record = find_locked((uintptr_t)hak_large_place(p).start);
    }
    return record;
}

static record_t *live_locked(const void *p) {
    record_t *record = covering_locked(p);
    return record != NULL && record->state == LIVE && record->block == (uintptr_t)p ? record : NULL;
}

/* ---- Pages ----------------------------------------------------------------------------------- */

static bool protect(uintptr_t from, uintptr_t to, bool accessible) {
    HAK_COUNT(protect_calls);
    return hak_os.protect((void *)from, to - from, accessible);
}

static bool open_run(const record_t *record) {
    return protect(record->run, record->run + record->run_bytes, true);
}

static void close_ends_locked(record_t *record) {
    bool both = protect(record->run, record->body, false) &&
                protect(record->end, record->run + record->run_bytes, false);
    record->closed = both || !open_run(record); /* a part is enough to be counted, and opened */
    guard.closed += record->closed;
    guard.short_of_mappings |= !both;
}

/* Of a live one; true when that was possible, or it was open. */
static bool open_ends_locked(record_t *record) {
    if (record->closed && !open_run(record)) {
        return false;
    }
    guard.closed -= record->closed;
    record->closed = false;
    return true;
}

/* ---- Freed blocks ---------------------------------------------------------------------------- */

static void hold_locked(record_t *record) {
    record->state = HELD;
    record->newer = NULL;
    if (guard.oldest == NULL) {
        guard.oldest = record;
    } else {
        guard.newest->newer = record;
    }
    guard.newest = record;
    guard.held++;
    guard.held_bytes += record->run_bytes;
}

/* The open run goes back to the large tier. */
static void give_back_locked(record_t *record) {
    unlist_locked(record);
    (void)hak_large_free((void *)record->run);
    drop_record_locked(record);
}

static record_t *take_oldest_locked(void) {
    record_t *record = guard.oldest;
    guard.oldest = record->newer;
    guard.held--;
    guard.held_bytes -= record->run_bytes;
    return record;
}

/* What the system does not let anybody touch again must not be handed out: it is held once more,
 * and tried again later. */
static bool release_oldest_locked(void) {
    record_t *record = take_oldest_locked();
    if (!open_run(record)) {
        record->clean = false;
        hold_locked(record);
        return false;
    }
    give_back_locked(record);
    return true;
}

static bool release_all_locked(void) {
    bool any = false;
    for (size_t left = guard.held; left != 0; left--) {
        any |= release_oldest_locked();
    }
    return any;
}

static bool is_over_bound(void) {
    return guard.held > HELD_MOST || guard.held_bytes > HELD_BYTES_MOST;
}

/* Held only where that costs addresses alone: where the system refuses, the block is simply freed.
 */
static bool close_body(const record_t *record) {
    if (!record->closed || record->run_bytes > HELD_BYTES_MOST / 4 ||
        !protect(record->body, record->end, false)) {
        return false;
    }
    HAK_COUNT(purge_calls);
    return hak_os.purge((void *)record->body, record->end - record->body);
}

static void retire_locked(record_t *record) {
    record->clean = close_body(record);
    if (!record->clean && open_ends_locked(record)) {
        give_back_locked(record);
        return;
    }
    guard.closed--;
    hold_locked(record);
    while (is_over_bound() && release_oldest_locked()) {
    }
}

/* ---- Live blocks ----------------------------------------------------------------------------- */

static void read_limit_locked(void) {
    size_t mappings = hak_os.mappings_max();
    mappings = mappings != 0 ? mappings : MAPPINGS_STANDARD;
    guard.most = hak_clamp(mappings / MAPPINGS_PER_BLOCK, 1, BLOCKS_MOST);
}

void hak_guard_start(void) {
    hak_lock(&guard.lock);
    read_limit_locked();
    hak_unlock(&guard.lock);
}

/* Room for one more among the mappings. */
static bool admit_locked(void) {
    if (guard.most == 0) {
        read_limit_locked();
    }
    while (guard.closed + guard.held >= guard.most) {
        if (guard.held == 0 || !release_oldest_locked()) {
            return false;
        }
    }
    return true;
}

/* The pages of the block alone. */
static size_t body_bytes(size_t size) {
    return hak_round_up(hak_max(size, 1), hak_map.page_bytes);
}

static size_t run_bytes_for(size_t size, size_t align) {
    const size_t page = hak_map.page_bytes;
    return body_bytes(size) + 2 * page + (align > page ? align - page : 0);
}

/* A place for the block in the run, whose size allows for the alignment. */
static void lay_out(record_t *record, size_t size, size_t align) {
    const size_t page = hak_map.page_bytes;
    record->body = hak_round_up(record->run + page, hak_max(align, page));
    record->end = record->body + body_bytes(size);
    record->size = size;
    record->block = size >= WHOLE_PAGES_FROM
                        ? record->body
                        : hak_round_down(record->end - hak_max(size, 1), align);
    HAK_ASSERT(record->body <= record->block && record->block - record->body < page);
}

static void write_slack(const record_t *record) {
    uintptr_t from = record->block + record->size;
    hak_canary_write((void *)from, record->end - from);
}

/* Something is written before pages become untouchable: so what the mapping falls into has, for the
 * kernel, one origin, and joins to one mapping again. */
static void fill(const record_t *record, bool zero) {
    if (!zero && record->size >= PURGE_FROM) { /* lest all that is handed out is touched */
        HAK_COUNT(purge_calls);
        zero = hak_os.purge((void *)record->body, record->end - record->body);
    }
    if (zero) {
        *(volatile char *)record->body = 0;
    } else {
        memset((void *)record->block, 0, record->size);
    }
    hak_canary_write((void *)record->body, record->block - record->body);
    write_slack(record);
}

/* The run that was held longest, if it is due to go and fits: so its ends stay untouchable, for
 * half of the system calls. NULL: a new one. */
static record_t *recycle_locked(size_t size, size_t align) {
    record_t *record = guard.oldest;
    if (guard.held < HELD_MOST || !record->clean ||
        record->run_bytes != run_bytes_for(size, align)) {
        return NULL;
    }
    (void)take_oldest_locked();
    lay_out(record, size, align);
    if (!protect(record->body, record->end, true)) {
        hold_locked(record);
        return NULL;
    }
    fill(record, true);
    record->state = LIVE;
    record->closed = true;
    guard.closed++;
    return record;
}

static bool make_locked(record_t *record, size_t size, size_t align, bool closed) {
    bool zero;
    record->run_bytes = run_bytes_for(size, align);
    void *run = hak_large_alloc(record->run_bytes, 1, &zero);
    /* What is held may make the difference, unless the request is far beyond all of it. */
    if (run == NULL && record->run_bytes / 16 <= guard.held_bytes && release_all_locked()) {
        run = hak_large_alloc(record->run_bytes, 1, &zero);
    }
    if (run == NULL) {
        drop_record_locked(record);
        return false;
    }
    record->run = (uintptr_t)run;
    lay_out(record, size, align);
    fill(record, zero);
    record->state = LIVE;
    list_locked(record);
    record->closed = false;
    if (closed) {
        close_ends_locked(record);
    }
    return true;
}

static void keep_stack_locked(record_t *record, stack_kind_t kind, const hak_stack_t *stack) {
    if (record->reason != HAK_GUARD_SAMPLED) {
        return;
    }
    if (record->stacks == NULL) {
        record->stacks = hak_meta_alloc(STACKS * sizeof(hak_stack_t), _Alignof(hak_stack_t));
    }
    if (record->stacks != NULL) {
        record->stacks[kind] = *stack;
    }
}

void *hak_guard_alloc(size_t size, size_t align, hak_origin_t origin, hak_guard_reason_t reason) {
    void *block = NULL;
    hak_stack_t stack = {.count = 0};
    if (size > HAK_SIZE_MAX / 4 || align > HAK_SIZE_MAX / 4) {
        return NULL;
    }
    if (reason == HAK_GUARD_SAMPLED) {
        hak_stack_take(&stack);
    }
    align = hak_max(align, HAK_ALIGNMENT);
    hak_lock(&guard.lock);
    record_t *record = recycle_locked(size, align);
    if (record == NULL) {
        bool closed = admit_locked();
        record = closed || reason == HAK_GUARD_HARDENED ? new_record_locked() : NULL;
        if (record != NULL && !make_locked(record, size, align, closed)) {
            record = NULL;
        }
        if (record != NULL && reason == HAK_GUARD_SAMPLED && !record->closed) {
            give_back_locked(record); /* the system had no mapping left: no sample */
            record = NULL;
        }
    }
    if (record != NULL) {
        block = (void *)record->block;
        record->origin = origin;
        record->reason = reason;
        keep_stack_locked(record, ALLOCATED, &stack);
        HAK_COUNT(guard_allocs);
    }
    hak_unlock(&guard.lock);
    return block;
}

bool hak_guard_free(void *p) {
    hak_stack_t stack;
    hak_stack_take(&stack); /* of samples only, but which one p is shows under the lock */
    hak_lock(&guard.lock);
    record_t *record = live_locked(p);
    if (record != NULL) {
        keep_stack_locked(record, FREED, &stack);
        retire_locked(record);
        HAK_COUNT(guard_frees);
    }
    hak_unlock(&guard.lock);
    return record != NULL;
}

/* Only as far as the pages stay the same. What leaves the block becomes canary. */
bool hak_guard_resize(void *p, size_t size) {
    if (HAK_LIKELY(hak_load_relaxed(&guard.count) == 0)) {
        return false;
    }
    hak_lock(&guard.lock);
    record_t *record = live_locked(p);
    bool done = record != NULL && size <= record->end - record->block &&
                record->end - record->block - size < hak_map.page_bytes;
    if (done) {
        if (size > record->size) {
            memset((char *)p + record->size, 0, size - record->size);
        }
        record->size = size;
        write_slack(record);
    }
    hak_unlock(&guard.lock);
    return done;
}

static bool is_whole(const record_t *record) {
    return record != NULL && record->block == record->body && record->size >= WHOLE_PAGES_FROM;
}

/* The last page of from brings its canary along; the bytes that to has more than from are zero, as
 * they were. */
static void take_pages(record_t *to, const record_t *from) {
    uintptr_t moved_end = to->block + from->size;
    uintptr_t pages_end = to->block + (from->end - from->block);
    memset((void *)moved_end, 0, hak_min(pages_end, to->block + to->size) - moved_end);
    write_slack(to);
}

bool hak_guard_move(void *to, void *from) {
    hak_lock(&guard.lock);
    record_t *target = live_locked(to);
    record_t *source = live_locked(from);
    bool moved = is_whole(source) && is_whole(target) && source->size <= target->size;
    if (moved) {
        HAK_COUNT(remap_calls);
        moved = hak_os.move(from, to, source->end - source->block);
    }
    if (moved) {
        HAK_COUNT(guard_frees);
        take_pages(target, source);
        retire_locked(source);
    }
    hak_unlock(&guard.lock);
    return moved;
}

bool hak_guard_release_held(void) {
    if (hak_load_relaxed(&guard.count) == 0) {
        return false;
    }
    hak_lock(&guard.lock);
    bool any = release_all_locked();
    hak_unlock(&guard.lock);
    return any;
}

bool hak_guard_open_all_locked(void) {
    bool any = false;
    if (!guard.short_of_mappings) {
        return false;
    }
    guard.most = 1;
    for (record_t *record = hak_load_relaxed(&guard.all); record != NULL; record = record->all) {
        if (record->state == LIVE && record->closed) {
            any |= open_ends_locked(record);
        }
    }
    return any;
}

/* ---- What lies where ---------------------------------------------------------------------------
 */

static hak_guard_place_t place_of(const record_t *record, const void *p) {
    hak_guard_place_t place = {HAK_GUARD_NONE, HAK_BY_MALLOC, false, NULL, 0};
    if (record != NULL) {
        place.kind = record->state == HELD           ? HAK_GUARD_FREED
                     : record->block == (uintptr_t)p ? HAK_GUARD_LIVE
                                                     : HAK_GUARD_INTERIOR;
        place.origin = record->origin;
        place.sampled = record->reason == HAK_GUARD_SAMPLED;
        place.start = (void *)record->block;
        place.size = record->size;
    }
    return place;
}

hak_guard_place_t hak_guard_place(const void *p) {
    if (HAK_LIKELY(hak_load_relaxed(&guard.count) == 0)) {
        return place_of(NULL, p);
    }
    hak_lock(&guard.lock);
    hak_guard_place_t place = place_of(covering_locked(p), p);
    hak_unlock(&guard.lock);
    return place;
}

hak_guard_place_t hak_guard_run_locked(const void *run) {
    return place_of(find_locked((uintptr_t)run), run);
}

static const void *damage_of(const record_t *record) {
    uintptr_t behind = record->block + record->size;
    const void *damage = hak_canary_damage((void *)record->body, record->block - record->body);
    return damage != NULL ? damage : hak_canary_damage((void *)behind, record->end - behind);
}

const void *hak_guard_damage(const void *p) {
    hak_lock(&guard.lock);
    const record_t *record = live_locked(p);
    const void *damage = record != NULL ? damage_of(record) : NULL;
    hak_unlock(&guard.lock);
    return damage;
}

void hak_guard_leave_out_held(size_t *blocks, size_t *bytes) {
    if (hak_load_relaxed(&guard.count) != 0) {
        hak_lock(&guard.lock);
        *blocks -= hak_min(guard.held, *blocks); /* another moment's, by now */
        *bytes -= hak_min(guard.held_bytes, *bytes);
        hak_unlock(&guard.lock);
    }
}

void hak_guard_each_damaged_locked(void (*visit)(const hak_guard_place_t *place, void *context),
                                   void *context) {
    for (record_t *record = hak_load_relaxed(&guard.all); record != NULL; record = record->all) {
        if (record->state == LIVE && damage_of(record) != NULL) {
            hak_guard_place_t place = place_of(record, (void *)record->block);
            visit(&place, context);
        }
    }
}

/* ---- Faults ------------------------------------------------------------------------------------
 */

static HAK_NORETURN void report_fault(const record_t *record, const void *address) {
    void *block = (void *)record->block;
    if (record->state == HELD) {
        hak_message_fatal_about(block, "use after free of %p (guarded, %zu bytes): access to %p",
                                block, record->size, address);
    }
    if ((uintptr_t)address < record->block) {
        hak_message_fatal_about(block,
                                "heap underflow before %p (guarded, %zu bytes): access to %p",
                                block, record->size, address);
    }
    hak_message_fatal_about(block, "heap overflow past %p (guarded, %zu bytes): access to %p",
                            block, record->size, address);
}

/* The record of the run that the address lies in, for a process that ends, with any lock in hand:
 * nothing is waited for for ever. Without the lock, what another thread changes just now may be
 * told as it was before. Records are never given back. */
static record_t copy_covering(uintptr_t address) {
    bool locked = false;
    for (int tries = 0; tries < TRIES && !locked && !hak_lock_is_mine(&guard.lock); tries++) {
        locked = hak_lock_try(&guard.lock);
        hak_cpu_relax();
    }
    const record_t *found = hak_load_acquire(&guard.all);
    while (found != NULL && (found->state == SPARE || address - found->run >= found->run_bytes)) {
        found = found->all;
    }
    const record_t none = {.state = SPARE};
    const record_t copy = found != NULL ? *found : none;
    if (locked) {
        hak_unlock(&guard.lock);
    }
    return copy;
}

void hak_guard_look_at_fault(const void *p) {
    uintptr_t address = (uintptr_t)p;
    const record_t record = copy_covering(address);
    if (record.state == HELD || (record.state == LIVE && record.closed &&
                                 (address < record.body || address >= record.end))) {
        report_fault(&record, p);
    }
}

void hak_guard_tell(const void *p) {
    const record_t record = copy_covering((uintptr_t)p);
    if (record.state == SPARE || record.reason != HAK_GUARD_SAMPLED || record.stacks == NULL) {
        return;
    }
    hak_stack_tell("allocated at", &record.stacks[ALLOCATED]);
    if (record.state == HELD) {
        hak_stack_tell("freed at", &record.stacks[FREED]);
    }
}

void hak_guard_catch_faults(void) {
    hak_guard_start();
    hak_os_catch_faults(hak_guard_look_at_fault);
}

/* ---- For others
 * --------------------------------------------------------------------------------*/

void hak_guard_lock(void) {
    hak_lock(&guard.lock);
}

void hak_guard_unlock(void) {
    hak_unlock(&guard.lock);
}

hak_lock_t *hak_guard_own_lock(void) {
    return &guard.lock;
}

static bool record_is_valid_locked(const record_t *record) {
    const size_t page = hak_map.page_bytes;
    const uintptr_t run_end = record->run + record->run_bytes;
    return find_locked(record->run) == record && record->run + page <= record->body &&
           record->body % page == 0 && record->block >= record->body &&
           record->block - record->body < page && record->block % HAK_ALIGNMENT == 0 &&
           record->block + record->size <= record->end && record->end % page == 0 &&
           record->end + page <= run_end &&
           hak_large_usable((void *)record->run) == record->run_bytes;
}

static bool queue_is_valid_locked(void) {
    size_t held = 0;
    size_t bytes = 0;
    for (const record_t *record = guard.oldest; record != NULL; record = record->newer) {
        if (record->state != HELD || ++held > guard.held) {
            return false;
        }
        bytes += record->run_bytes;
    }
    return held == guard.held && bytes == guard.held_bytes;
}

bool hak_guard_is_valid(void) {
    hak_lock(&guard.lock);
    bool valid = queue_is_valid_locked();
    size_t count = 0;
    size_t held = 0;
    size_t closed = 0;
    for (record_t *record = hak_load_relaxed(&guard.all); record != NULL && valid;
         record = record->all) {
        if (record->state != SPARE) {
            count++;
            held += record->state == HELD;
            closed += record->state == LIVE && record->closed;
            valid = record_is_valid_locked(record);
        }
    }
    valid = valid && count == hak_load_relaxed(&guard.count) && held == guard.held &&
            closed == guard.closed && (closed + held <= guard.most || guard.short_of_mappings);
    hak_unlock(&guard.lock);
    return valid;
}
