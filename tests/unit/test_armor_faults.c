/* test_armor_faults.c: each way to misuse a block of the hardened mode, as free, look and a walk
 * find it; going on after one. */
#include "armor_case.h"

#define CLS CLASS_80
#define STRIDE ((size_t)80)
#define SLACK ((size_t)50) /* a size with a canary behind it */
#define FULL (STRIDE - 1)  /* one without */

typedef enum { NEVER, LIVE, HELD, HOME } neighbour_t;

/* A live block, and what is left and right of it. */
typedef struct {
    unsigned char *mid, *left, *right;
} trio_t;

/* ---- Arranging ----------------------------------------------------------------------------------
 */

static bool is_live_of(const unsigned char *p, size_t size) {
    return armor_is_live((const char *)p, CLS) && armor_size((const char *)p, CLS) == size;
}

static bool is_never(const unsigned char *p) {
    return !armor_is_live((const char *)p, CLS) && hak_zero_damage(p, FULL) == NULL;
}

/* On both sides, none of them at the slab's ends. */
static bool is_between(const unsigned char *p, size_t size, bool live) {
    const unsigned char *left = p - STRIDE, *right = p + STRIDE;
    unsigned index = armor_index((const char *)p, CLS);
    if (index < 2 || index + 2 >= HAK_SLOT_BYTES / STRIDE) {
        return false;
    }
    return live ? is_live_of(left, size) && is_live_of(right, size)
                : is_never(left) && is_never(right);
}

/* So many blocks that some have such neighbours, live ones in the end, none at first. */
static trio_t take_trio(size_t size, bool live) {
    static unsigned char *blocks[600];
    unsigned char *mid = NULL;
    for (unsigned i = 0; i < UNIT_LENGTH(blocks) && mid == NULL; i++) {
        blocks[i] = (unsigned char *)armor_alloc(CLS, size);
        mid = !live && is_between(blocks[i], size, false) ? blocks[i] : NULL;
    }
    for (unsigned i = 0; live && i < UNIT_LENGTH(blocks) && mid == NULL; i++) {
        mid = is_between(blocks[i], size, true) ? blocks[i] : NULL;
    }
    CHECK(mid != NULL);
    return (trio_t){mid, mid - STRIDE, mid + STRIDE};
}

static trio_t arrange(size_t size, neighbour_t neighbours) {
    trio_t trio = take_trio(size, neighbours != NEVER);
    if (neighbours > LIVE) {
        armor_free((char *)trio.left, CLS);
        armor_free((char *)trio.right, CLS);
    }
    if (neighbours == HOME) {
        (void)hak_armor_trim();
    }
    return trio;
}

/* ---- What is found ------------------------------------------------------------------------------
 */

static bool is_found(const hak_armor_finding_t *finding, hak_armor_fault_t fault, const void *block,
                     const void *at) {
    return finding->fault == fault && finding->block == block && finding->at == at &&
           finding->cls == CLS;
}

/* A walk finds this and no more. */
static void check_walk(hak_armor_fault_t fault, const void *block, const void *at) {
    hak_armor_finding_t finding;
    CHECK(armor_check(&finding, 1) == 1 && is_found(&finding, fault, block, at));
    CHECK(armor_check(NULL, 0) == 1);
    CHECK(!hak_armor_is_valid());
}

/* So do a look and a free of p, which stays live. */
static void check_block(const unsigned char *p, hak_armor_fault_t fault, const void *block,
                        const void *at) {
    hak_armor_finding_t finding;
    hak_armor_look(p, CLS, &finding);
    CHECK(is_found(&finding, fault, block, at));
    hak_armor_free((void *)p, CLS, &finding);
    CHECK(is_found(&finding, fault, block, at));
    CHECK(armor_is_live((const char *)p, CLS));
}

static void check_all(const unsigned char *p, hak_armor_fault_t fault, const void *block,
                      const void *at) {
    check_block(p, fault, block, at);
    check_walk(fault, block, at);
}

static void check_sound(const unsigned char *p) {
    hak_armor_finding_t finding;
    hak_armor_look(p, CLS, &finding);
    CHECK(finding.fault == HAK_ARMOR_SOUND && hak_armor_is_valid());
}

/* ---- Bytes that were written
 * ---------------------------------------------------------------------- */

