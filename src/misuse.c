/* misuse.c: tells apart what can be wrong with a pointer, and says it in one stable line.
 *
 * Owns:      the texts of promise 2; tests/misuse compares them.
 * Threads:   any; ends the process, or says so and returns (HAKMEM_HARDEN=warn).
 */
#include <string.h>

#include "alloc.h"
#include "large.h"
#include "message.h"

typedef struct {
    char text[64];
} what_t;

static what_t describe_class(unsigned cls) {
    what_t what;
    hak_text_t text = {what.text, 0, sizeof what.text - 1};
    hak_text_add(&text, "class %u, %zu bytes", cls, hak_class_stride(cls));
    what.text[text.used] = '\0';
    return what;
}

void hak_report_freed(const void *p, const char *verb, const char *what) {
    if (strcmp(verb, "free") == 0) {
        hak_message_misuse(p, "double free of %p (%s)", p, what);
    } else {
        hak_message_misuse(p, "use after free: %s of %p (%s)", verb, p, what);
    }
}

void hak_report_inside(const void *p, const char *verb, const char *what, const void *block) {
    hak_message_misuse(p, "invalid %s of %p: inside a block (%s, block at %p)", verb, p, what,
                       block);
}

void hak_report_not_allocated(const void *p, const char *verb) {
    hak_message_misuse(p, "invalid %s of %p: not allocated by hakmem", verb, p);
}

static void report_in_slab(const void *p, const char *verb, unsigned cls) {
    const hak_slab_t *slab = hak_slab_of(p, cls);
    char *base = hak_slab_base(slab);
    unsigned index = hak_class_index(cls, (size_t)((const char *)p - base));
    char *start = base + index * hak_class_stride(cls);
    what_t what = describe_class(cls);
    if (index >= hak_load_relaxed(&slab->carved)) {
        hak_report_not_allocated(p, verb);
    } else if (start != p) {
        hak_report_inside(p, verb, what.text, start);
    } else {
        hak_report_freed(p, verb, what.text);
    }
}

bool hak_check_guarded(const void *p, const char *verb, const hak_guard_place_t *place) {
    const void *damage = place->kind == HAK_GUARD_LIVE ? hak_guard_damage(p) : NULL;
    what_t what;
    hak_text_t text = {what.text, 0, sizeof what.text - 1};
    hak_text_add(&text, "guarded, %zu bytes", place->size);
    what.text[text.used] = '\0';
    if (place->kind == HAK_GUARD_FREED) {
        hak_report_freed(p, verb, what.text);
    } else if (place->kind == HAK_GUARD_INTERIOR) {
        hak_report_inside(p, verb, what.text, place->start);
    } else if (damage != NULL && damage < p) {
        hak_message_misuse(p, "heap underflow before %p (%s)", p, what.text);
    } else if (damage != NULL) {
        hak_message_misuse(p, "heap overflow past %p (%s): byte %zu was written to", p, what.text,
                           (size_t)((const char *)damage - (const char *)p));
    }
    return place->kind == HAK_GUARD_LIVE;
}

static void report_in_large(const void *p, const char *verb) {
    hak_guard_place_t guarded = hak_guard_place(p);
    if (guarded.kind != HAK_GUARD_NONE) {
        if (hak_check_guarded(p, verb, &guarded)) { /* live again, in another thread's hands */
            hak_report_freed(p, verb, "guarded");
        }
        return;
    }
    hak_large_place_t place = hak_large_place(p);
    if (place.kind == HAK_LARGE_INTERIOR) {
        hak_message_misuse(p, "invalid %s of %p: inside a large block (block at %p, %zu bytes)",
                           verb, p, place.start, place.bytes);
        return;
    }
    what_t what;
    hak_text_t text = {what.text, 0, sizeof what.text - 1};
    hak_text_add(&text, "large, %zu bytes", place.bytes);
    what.text[text.used] = '\0';
    hak_report_freed(p, verb, what.text);
}

void hak_report_misuse(const void *p, const char *verb) {
    uint8_t tag = hak_map_tag(p);
    if (tag != HAK_TAG_NONE && (uintptr_t)p % HAK_ALIGNMENT != 0) {
        hak_message_misuse(p, "invalid %s of %p: misaligned pointer", verb, p);
    } else if (hak_tag_is_class(tag)) {
        report_in_slab(p, verb, hak_tag_class(tag));
    } else if (tag == HAK_TAG_LARGE) {
        report_in_large(p, verb);
    } else if (tag == HAK_TAG_EMPTY || tag == HAK_TAG_RETURNED) {
        hak_report_freed(p, verb, "memory already returned");
    } else {
        hak_report_not_allocated(p, verb);
    }
}
