/* harden.c: see harden.h.
 *
 * Threads:   see harden.h.
 */
#include "harden.h"

#include <string.h>

#include "alloc.h"
#include "armor_slab.h"
#include "guard.h"
#include "message.h"
#include "options.h"
#include "os.h"

#define FINDINGS_TOLD 16

/* ---- What is said ---------------------------------------------------------------------------- */

typedef struct {
    char text[64];
} what_t;

static what_t describe_class(unsigned cls, size_t size) {
    what_t what;
    hak_text_t text = {what.text, 0, sizeof what.text - 1};
    hak_text_add(&text, "class %u, %zu bytes", cls, size);
    what.text[text.used] = '\0';
    return what;
}

static what_t describe_guarded(size_t size) {
    what_t what;
    hak_text_t text = {what.text, 0, sizeof what.text - 1};
    hak_text_add(&text, "guarded, %zu bytes", size);
    what.text[text.used] = '\0';
    return what;
}

static HAK_COLD void report_fault(const void *p, const char *verb,
                                  const hak_armor_finding_t *finding) {
    const void *block = finding->block;
    what_t what = describe_class(finding->cls, finding->size);
    switch (finding->fault) {
    case HAK_ARMOR_SOUND:
        break;
    case HAK_ARMOR_NO_BLOCK:
        hak_report_not_allocated(p, verb);
        break;
    case HAK_ARMOR_INSIDE:
        hak_report_inside(p, verb, what.text, block);
        break;
    case HAK_ARMOR_FREED:
        hak_report_freed(p, verb, what.text);
        break;
    case HAK_ARMOR_OVERFLOW:
        hak_message_misuse(block, "heap overflow past %p (%s): byte %zu was written to", block,
                           what.text, (size_t)((const char *)finding->at - (const char *)block));
        break;
    case HAK_ARMOR_UNDERFLOW:
        hak_message_misuse(block, "heap underflow before %p (%s)", block, what.text);
        break;
    case HAK_ARMOR_WRITTEN:
        hak_message_misuse(block, "use after free: %p was written to at %p after it was freed (%s)",
                           block, finding->at, what.text);
        break;
    }
}

static void report_finding(const void *p, const char *verb, const hak_armor_finding_t *finding) {
    if (HAK_UNLIKELY(finding->fault != HAK_ARMOR_SOUND)) {
        report_fault(p, verb, finding);
    }
}

/* ---- Promises that come with a free ---------------------------------------------------------- */

static const char *const names_of_alloc[] = {"malloc", "operator new", "operator new[]"};
static const char *const names_of_free[] = {"free", "operator delete", "operator delete[]"};

static bool may_free(hak_origin_t origin, hak_origin_t by) {
    return origin == by || origin == HAK_BY_ANY || by == HAK_BY_ANY;
}

/* A live block, freed by one of a family that may say its size. */
static bool is_kept(hak_origin_t origin, size_t size, hak_origin_t by, size_t promised) {
    return may_free(origin, by) && (promised == HAK_SIZE_UNKNOWN || promised == size);
}

static HAK_COLD void report_origin(const void *p, const char *verb, hak_origin_t origin,
                                   const char *what) {
    hak_message_misuse(p, "invalid %s of %p: allocated by %s (%s)", verb, p, names_of_alloc[origin],
                       what);
}

static HAK_COLD void report_broken(const void *p, hak_origin_t origin, hak_origin_t by,
                                   size_t promised, const char *what) {
    if (!may_free(origin, by)) {
        report_origin(p, names_of_free[by], origin, what);
    } else {
        hak_message_misuse(p, "invalid %s of %p: the size given is %zu (%s)", names_of_free[by], p,
                           promised, what);
    }
}

/* ---- Guarded blocks -------------------------------------------------------------------------- */

static void free_guarded(void *p, hak_origin_t by, size_t size) {
    hak_guard_place_t place = hak_guard_place(p);
    if (place.kind == HAK_GUARD_NONE) {
        hak_report_misuse(p, "free");
        return;
    }
    if (!hak_check_guarded(p, "free", &place)) {
        return;
    }
    if (!is_kept(place.origin, place.size, by, size)) {
        what_t what = describe_guarded(place.size);
        report_broken(p, place.origin, by, size, what.text);
    }
    if (!hak_guard_free(p)) { /* another thread was faster */
        what_t what = describe_guarded(place.size);
        hak_report_freed(p, "free", what.text);
    }
}

/* ---- The mode -------------------------------------------------------------------------------- */

void hak_harden_start(void) {
    hak_message_goes_on = hak_options.harden == 2;
    hak_armor_start(hak_message_goes_on);
    hak_map.spread = true;
}

/* In the handler of a signal. */
static void look_at_fault(const void *address) {
    uint8_t tag = hak_map_tag(address);
    hak_guard_look_at_fault(address);
    if (tag == HAK_TAG_UNUSED || tag == HAK_TAG_EMPTY || tag == HAK_TAG_RETURNED) {
        hak_message_fatal("use after free, or a stray access: %p is in memory of no block",
                          address);
    }
}

void hak_harden_catch_faults(void) {
    hak_guard_start();
    hak_os_catch_faults(look_at_fault);
}