static void check_canary(const trio_t *t, size_t size) {
    for (unsigned char *at = t->mid + size; at < t->mid + FULL; at++) {
        *at ^= 1;
        check_all(t->mid, HAK_ARMOR_OVERFLOW, t->mid, at);
        *at ^= 1;
    }
    check_sound(t->mid);
}

UNIT_CHILD(armor_overflow_into_the_canary_is_found_at_its_byte) {
    armor_start(false);
    for (neighbour_t n = NEVER; n <= HOME; n++) {
        trio_t t = arrange(SLACK, n);
        check_canary(&t, SLACK);
        t = arrange(0, n);
        check_canary(&t, 0);
    }
}

/* The header behind: the right one's if it was ever handed out, and the left one does not end
 * there. */
static void check_header_behind(size_t size, neighbour_t n) {
    trio_t t = arrange(size, n);
    unsigned char *at = t.mid + FULL;
    *at ^= 0x55;
    if (size == FULL || n == NEVER) {
        check_all(t.mid, HAK_ARMOR_OVERFLOW, t.mid, at);
    } else {
        hak_armor_fault_t fault = n == LIVE ? HAK_ARMOR_UNDERFLOW : HAK_ARMOR_WRITTEN;
        check_all(t.mid, fault, t.right, at);
    }
    *at ^= 0x55;
    check_sound(t.mid);
}

UNIT_CHILD(armor_header_behind_is_found) {
    armor_start(false);
    for (neighbour_t n = NEVER; n <= HOME; n++) {
        check_header_behind(FULL, n);
        check_header_behind(SLACK, n);
    }
}

static void check_header_in_front(size_t size, neighbour_t n) {
    trio_t t = arrange(size, n);
    unsigned char *at = t.mid - 1;
    unsigned char was = *at;
    *at = 0;
    if (size == FULL && n == LIVE) {
        check_all(t.mid, HAK_ARMOR_OVERFLOW, t.left, at);
    } else {
        check_all(t.mid, HAK_ARMOR_UNDERFLOW, t.mid, at);
    }
    *at = was;
    check_sound(t.mid);
}

UNIT_CHILD(armor_header_in_front_is_found) {
    armor_start(false);
    for (neighbour_t n = NEVER; n <= HOME; n++) {
        check_header_in_front(FULL, n);
        check_header_in_front(SLACK, n);
    }
}

/* From the left one's end to the right one: the left one is named, whichever is freed. */
UNIT_CHILD(armor_overflow_through_canary_and_header_names_the_left_block) {
    armor_start(false);
    trio_t t = arrange(SLACK, LIVE);
    unsigned char saved[STRIDE];
    memcpy(saved, t.left, STRIDE);
    memset(t.left + SLACK, 0, STRIDE - SLACK);
    check_all(t.mid, HAK_ARMOR_OVERFLOW, t.left, t.left + SLACK);
    check_all(t.left, HAK_ARMOR_OVERFLOW, t.left, t.left + SLACK);
    memcpy(t.left, saved, STRIDE);
    check_sound(t.mid);
}

/* Only a walk, and whoever is to have the block next, looks at what is free. */
UNIT_CHILD(armor_write_after_free_is_found_at_its_byte) {
    armor_start(false);
    for (neighbour_t n = HELD; n <= HOME; n++) {
        trio_t t = arrange(SLACK, n);
        for (unsigned char *at = t.right; at < t.right + FULL; at++) {
            *at ^= 1;
            check_walk(HAK_ARMOR_WRITTEN, t.right, at);
            *at ^= 1;
        }
        check_sound(t.mid);
    }
}

/* The bytes are zero where nothing was handed out yet. */
UNIT_CHILD(armor_write_to_what_was_never_handed_out_is_found) {
    armor_start(false);
    trio_t t = arrange(SLACK, NEVER);
    unsigned char *block = armor_index((char *)t.mid, CLS) > 2 ? t.left : t.right;
    block[7] = 1;
    check_walk(HAK_ARMOR_WRITTEN, block, block + 7);
    block[7] = 0;
    check_sound(t.mid);
}

UNIT_CHILD(armor_alloc_of_a_block_written_after_free_is_null) {
    armor_start(false);
    trio_t t = arrange(SLACK, HOME);
    hak_armor_finding_t finding = {.fault = HAK_ARMOR_SOUND};
    t.left[9] = 0;
    unsigned tries = 0;
    char *p = NULL;
    do {
        p = hak_armor_alloc(CLS, 1, HAK_BY_NEW, &finding);
        tries++;
    } while (p != NULL && tries < 100000);
    CHECK(p == NULL && is_found(&finding, HAK_ARMOR_WRITTEN, t.left, t.left + 9));
}

