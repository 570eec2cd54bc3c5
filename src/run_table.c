/* run_table.c: see run_table.h.
 *
 * Threads:   see run_table.h.
 */
#include "run_table.h"

typedef struct {
    hak_run_t *entries[1]; /* as many as a unit has pages */
} unit_t;

unsigned hak_page_shift;

static hak_run_t *spare_runs;
static unit_t *spare_units;

void hak_run_table_init(void) {
    if (hak_page_shift == 0) {
        hak_page_shift = (unsigned)__builtin_ctzl(hak_map.page_bytes);
    }
}

hak_run_t *hak_run_new(void) {
    hak_run_t *run = spare_runs;
    if (run != NULL) {
        spare_runs = run->left;
        *run = (hak_run_t){0};
        return run;
    }
    return hak_meta_alloc(sizeof *run, HAK_CACHE_LINE);
}

void hak_run_drop(hak_run_t *run) {
    *run = (hak_run_t){.left = spare_runs};
    spare_runs = run;
}

static hak_run_t **entry_at(uintptr_t address) {
    unit_t *unit = hak_map_record((void *)address);
    size_t page = (address & (HAK_SUPERSLAB_BYTES - 1)) >> hak_page_shift;
    return unit != NULL ? &unit->entries[page] : NULL;
}

static unit_t *new_unit(void) {
    unit_t *unit = spare_units;
    if (unit == NULL) {
        size_t bytes = (HAK_SUPERSLAB_BYTES >> hak_page_shift) * sizeof(hak_run_t *);
        return hak_meta_alloc(bytes, HAK_CACHE_LINE);
    }
    spare_units = (unit_t *)unit->entries[0];
    unit->entries[0] = NULL;
    return unit;
}

static void drop_unit(unit_t *unit) {
    unit->entries[0] = (hak_run_t *)spare_units;
    spare_units = unit;
}

bool hak_run_prepare_entry(uintptr_t address) {
    if (entry_at(address) != NULL) {
        return true;
    }
    unit_t *unit = new_unit();
    if (unit == NULL) {
        return false;
    }
    hak_map_set_record((void *)address, unit);
    return true;
}

bool hak_run_reserve(unsigned units) {
    hak_run_t *run = hak_run_new();
    unit_t *first = new_unit();
    unit_t *second = first != NULL && units > 1 ? new_unit() : NULL;
    bool enough = run != NULL && first != NULL && (units == 1 || second != NULL);
    if (run != NULL) {
        hak_run_drop(run);
    }
    if (second != NULL) {
        drop_unit(second);
    }
    if (first != NULL) {
        drop_unit(first);
    }
    return enough;
}

void hak_run_set_entries(hak_run_t *run) {
    *entry_at(run->start) = run;
    *entry_at(hak_run_end(run) - hak_page_bytes()) = run;
}

hak_run_t *hak_run_starting_at(uintptr_t address) {
    if (!hak_run_is_at(address)) {
        return NULL;
    }
    hak_run_t **entry = entry_at(address);
    return entry != NULL && *entry != NULL && (*entry)->start == address ? *entry : NULL;
}

hak_run_t *hak_run_ending_at(uintptr_t address) {
    if (!hak_run_is_at(address - 1)) {
        return NULL;
    }
    hak_run_t **entry = entry_at(address - hak_page_bytes());
    return entry != NULL && *entry != NULL && hak_run_end(*entry) == address ? *entry : NULL;
}

void hak_run_detach_entries(uintptr_t from, uintptr_t to) {
    for (uintptr_t at = from; at < to; at += HAK_SUPERSLAB_BYTES) {
        unit_t *unit = hak_map_record((void *)at);
        if (unit == NULL) {
            continue;
        }
        for (size_t i = 0; i < HAK_SUPERSLAB_BYTES >> hak_page_shift; i++) {
            if (unit->entries[i] != NULL) { /* leaves untouched pages untouched */
                unit->entries[i] = NULL;
            }
        }
        drop_unit(unit);
        hak_map_set_record((void *)at, NULL);
    }
}

hak_run_t *hak_run_covering(uintptr_t address) {
    uintptr_t at = hak_round_down(address, hak_page_bytes());
    while (hak_run_is_at(at)) {
        hak_run_t **entry = entry_at(at);
        if (entry == NULL) {
            at = hak_round_down(at, HAK_SUPERSLAB_BYTES) - hak_page_bytes();
            continue;
        }
        if (*entry != NULL && (*entry)->start <= address && address < hak_run_end(*entry)) {
            return *entry;
        }
        at -= hak_page_bytes();
    }
    return NULL;
}
