/* armor_slab.c: see armor_slab.h.
 *
 * Threads:   see armor_slab.h.
 */
#include "armor_slab.h"

#include <string.h>

#include "os.h"
#include "pool.h"
#include "stats.h"

#define MAPPINGS_STANDARD 65530
#define SHORT_ROWS_MOST 8

static struct {
    hak_lock_t lock;
    bool short_of_mappings; /* slabs.lock: the system has refused one more */
    bool open;              /* slabs.lock: nothing is made untouchable any more */
    size_t sealed;          /* slabs.lock: records of SuperSlabs that may be sealed */
    size_t sealed_most;     /* const after hak_armor_slab_start() */
} slabs;

/* A sheet lasts as long as its SuperSlab's record: for good.  */
static bool prepare_sheet(hak_superslab_t *ss) {
    if (ss->sheet != NULL) {
        return true;
    }
    size_t page = hak_map.page_bytes;
    size_t bytes = hak_round_up(sizeof(hak_sheet_t), page);
    char *memory = hak_os.map(bytes + 2 * page);
    if (memory == NULL) {
        return false;
    }
    HAK_COUNT(map_calls);
    (void)hak_os.protect(memory, page, false);
    (void)hak_os.protect(memory + page + bytes, page, false);
    ss->sheet = memory + page;
    return true;
}

/* Each takes as many mappings as it has borders; all together a quarter of what there may be. */
static bool may_seal(hak_superslab_t *ss) {
    if (!ss->counted && slabs.sealed < slabs.sealed_most) {
        ss->counted = true;
        slabs.sealed++;
    }
    return ss->counted;
}

/* Nobody else's slab is in a SuperSlab that is not sealed yet: the lock is held since before it
 * came. Where the system has no mapping left for a border between what may be touched and what may
 * not, all of it may. */
static bool open_slab(hak_slab_t *slab) {
    hak_superslab_t *ss = hak_slab_superslab(slab);
    if (!ss->sealed && !slabs.open && may_seal(ss)) {
        ss->sealed = true;
        (void)hak_os.protect(ss->base, HAK_SUPERSLAB_BYTES, false);
    }
    if (!ss->sealed || hak_os.protect(hak_slab_base(slab), slab->slots * HAK_SLOT_BYTES, true)) {
        return true;
    }
    slabs.short_of_mappings = true;
    return hak_os.protect(ss->base, HAK_SUPERSLAB_BYTES, true);
}

hak_slab_t *hak_armor_slab_acquire(unsigned cls, unsigned arena) {
    hak_lock(&slabs.lock);
    hak_slab_t *slab = hak_pool_acquire(cls, false);
    if (slab != NULL && (!prepare_sheet(hak_slab_superslab(slab)) || !open_slab(slab))) {
        hak_pool_release(slab);
        slab = NULL;
    }
    if (slab != NULL) {
        hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
        hak_store_relaxed(&sheet->arena[slab->index], (uint8_t)arena);
        sheet->free_bits[slab->index] = 0;
        hak_store_relaxed(&slab->carved, 1);
        slab->free_count = 1; /* number 0 */
    }
    hak_unlock(&slabs.lock);
    return slab;
}

/* Rows of notes are as much as a quarter of what they are about, so they go back with it, but for
 * short ones (purge_rows_locked()). True: it has gone. */
static bool forget_notes(hak_note_t *notes, unsigned count) {
    size_t page = hak_map.page_bytes;
    size_t bytes = hak_round_up(count * sizeof(hak_note_t), page);
    bool whole = bytes > page && bytes <= sizeof(hak_note_t[HAK_SHEET_BLOCKS]) &&
                 (uintptr_t)notes % page == 0;
    HAK_COUNT_N(purge_calls, whole);
    if (whole && hak_os.purge(notes, bytes)) {
        return true;
    }
    memset((void *)notes, 0, count * sizeof(hak_note_t));
    return false;
}

/* A system call for each short row, which stops the other processors too, would cost more than its
 * page is worth: so some go back together, and with them what lies between them and is of no slab.
 * No slab is acquired or released without the lock, so ss->active is as it will be. */
static void purge_rows_locked(hak_superslab_t *ss) {
    hak_sheet_t *sheet = ss->sheet;
    uint32_t due = sheet->short_rows & ~ss->active;
    if (__builtin_popcount(due) < SHORT_ROWS_MOST ||
        sizeof sheet->notes[0] % hak_map.page_bytes != 0) {
        return;
    }
    sheet->short_rows &= ss->active;
    while (due != 0) {
        unsigned from = (unsigned)__builtin_ctz(due), to = from;
        while (to < HAK_SLOTS && (ss->active >> to & 1) == 0) {
            due &= ~((uint32_t)1 << to++);
        }
        HAK_COUNT(purge_calls);
        (void)hak_os.purge(sheet->notes[from], (to - from) * sizeof sheet->notes[0]);
    }
}

void hak_armor_slab_release(hak_slab_t *slab) {
    hak_sheet_t *sheet = hak_slab_superslab(slab)->sheet;
    unsigned carved = hak_load_relaxed(&slab->carved);
    char *base = hak_slab_base(slab);
    size_t bytes = slab->slots * HAK_SLOT_BYTES;
    bool forgotten = forget_notes(sheet->notes[slab->index], carved);
    memset(sheet->free[slab->index], 0, hak_round_up(carved, 64) / 8);
    HAK_COUNT(purge_calls);
    if (!hak_os.purge(base, bytes)) {
        HAK_COUNT(purge_failures);
        memset(base, 0, hak_min(carved * hak_class_stride(slab->cls) + 1, bytes));
    }
    hak_lock(&slabs.lock);
    if (!slabs.open && hak_slab_superslab(slab)->sealed && !hak_os.protect(base, bytes, false)) {
        slabs.short_of_mappings = true;
    }
    hak_store_relaxed(&slab->carved, 0); /* nothing of it is resident */
    slab->free_count = 0;
    hak_pool_release(slab);
    if (!forgotten) {
        sheet->short_rows |= (uint32_t)1 << slab->index;
        purge_rows_locked(hak_slab_superslab(slab));
    }
    hak_unlock(&slabs.lock);
}

bool hak_armor_slab_open_all_locked(void) {
    hak_superslab_t *ss = NULL;
    if (!slabs.short_of_mappings || slabs.open) {
        return false;
    }
    slabs.open = true;
    while ((ss = hak_pool_next_superslab(ss)) != NULL) {
        (void)hak_os.protect(ss->base, HAK_SUPERSLAB_BYTES, true);
    }
    return true;
}

void hak_armor_slab_start(void) {
    size_t mappings = hak_os.mappings_max();
    slabs.sealed_most = (mappings != 0 ? mappings : MAPPINGS_STANDARD) / 4 / (HAK_SLOTS + 1);
}

hak_lock_t *hak_armor_slab_own_lock(void) {
    return &slabs.lock;
}
