/* address_map.c: see address_map.h.
 *
 * Threads:   see address_map.h. Start-up runs under the heap registry's lock.
 */
#include "address_map.h"

#include <string.h>

#include "canary.h"
#include "freelist.h"
#include "os.h"
#include "stats.h"

#define ARENA_STEP_BYTES ((size_t)256 << 10)
#define CLAIM_TRIES 64
/* SuperSlabs in front of the large runs. Where a program has no more, both share a page of tags, of
 * records, of bits and of page tables most of the time. */
#define NEAR_UNITS 32

hak_address_map_t hak_map;
uintptr_t hak_stamp;

/* Eight times the memory there is, so that freed addresses are rarely wanted back at once; with a
 * limit on addresses eight times that limit, which keeps the table below a thousandth of it. */
static size_t window_bytes(const hak_os_facts_t *facts) {
    size_t wish = HAK_WINDOW_DEFAULT_BYTES;
    if (facts->memory_bytes > HAK_WINDOW_DEFAULT_BYTES / 8) {
        wish = facts->memory_bytes * 8;
    }
    if (facts->address_limit_bytes < wish / 8) {
        wish = facts->address_limit_bytes * 8;
    }
    wish = hak_clamp(wish, HAK_WINDOW_MIN_BYTES, HAK_WINDOW_MAX_BYTES);
    return hak_round_up(wish, 64 * HAK_SUPERSLAB_BYTES);
}

/* One mapping: tags, records, the bits of the units, and the first piece of the arena. */
bool hak_map_init(void) {
    if (hak_map.slot_count != 0) {
        return true;
    }
    hak_os_facts_t facts;
    hak_os_read_facts(&facts);
    size_t window = window_bytes(&facts);
    size_t units = window >> HAK_SUPERSLAB_SHIFT;
    size_t slots = window >> HAK_SLOT_SHIFT;
    size_t bytes = slots + units * sizeof(void *) + units / 8 + ARENA_STEP_BYTES;
    bytes = hak_round_up(bytes, facts.page_bytes);
    char *table = hak_os.map(bytes);
    if (table == NULL) {
        return false;
    }
    HAK_COUNT(map_calls);
    /* The table is 8 MiB of mostly untouched zeros; a huge page would make all of it real. */
    hak_map.huge_by_default = hak_os_huge_pages_by_default();
    if (hak_map.huge_by_default) {
        HAK_COUNT(huge_page_calls);
        hak_os.huge_pages(table, bytes, HAK_HUGE_NEVER);
    }
    uintptr_t random[2];
    hak_os_random(random, sizeof random);
    hak_stamp = random[0] | 1;
    hak_canary_init();
    hak_map.page_bytes = facts.page_bytes;
    hak_map.tags = (_Atomic uint8_t *)table;
    hak_map.records = (void *_Atomic *)(table + slots);
    hak_map.units_taken = (uint64_t *)(table + slots + units * sizeof(void *));
    hak_map.arena = (char *)hak_map.units_taken + units / 8;
    hak_map.arena_end = table + bytes;
    hak_map.unit_count = units;
    hak_map.first_unit = units / 4 + random[1] % (units / 4);
    /* An odd one more, so that `spread` leaves a unit free in between. */
    hak_map.large_unit = hak_map.first_unit + NEAR_UNITS + hak_map.first_unit % 2;
    hak_map.far_unit = hak_map.first_unit + units / 8;
    hak_map.hints[HAK_AREA_SUPERSLAB] = hak_map.first_unit;
    hak_map.hints[HAK_AREA_LARGE] = hak_map.large_unit;
    hak_map.hints[HAK_AREA_GIANT] = hak_map.first_unit + units / 4;
    hak_map.slot_count = slots;
    return true;
}

void hak_map_set_tags(const void *start, size_t slots, uint8_t tag) {
    size_t first = hak_map_slot(start);
    if (slots > 4 * HAK_SLOTS) { /* giants: the bytes as bytes; nobody may look at them yet */
        memset((void *)&hak_map.tags[first], tag, slots);
        return;
    }
    for (size_t i = 0; i < slots; i++) {
        hak_store_relaxed(&hak_map.tags[first + i], tag);
    }
}

