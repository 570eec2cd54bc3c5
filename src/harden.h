/* harden.h: the hardened mode: which block serves a request, what is checked, what is said.
 *
 * Owns:      the mode; the texts of its findings (tests/misuse compares them).
 * Knows not: how blocks are kept (armor.h, guard.h), the default mode.
 * Threads:   any function by any thread at any time, but in a signal handler.
 *
 * Requests below 32 KiB get armored blocks of slabs, all others a guarded one. All memory is zero
 * when it is handed out.
 */
#ifndef HAK_HARDEN_H
#define HAK_HARDEN_H

#include "armor.h"
#include "guard.h"

/* Once, when hakmem starts, if an option asks for the mode. */
void hak_harden_start(void);
/* Holding no lock, when all else has started: accesses to untouchable memory will be told of. */
void hak_harden_catch_faults(void);
/* What the two inline functions leave by. */
HAK_COLD void hak_harden_report_alloc(const hak_armor_finding_t *finding);
HAK_COLD void hak_harden_report_free(const void *p, const hak_armor_finding_t *finding,
                                     hak_origin_t by, size_t size);
HAK_NOINLINE bool hak_harden_free_unarmored(void *p, uint8_t tag, hak_origin_t by, size_t size);

/* HAK_CLASSES when no class serves it. */
HAK_INLINE unsigned hak_harden_class(size_t size, size_t align) {
    if (HAK_UNLIKELY(size > HAK_ARMOR_MAX)) {
        return HAK_CLASSES;
    }
    return HAK_LIKELY(align <= HAK_ALIGNMENT) ? hak_class_of(size + 1)
                                              : hak_class_of_aligned(size + 1, align);
}

/* A block that remembers its size and by whom it was allocated. NULL without memory. */
HAK_INLINE void *hak_harden_alloc(size_t size, size_t align, hak_origin_t origin) {
    unsigned cls = hak_harden_class(size, align);
    if (HAK_UNLIKELY(size > HAK_ARMOR_MAX || (align > HAK_ALIGNMENT && cls == HAK_CLASSES))) {
        return hak_guard_alloc(size, align, origin, HAK_GUARD_HARDENED);
    }
    hak_armor_finding_t finding;
    void *block = hak_armor_alloc(cls, size, origin, &finding);
    if (HAK_UNLIKELY(finding.fault != HAK_ARMOR_SOUND)) {
        hak_harden_report_alloc(&finding);
    }
    return block;
}

/* Frees p, an address that has the tag, if it is or was ours: false when it never was. size: as the
 * program says, HAK_SIZE_UNKNOWN if it says nothing. */
HAK_INLINE bool hak_harden_free(void *p, uint8_t tag, hak_origin_t by, size_t size) {
    if (HAK_UNLIKELY(!hak_tag_is_class(tag) || (uintptr_t)p % HAK_ALIGNMENT != 0)) {
        return hak_harden_free_unarmored(p, tag, by, size);
    }
    hak_armor_finding_t finding;
    hak_armor_free(p, hak_tag_class(tag), &finding);
    if (HAK_UNLIKELY(finding.fault != HAK_ARMOR_SOUND || finding.own_origin != by ||
                     size != HAK_SIZE_UNKNOWN)) {
        hak_harden_report_free(p, &finding, by, size);
    }
    return true;
}

/* Whether p is or was ours; then *size is what was asked for p, a live block, or HAK_SIZE_UNKNOWN
 * if it is none and that was said and the program goes on. */
bool hak_harden_size(const void *p, const char *verb, size_t *size);
/* Gives the sound live block at p another size where it stands; false: it must move. */
bool hak_harden_resize(void *p, size_t size);
/* Empties the quarantines; true when memory went back. */
bool hak_harden_trim(void);
/* Gives up untouchable memory where the system has no more mappings; true when that made room for
 * some. */
bool hak_harden_relax(void);
/* Looks at every block; says what is wrong and returns how often. */
size_t hak_harden_check(void);

#endif