/* Each is seen from two blocks; as many are told as there is room for. */
UNIT_CHILD(armor_check_counts_each_fault_once) {
    armor_start(false);
    hak_armor_finding_t findings[2];
    trio_t t = arrange(SLACK, LIVE);
    t.left[SLACK] ^= 1;
    t.left[FULL] ^= 1; /* the same write */
    t.mid[FULL] ^= 1;  /* in front of the right one */
    CHECK(armor_check(findings, 2) == 2);
    CHECK(is_found(&findings[0], HAK_ARMOR_OVERFLOW, t.left, t.left + SLACK));
    CHECK(is_found(&findings[1], HAK_ARMOR_UNDERFLOW, t.right, t.right - 1));
    CHECK(armor_check(findings, 1) == 2 && armor_check(NULL, 0) == 2);
}

/* ---- Pointers
 * ------------------------------------------------------------------------------------ */

static void check_pointer(const void *p, hak_armor_fault_t fault, const void *block) {
    hak_armor_finding_t finding;
    hak_armor_look(p, CLS, &finding);
    CHECK(finding.fault == fault && finding.block == block && finding.at == NULL);
    hak_armor_free((void *)p, CLS, &finding);
    CHECK(finding.fault == fault && finding.block == block && finding.at == NULL);
    CHECK(hak_armor_is_of_pointer(fault));
    CHECK(hak_armor_is_valid());
}

static void check_pointers(bool go_on) {
    armor_start(go_on);
    trio_t t = arrange(SLACK, LIVE);
    unsigned char *base = (unsigned char *)hak_slab_base(hak_slab_of(t.mid, CLS));
    unsigned char *end = base + STRIDE * (HAK_SLOT_BYTES / STRIDE);
    check_pointer(base, HAK_ARMOR_NO_BLOCK, base);
    check_pointer(base + 64, HAK_ARMOR_NO_BLOCK, base);
    check_pointer(end - STRIDE, HAK_ARMOR_NO_BLOCK, end - STRIDE);
    check_pointer(base + HAK_SLOT_BYTES - 16, HAK_ARMOR_NO_BLOCK,
                  base + (HAK_SLOT_BYTES - 16) / STRIDE * STRIDE);
    for (size_t offset = 1; offset < STRIDE; offset++) {
        check_pointer(t.mid + offset, HAK_ARMOR_INSIDE, t.mid);
    }
    armor_free((char *)t.mid, CLS);
    check_pointer(t.mid, HAK_ARMOR_FREED, t.mid);
    (void)hak_armor_trim();
    check_pointer(t.mid, HAK_ARMOR_FREED, t.mid);
    check_sound(t.left);
}

UNIT_CHILD(armor_pointers_that_are_no_block_are_told_apart) {
    check_pointers(false);
}

UNIT_CHILD(armor_pointers_that_are_no_block_are_not_freed_when_it_goes_on) {
    check_pointers(true);
}

UNIT_CHILD(armor_pointer_to_what_was_never_handed_out_is_no_block) {
    armor_start(false);
    trio_t t = arrange(SLACK, NEVER);
    unsigned char *block = armor_index((char *)t.mid, CLS) > 1 ? t.left : t.right;
    check_pointer(block, HAK_ARMOR_NO_BLOCK, block);
    check_pointer(block + 16, HAK_ARMOR_NO_BLOCK, block);
}

/* As where another thread released it between a free's look at the tag and the free. */
UNIT_CHILD(armor_pointer_into_a_released_slab_is_freed) {
    __libc_single_threaded = 0;
    armor_start(false);
    char *p = armor_alloc(CLS, SLACK);
    armor_free(p, CLS);
    CHECK(hak_armor_trim());
    check_pointer(p, HAK_ARMOR_FREED, p);
    char *other = armor_alloc(CLASS_64, SLACK); /* the slab is another class's now */
    CHECK(hak_slab_of(other, CLASS_64) == hak_slab_of(p, CLS));
    check_pointer(p, HAK_ARMOR_FREED, p);
    armor_free(other, CLASS_64);
}

/* ---- Going on
 * ------------------------------------------------------------------------------------- */