void hak_map_set_record(const void *p, void *record) {
    size_t unit = ((uintptr_t)p - HAK_WINDOW_LOW) >> HAK_SUPERSLAB_SHIFT;
    hak_store_relaxed(&hak_map.records[unit], record);
}

static bool unit_is_taken(size_t unit) {
    return (hak_map.units_taken[unit / 64] >> (unit % 64)) & 1;
}

static void mark_units(size_t first, size_t count, bool taken) {
    for (size_t unit = first; unit < first + count; unit++) {
        uint64_t bit = (uint64_t)1 << (unit % 64);
        if (taken) {
            hak_map.units_taken[unit / 64] |= bit;
        } else {
            hak_map.units_taken[unit / 64] &= ~bit;
        }
    }
}

static void *unit_address(size_t unit) {
    return (void *)(HAK_WINDOW_LOW + (unit << HAK_SUPERSLAB_SHIFT));
}

static size_t address_unit(const void *p) {
    return ((uintptr_t)p - HAK_WINDOW_LOW) >> HAK_SUPERSLAB_SHIFT;
}

/* The lowest aligned range of count free units in [from, to), or to. */
static size_t find_units(size_t from, size_t to, size_t count, size_t align) {
    size_t unit = hak_round_up(from, align);
    while (unit + count <= to) {
        size_t run = 0;
        while (run < count && !unit_is_taken(unit + run)) {
            run++;
        }
        if (run == count) {
            return unit;
        }
        unit += run + 1;
        while (unit % 64 == 0 && unit < to && hak_map.units_taken[unit / 64] == UINT64_MAX) {
            unit += 64;
        }
        unit = hak_round_up(unit, align);
    }
    return to;
}

static void *claim_in(size_t from, size_t to, size_t units, size_t align, bool *no_memory) {
    for (int tries = 0; tries < CLAIM_TRIES; tries++) {
        size_t unit = find_units(from, to, units, align);
        if (unit == to) {
            return NULL;
        }
        HAK_COUNT(map_calls);
        switch (hak_os.map_at(unit_address(unit), units << HAK_SUPERSLAB_SHIFT)) {
        case HAK_MAP_OK:
            mark_units(unit, units, true);
            hak_map.mapped_bytes += units << HAK_SUPERSLAB_SHIFT;
            return unit_address(unit);
        case HAK_MAP_NO_MEMORY:
            *no_memory = true;
            return NULL;
        case HAK_MAP_TAKEN:
            /* Something foreign lives in there. One unit alone is certainly it; of many, nobody
             * knows which, so step over a growing distance. */
            if (units == 1) {
                mark_units(unit, 1, true);
            }
            from = unit + ((size_t)1 << hak_min((size_t)tries, 12));
            break;
        }
    }
    return NULL;
}

static void *claim_locked(size_t bytes, size_t align, hak_area_t area) {
    size_t units = bytes >> HAK_SUPERSLAB_SHIFT;
    size_t align_units = align >> HAK_SUPERSLAB_SHIFT;
    if (hak_map.spread && area == HAK_AREA_SUPERSLAB) {
        align_units = hak_max(align_units, 2);
    }
    size_t from = hak_map.hints[area];
    bool no_memory = false;
    void *start = NULL;
    if (units > hak_map.unit_count) {
        return NULL;
    }
    if (area == HAK_AREA_SUPERSLAB && from < hak_map.far_unit) {
        start = claim_in(from, hak_map.large_unit, units, align_units, &no_memory);
        from = start != NULL ? from : hak_map.far_unit;
    }
    if (start == NULL && !no_memory) {
        start = claim_in(from, hak_map.unit_count, units, align_units, &no_memory);
    }
    if (start == NULL && !no_memory) {
        start = claim_in(hak_map.first_unit, from, units, align_units, &no_memory);
    }
    if (start == NULL && !no_memory) { /* the rest of the window, below the random start */
        start =
            claim_in(hak_map.unit_count / 32, hak_map.first_unit, units, align_units, &no_memory);
    }
    if (start == NULL) {
        return NULL;
    }
    size_t unit = address_unit(start);
    if (area == HAK_AREA_GIANT) {
        /* Keep room behind it: a block this large may be about to grow, and in place is best. */
        size_t next = unit + units * 8;
        bool room = next < hak_map.unit_count - hak_map.unit_count / 8;
        hak_map.hints[area] = room ? next : hak_map.first_unit + hak_map.unit_count / 4;
    } else if (units == 1 && align == HAK_SUPERSLAB_BYTES) {
        hak_map.hints[area] = unit + 1; /* all below is taken, or another area's */
    }
    return start;
}

