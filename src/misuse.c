/* misuse.c: tells apart what can be wrong with a pointer, and says it in one stable line.
 *
 * Owns:      the texts of promise 2; tests/misuse compares them.
 * Threads:   any; ends the process.
 */
#include <string.h>

#include "alloc.h"
#include "large.h"
#include "message.h"

static bool is_free_call(const char *verb) {
    return strcmp(verb, "free") == 0;
}

static HAK_NORETURN void report_freed(const void *p, const char *verb, const char *what) {
    if (is_free_call(verb)) {
        hak_message_fatal_about(p, "double free of %p (%s)", p, what);
    }
    hak_message_fatal_about(p, "use after free: %s of %p (%s)", verb, p, what);
}

static HAK_NORETURN void report_in_slab(const void *p, const char *verb, unsigned cls) {
    const hak_slab_t *slab = hak_slab_of(p, cls);
    size_t stride = hak_class_stride(cls);
    char *base = hak_slab_base(slab);
    unsigned index = hak_class_index(cls, (size_t)((const char *)p - base));
    char *start = base + index * stride;
    if (index >= hak_load_relaxed(&slab->carved)) {
        hak_message_fatal_about(p, "invalid %s of %p: not allocated by hakmem", verb, p);
    }
    if (start != p) {
        hak_message_fatal_about(p, "invalid %s of %p: inside a block (class %u, %zu bytes, block at %p)",
                          verb, p, cls, stride, (void *)start);
    }
    char what[64];
    hak_text_t text = {what, 0, sizeof what - 1};
    hak_text_add(&text, "class %u, %zu bytes", cls, stride);
    what[text.used] = '\0';
    report_freed(p, verb, what);
}

static HAK_NORETURN void report_in_large(const void *p, const char *verb) {
    hak_large_place_t place = hak_large_place(p);
    if (place.kind == HAK_LARGE_INTERIOR) {
        hak_message_fatal_about(p, "invalid %s of %p: inside a large block (block at %p, %zu bytes)", verb,
                          p, place.start, place.bytes);
    }
    char what[64];
    hak_text_t text = {what, 0, sizeof what - 1};
    hak_text_add(&text, "large, %zu bytes", place.bytes);
    what[text.used] = '\0';
    report_freed(p, verb, what);
}

void hak_report_misuse(const void *p, const char *verb) {
    uint8_t tag = hak_map_tag(p);
    if (tag != HAK_TAG_NONE && (uintptr_t)p % HAK_ALIGNMENT != 0) {
        hak_message_fatal_about(p, "invalid %s of %p: misaligned pointer", verb, p);
    }
    if (hak_tag_is_class(tag)) {
        report_in_slab(p, verb, hak_tag_class(tag));
    }
    switch (tag) {
    case HAK_TAG_LARGE:
        report_in_large(p, verb);
    case HAK_TAG_EMPTY:
    case HAK_TAG_RETURNED:
        report_freed(p, verb, "memory already returned");
    default:
        hak_message_fatal_about(p, "invalid %s of %p: not allocated by hakmem", verb, p);
    }
}
