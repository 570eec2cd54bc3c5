/* armor_case.h: what the armor's test programs share: the mode in a child, checked helpers.
 *
 * Owns:      the start of each case, in a process of its own, since the mode is never left; blocks
 *            beside each other in any state.
 */
#ifndef ARMOR_CASE_H
#define ARMOR_CASE_H

#include "armor.h"
#include "canary.h"
#include "pool_case.h"

#define PAGE ((size_t)4096)
#define HEADER_NOT_LIVE 0x9C

static inline void armor_start(bool go_on) {
    hak_armor_start(go_on);
    CHECK(hak_hardened);
}

static inline bool armor_is_zero(const char *p, size_t size) {
    return hak_zero_damage(p, size) == NULL;
}

/* NULL without memory. */
static inline char *armor_try(unsigned cls, size_t size) {
    hak_armor_finding_t finding;
    char *p = hak_armor_alloc(cls, size, HAK_BY_NEW, &finding);
    CHECK(finding.fault == HAK_ARMOR_SOUND);
    if (p != NULL) {
        CHECK((uintptr_t)p % HAK_ALIGNMENT == 0 && armor_is_zero(p, size));
        CHECK(hak_map_tag(p) == hak_tag_of_class(cls));
    }
    return p;
}

static inline char *armor_alloc(unsigned cls, size_t size) {
    char *p = armor_try(cls, size);
    CHECK(p != NULL);
    return p;
}

static inline void armor_free(char *p, unsigned cls) {
    hak_armor_finding_t finding;
    hak_armor_free(p, cls, &finding);
    CHECK(finding.fault == HAK_ARMOR_SOUND);
}

static inline unsigned armor_index(const char *p, unsigned cls) {
    const hak_slab_t *slab = hak_slab_of(p, cls);
    return hak_class_index(cls, (size_t)(p - hak_slab_base(slab)));
}

static inline bool armor_is_live(const char *p, unsigned cls) {
    size_t size;
    hak_arena_lock_all();
    bool live = hak_armor_is_live_locked(hak_slab_of(p, cls), armor_index(p, cls), &size);
    hak_arena_unlock_all();
    return live;
}

static inline size_t armor_size(const char *p, unsigned cls) {
    size_t size;
    hak_arena_lock_all();
    CHECK(hak_armor_is_live_locked(hak_slab_of(p, cls), armor_index(p, cls), &size));
    hak_arena_unlock_all();
    return size;
}

/* All is found by a walk; the findings are the caller's. */
static inline size_t armor_check(hak_armor_finding_t *findings, size_t most) {
    hak_arena_lock_all();
    size_t count = hak_armor_check_locked(findings, most);
    hak_arena_unlock_all();
    return count;
}

/* After the last block was freed: nothing is kept but what the pool keeps, and no book is wrong. */
static inline void armor_assert_at_rest(void) {
    CHECK(hak_armor_is_valid());
    (void)hak_armor_trim();
    CHECK(hak_armor_is_valid() && hak_pool_is_valid());
    CHECK(pool_gauges().slots_active == 0);
    CHECK(!hak_armor_trim());
}

#endif