void *hak_map_claim(size_t bytes, size_t align, hak_area_t area) {
    HAK_ASSERT(bytes % HAK_SUPERSLAB_BYTES == 0 && align % HAK_SUPERSLAB_BYTES == 0);
    hak_lock(&hak_map.lock);
    void *start = claim_locked(bytes, align, area);
    hak_unlock(&hak_map.lock);
    return start;
}

bool hak_map_claim_at(void *start, size_t bytes) {
    size_t unit = address_unit(start);
    size_t units = bytes >> HAK_SUPERSLAB_SHIFT;
    bool ok = false;
    hak_lock(&hak_map.lock);
    if (unit + units <= hak_map.unit_count && find_units(unit, unit + units, units, 1) == unit) {
        HAK_COUNT(map_calls);
        ok = hak_os.map_at(start, bytes) == HAK_MAP_OK;
        if (ok) {
            mark_units(unit, units, true);
            hak_map.mapped_bytes += bytes;
        }
    }
    hak_unlock(&hak_map.lock);
    return ok;
}

/* Whose search is to begin at a unit that became free. */
static hak_area_t area_of(size_t unit) {
    return unit >= hak_map.large_unit && unit < hak_map.far_unit ? HAK_AREA_LARGE
                                                                 : HAK_AREA_SUPERSLAB;
}

bool hak_map_release(void *start, size_t bytes) {
    size_t unit = address_unit(start);
    size_t units = bytes >> HAK_SUPERSLAB_SHIFT;
    hak_lock(&hak_map.lock);
    /* Tags first: once unmapped, the addresses may be claimed again. */
    hak_map_set_tags(start, units * HAK_SLOTS, HAK_TAG_RETURNED);
    HAK_COUNT(unmap_calls);
    bool ok = hak_os.unmap(start, bytes);
    if (ok) {
        for (size_t i = unit; i < unit + units; i++) {
            hak_store_relaxed(&hak_map.records[i], NULL);
        }
        mark_units(unit, units, false);
        hak_map.mapped_bytes -= bytes;
        size_t *hint = &hak_map.hints[area_of(unit)];
        if (unit >= hak_map.first_unit) {
            *hint = hak_min(*hint, unit);
        }
    }
    hak_unlock(&hak_map.lock);
    return ok;
}

char *hak_map_next_unit(const char *after) {
    size_t unit = after != NULL ? address_unit(after) + 1 : 0;
    while (unit < hak_map.unit_count) {
        uint64_t bits = hak_map.units_taken[unit / 64] >> (unit % 64);
        if (bits != 0) {
            return unit_address(unit + (size_t)__builtin_ctzl(bits));
        }
        unit = hak_round_down(unit, 64) + 64;
    }
    return NULL;
}

static bool refill_arena(size_t bytes) {
    size_t step = hak_round_up(hak_max(bytes, ARENA_STEP_BYTES), hak_map.page_bytes);
    char *more = hak_os.map(step);
    if (more == NULL) {
        return false;
    }
    HAK_COUNT(map_calls);
    /* The kernel often puts mappings side by side; then nothing of the old piece is lost. */
    if (more != hak_map.arena_end) {
        hak_map.arena = more;
    }
    hak_map.arena_end = more + step;
    return true;
}

void *hak_meta_alloc(size_t bytes, size_t align) {
    void *result = NULL;
    hak_lock(&hak_map.lock);
    uintptr_t at = hak_round_up((uintptr_t)hak_map.arena, align);
    if (at + bytes > (uintptr_t)hak_map.arena_end) {
        if (refill_arena(bytes + align)) {
            at = hak_round_up((uintptr_t)hak_map.arena, align);
        } else {
            at = 0;
        }
    }
    if (at != 0) {
        result = (void *)at;
        hak_map.arena = (char *)at + bytes;
        hak_map.meta_bytes += bytes;
    }
    hak_unlock(&hak_map.lock);
    return result;
}