void hak_harden_report_alloc(const hak_armor_finding_t *finding) {
    report_fault(finding->block, "malloc", finding);
}

void hak_harden_report_free(const void *p, const hak_armor_finding_t *finding, hak_origin_t by,
                            size_t size) {
    report_finding(p, "free", finding);
    if (!hak_armor_is_of_pointer(finding->fault) &&
        !is_kept(finding->own_origin, finding->own_size, by, size)) {
        what_t what = describe_class(finding->cls, finding->own_size);
        report_broken(p, finding->own_origin, by, size, what.text);
    }
}

bool hak_harden_free_unarmored(void *p, uint8_t tag, hak_origin_t by, size_t size) {
    if (tag == HAK_TAG_NONE) {
        return false;
    }
    if ((uintptr_t)p % HAK_ALIGNMENT == 0 && tag == HAK_TAG_LARGE) {
        free_guarded(p, by, size);
    } else {
        hak_report_misuse(p, "free");
    }
    return true;
}

/* Only malloc's own blocks may be resized; their size may always be asked for. */
static bool may_ask(hak_origin_t origin, const char *verb) {
    return may_free(origin, HAK_BY_MALLOC) || strcmp(verb, "realloc") != 0;
}

static size_t size_of_armored(const void *p, unsigned cls, const char *verb) {
    hak_armor_finding_t finding;
    hak_armor_look(p, cls, &finding);
    report_finding(p, verb, &finding);
    if (hak_armor_is_of_pointer(finding.fault)) {
        return HAK_SIZE_UNKNOWN;
    }
    if (!may_ask(finding.own_origin, verb)) {
        what_t what = describe_class(finding.cls, finding.own_size);
        report_origin(p, verb, finding.own_origin, what.text);
    }
    return finding.own_size;
}

static size_t size_of_guarded(const void *p, const char *verb) {
    hak_guard_place_t place = hak_guard_place(p);
    if (place.kind == HAK_GUARD_NONE) {
        hak_report_misuse(p, verb);
        return HAK_SIZE_UNKNOWN;
    }
    if (!hak_check_guarded(p, verb, &place)) {
        return HAK_SIZE_UNKNOWN;
    }
    if (!may_ask(place.origin, verb)) {
        what_t what = describe_guarded(place.size);
        report_origin(p, verb, place.origin, what.text);
    }
    return place.size;
}

bool hak_harden_size(const void *p, const char *verb, size_t *size) {
    uint8_t tag = hak_map_tag(p);
    *size = HAK_SIZE_UNKNOWN;
    if (tag == HAK_TAG_NONE) {
        return false;
    }
    if ((uintptr_t)p % HAK_ALIGNMENT != 0) {
        hak_report_misuse(p, verb);
    } else if (hak_tag_is_class(tag)) {
        *size = size_of_armored(p, hak_tag_class(tag), verb);
    } else if (tag == HAK_TAG_LARGE) {
        *size = size_of_guarded(p, verb);
    } else {
        hak_report_misuse(p, verb);
    }
    return true;
}

bool hak_harden_resize(void *p, size_t size) {
    uint8_t tag = hak_map_tag(p);
    if (hak_tag_is_class(tag)) {
        unsigned cls = hak_tag_class(tag);
        unsigned wanted = hak_harden_class(size, 1); /* right above one for alignment only */
        return (wanted == cls || wanted == cls + 1) && hak_armor_resize(p, cls, size);
    }
    return size > HAK_ARMOR_MAX && hak_guard_place(p).kind == HAK_GUARD_LIVE &&
           hak_guard_resize(p, size);
}

bool hak_harden_trim(void) {
    bool armored = hak_armor_trim();
    return hak_guard_release_held() || armored;
}

bool hak_harden_relax(void) {
    hak_lock_everything();
    bool guards = hak_guard_open_all_locked();
    bool slabs = hak_armor_slab_open_all_locked();
    hak_unlock_everything();
    return guards || slabs;
}

typedef struct {
    size_t damaged;
    hak_guard_place_t places[FINDINGS_TOLD];
} guarded_t;

static void note_damaged(const hak_guard_place_t *place, void *context) {
    guarded_t *found = context;
    if (found->damaged < FINDINGS_TOLD) {
        found->places[found->damaged] = *place;
    }
    found->damaged++;
}

size_t hak_harden_check(void) {
    hak_armor_finding_t findings[FINDINGS_TOLD];
    guarded_t guarded = {.damaged = 0};
    if (!hak_hardened || hak_is_inside()) { /* exit in a signal handler that interrupted malloc */
        return 0;
    }
    hak_lock_everything();
    size_t count = hak_armor_check_locked(findings, FINDINGS_TOLD);
    hak_guard_each_damaged_locked(note_damaged, &guarded);
    hak_unlock_everything();
    for (size_t i = 0; i < hak_min(count, FINDINGS_TOLD); i++) {
        report_finding(findings[i].block, "check", &findings[i]);
    }
    for (size_t i = 0; i < hak_min(guarded.damaged, FINDINGS_TOLD); i++) {
        (void)hak_check_guarded(guarded.places[i].start, "check", &guarded.places[i]);
    }
    return count + guarded.damaged;
}