/* The mode goes on: what is freed is repaired. */
static void check_repair(size_t size, neighbour_t n, ptrdiff_t from, ptrdiff_t to) {
    trio_t t = arrange(size, n);
    hak_armor_finding_t finding;
    memset(t.mid + from, 0, (size_t)(to - from));
    CHECK(!hak_armor_is_valid());
    hak_armor_free(t.mid, CLS, &finding);
    CHECK(finding.fault != HAK_ARMOR_SOUND && !hak_armor_is_of_pointer(finding.fault));
    CHECK(!armor_is_live((char *)t.mid, CLS) && hak_armor_is_valid());
}

UNIT_CHILD(armor_free_of_a_damaged_block_goes_on) {
    armor_start(true);
    for (neighbour_t n = NEVER; n <= HOME; n++) {
        check_repair(SLACK, n, SLACK, SLACK + 1);
        check_repair(SLACK, n, FULL, STRIDE);
        check_repair(FULL, n, FULL, STRIDE);
        check_repair(SLACK, n, SLACK, STRIDE);
        check_repair(SLACK, n, -1, 5);
        check_repair(FULL, n, -1, STRIDE);
    }
}

UNIT_CHILD(armor_alloc_of_a_block_written_after_free_goes_on) {
    armor_start(true);
    trio_t t = arrange(SLACK, HOME);
    hak_armor_finding_t finding = {.fault = HAK_ARMOR_SOUND};
    for (size_t i = 0; i < FULL; i++) {
        t.left[i] ^= 0xEE; /* what lies there is random: 0xEE, too */
    }
    char *p;
    do {
        p = hak_armor_alloc(CLS, FULL, HAK_BY_NEW, &finding);
        CHECK(p != NULL && armor_is_zero(p, FULL));
    } while (finding.fault == HAK_ARMOR_SOUND);
    CHECK(p == (char *)t.left && is_found(&finding, HAK_ARMOR_WRITTEN, t.left, t.left));
    CHECK(hak_armor_is_valid());
    armor_free(p, CLS);
    CHECK(hak_armor_is_valid());
}

/* A damage of the left neighbour does not change what is known of the block itself. */
UNIT_CHILD(armor_look_beside_a_damaged_block_tells_the_own_size) {
    armor_start(true);
    hak_armor_finding_t finding;
    trio_t t = arrange(SLACK, LIVE);
    CHECK(hak_armor_resize(t.mid, CLS, 20));
    memset(t.left + SLACK, 0, STRIDE - SLACK);
    hak_armor_look(t.mid, CLS, &finding);
    CHECK(is_found(&finding, HAK_ARMOR_OVERFLOW, t.left, t.left + SLACK));
    CHECK(finding.size == SLACK && finding.own_size == 20 && finding.own_origin == HAK_BY_NEW);
    hak_armor_free(t.mid, CLS, &finding);
    CHECK(finding.own_size == 20 && !armor_is_live((char *)t.mid, CLS));
    hak_armor_free(t.left, CLS, &finding);
    CHECK(finding.fault == HAK_ARMOR_OVERFLOW && finding.own_size == SLACK);
    CHECK(hak_armor_is_valid());
}

#define CASE(name) cmocka_unit_test_setup(name, pool_case_set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(armor_overflow_into_the_canary_is_found_at_its_byte),
        CASE(armor_header_behind_is_found),
        CASE(armor_header_in_front_is_found),
        CASE(armor_overflow_through_canary_and_header_names_the_left_block),
        CASE(armor_write_after_free_is_found_at_its_byte),
        CASE(armor_write_to_what_was_never_handed_out_is_found),
        CASE(armor_alloc_of_a_block_written_after_free_is_null),
        CASE(armor_check_counts_each_fault_once),
        CASE(armor_pointers_that_are_no_block_are_told_apart),
        CASE(armor_pointers_that_are_no_block_are_not_freed_when_it_goes_on),
        CASE(armor_pointer_to_what_was_never_handed_out_is_no_block),
        CASE(armor_pointer_into_a_released_slab_is_freed),
        CASE(armor_free_of_a_damaged_block_goes_on),
        CASE(armor_alloc_of_a_block_written_after_free_goes_on),
        CASE(armor_look_beside_a_damaged_block_tells_the_own_size),
    };
    return cmocka_run_group_tests(tests, pool_case_set_up_group, NULL);
}
