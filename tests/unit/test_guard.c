/* test_guard.c: guarded blocks: placement, canaries, what is held, limits, faults, refusals. Each
 * case has a process of its own, since the bound is read once. */
#include "guard.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "canary.h"
#include "large_case.h"
#include "readable.h"

#define SMALL ((size_t)100)

static int set_up_group(void **state) {
    hak_canary_init();
    return readable_start() ? large_case_set_up_group(state) : -1;
}

static char *guard_alloc(size_t size, size_t align) {
    char *p = hak_guard_alloc(size, align, HAK_BY_NEW, HAK_GUARD_HARDENED);
    CHECK(hak_guard_is_valid() && hak_large_is_valid());
    return p;
}

static void guard_free(char *p) {
    CHECK(hak_guard_place(p).kind == HAK_GUARD_LIVE);
    CHECK(hak_guard_damage(p) == NULL);
    CHECK(hak_guard_free(p));
    CHECK(hak_guard_is_valid() && hak_large_is_valid());
}

static bool is_zero(const char *p, size_t size) {
    return size == 0 || (p[0] == 0 && memcmp(p, p + 1, size - 1) == 0);
}

/* ---- Placement --------------------------------------------------------------------------------
 */

static void check_block(size_t size, size_t align) {
    char *p = guard_alloc(size, align);
    CHECK(p != NULL && (uintptr_t)p % align == 0);
    CHECK(is_zero(p, size));
    memset(p, 0x55, size);
    char *end = (char *)hak_round_up((uintptr_t)p + hak_max(size, 1), PAGE);
    char *front = (char *)hak_round_down((uintptr_t)p, PAGE);
    CHECK(is_readable(front) && !is_readable(front - 1));
    CHECK(is_readable(end - 1) && !is_readable(end));
    CHECK((size_t)(end - p) - size < hak_max(hak_min(align, PAGE), 16) || size == 0);
    hak_guard_place_t place = hak_guard_place(p);
    CHECK(place.kind == HAK_GUARD_LIVE && place.start == p && place.size == size);
    CHECK(place.origin == HAK_BY_NEW && !place.sampled);
    guard_free(p);
    CHECK(!is_readable(p) && !is_readable(end - 1));
}

UNIT_CHILD(guard_alloc_ends_at_an_untouchable_page) {
    static const size_t sizes[] = {0,    1,    15,   16,   17,   100,   4080,    4081,
                                   4095, 4096, 4097, 8191, 8192, 33000, 1000000, 4 * MIB - 1};
    for (size_t align = 1; align <= 4 * MIB; align *= 2) {
        for (size_t i = 0; i < UNIT_LENGTH(sizes); i++) {
            check_block(sizes[i], align);
        }
    }
}

UNIT_CHILD(guard_alloc_from_4_mib_on_starts_at_an_untouchable_page) {
    for (size_t size = 4 * MIB; size < 4 * MIB + 2 * PAGE; size += 1000) {
        char *p = guard_alloc(size, 16);
        CHECK((uintptr_t)p % PAGE == 0 && !is_readable(p - 1));
        CHECK(is_zero(p, size));
        if (size % PAGE != 0) {
            p[size] ^= 1;
            CHECK(hak_guard_damage(p) == p + size);
            p[size] ^= 1;
        }
        guard_free(p);
    }
}

UNIT_CHILD(guard_alloc_in_used_memory_is_zero) {
    static const size_t sizes[] = {SMALL, 5 * PAGE, MIB, 5 * MIB};
    hak_options.retain = 1000;
    for (size_t i = 0; i < UNIT_LENGTH(sizes); i++) {
        bool zero;
        size_t room = sizes[i] + 4 * PAGE;
        char *dirt = hak_large_alloc(room, 1, &zero);
        memset(dirt, 1, room);
        CHECK(hak_large_free(dirt));
        char *p = guard_alloc(sizes[i], 16);
        CHECK(p + sizes[i] > dirt && p < dirt + room); /* some of it is dirt */
        CHECK(is_zero(p, sizes[i]));
        guard_free(p);
    }
}

UNIT_CHILD(guard_alloc_of_too_much_is_null) {
    CHECK(guard_alloc(HAK_SIZE_MAX, 16) == NULL);
    CHECK(guard_alloc(HAK_SIZE_MAX / 4, 16) == NULL);
    CHECK(guard_alloc(1, (size_t)1 << 62) == NULL);
    CHECK(guard_alloc(1, (size_t)1 << 50) == NULL);
    CHECK(large_gauges().live_blocks == 0);
}

/* ---- What lies where --------------------------------------------------------------------------
 */

UNIT_CHILD(guard_damage_names_the_first_changed_byte) {
    char *p = guard_alloc(SMALL, 64);
    char *front = (char *)hak_round_down((uintptr_t)p, PAGE);
    CHECK(hak_guard_damage(p) == NULL);
    for (char *at = front; at < front + PAGE; at++) {
        if (at < p || at >= p + SMALL) {
            char was = *at;
            *at = 0;
            CHECK(hak_guard_damage(p) == at);
            *at = was;
        }
    }
    CHECK(hak_guard_damage(p) == NULL);
    CHECK(hak_guard_damage(p + 1) == NULL); /* no block */
    guard_free(p);
}

UNIT_CHILD(guard_place_tells_blocks_from_what_is_around) {
    char *p = guard_alloc(SMALL, 16);
    char *page = (char *)hak_round_down((uintptr_t)p, PAGE);
    bool zero;
    char *large = hak_large_alloc(MIB, 1, &zero);
    CHECK(hak_guard_place(p + 1).kind == HAK_GUARD_INTERIOR && hak_guard_place(p + 1).start == p);
    CHECK(hak_guard_place(page - 1).kind == HAK_GUARD_INTERIOR);
    CHECK(hak_guard_place(page - PAGE).kind == HAK_GUARD_INTERIOR);
    CHECK(hak_guard_place(page + 2 * PAGE - 1).kind == HAK_GUARD_INTERIOR);
    CHECK(hak_guard_place(page + 2 * PAGE).kind == HAK_GUARD_NONE);
    CHECK(hak_guard_place(large).kind == HAK_GUARD_NONE);
    CHECK(hak_guard_place(NULL).kind == HAK_GUARD_NONE &&
          hak_guard_place(&zero).kind == HAK_GUARD_NONE);
    CHECK(!hak_guard_free(p + 1) && !hak_guard_free(large) && !hak_guard_free(NULL));
    guard_free(p);
    CHECK(hak_guard_place(p).kind == HAK_GUARD_FREED && hak_guard_place(p).start == p);
    CHECK(hak_guard_place(p + 1).kind == HAK_GUARD_FREED && hak_guard_place(p).size == SMALL);
    CHECK(!hak_guard_free(p));
    CHECK(hak_guard_release_held() && !hak_guard_release_held());
    CHECK(hak_guard_place(p).kind == HAK_GUARD_NONE);
    CHECK(hak_large_free(large));
}

static void count_block(const hak_guard_place_t *place, void *context) {
    CHECK(place->kind == HAK_GUARD_LIVE);
    ++*(unsigned *)context;
}

UNIT_CHILD(guard_each_damaged_visits_damaged_live_blocks) {
    char *blocks[4];
    unsigned count = 0;
    for (size_t i = 0; i < 4; i++) {
        blocks[i] = guard_alloc(i, 16);
    }
    guard_free(blocks[0]);
    guard_free(blocks[1]);
    hak_guard_lock();
    hak_guard_each_damaged_locked(count_block, &count);
    CHECK(count == 0);
    blocks[2][-1] ^= 1;
    blocks[3][3] ^= 1;
    hak_guard_each_damaged_locked(count_block, &count);
    blocks[2][-1] ^= 1;
    blocks[3][3] ^= 1;
    char *run = blocks[0] + 16 - 2 * PAGE;
    CHECK(hak_guard_run_locked(run).kind == HAK_GUARD_FREED);
    CHECK(hak_guard_run_locked(blocks[2] + 16 - 2 * PAGE).start == blocks[2]);
    CHECK(hak_guard_run_locked(blocks[2]).kind == HAK_GUARD_NONE);
    hak_guard_unlock();
    CHECK(count == 2);
}

/* ---- Resizing -----------------------------------------------------------------------------------
 */

UNIT_CHILD(guard_resize_stays_within_its_pages) {
    char *p = guard_alloc(3 * PAGE - 48, 16);
    CHECK(!hak_guard_resize(p, 3 * PAGE - 47));
    CHECK(!hak_guard_resize(p, 2 * PAGE - 48));
    CHECK(!hak_guard_resize(p + 16, 100) && !hak_guard_resize(NULL, 100));
    memset(p, 1, 3 * PAGE - 48);
    CHECK(hak_guard_resize(p, 2 * PAGE + 1) && hak_guard_is_valid());
    CHECK(hak_guard_place(p).size == 2 * PAGE + 1);
    p[2 * PAGE + 1] ^= 1;
    CHECK(hak_guard_damage(p) == p + 2 * PAGE + 1);
    p[2 * PAGE + 1] ^= 1;
    CHECK(hak_guard_resize(p, 3 * PAGE - 48));
    CHECK(p[2 * PAGE] == 1 && is_zero(p + 2 * PAGE + 1, PAGE - 49));
    guard_free(p);
}

static void check_move(size_t from_size, size_t to_size) {
    char *from = guard_alloc(from_size, 16);
    char *to = guard_alloc(to_size, 16);
    memset(from, 1, from_size);
    CHECK(hak_guard_move(to, from));
    CHECK(hak_guard_is_valid() && hak_large_is_valid());
    CHECK(to[0] == 1 && is_zero(to + from_size, to_size - from_size));
    CHECK(memcmp(to, to + 1, from_size - 1) == 0);
    CHECK(!is_readable(from) && hak_guard_place(from).kind == HAK_GUARD_FREED);
    guard_free(to);
}

UNIT_CHILD(guard_move_takes_the_pages_along) {
    static const size_t more[] = {0, 1, 100, PAGE, PAGE + 1, 3 * MIB};
    for (size_t i = 0; i < UNIT_LENGTH(more); i++) {
        check_move(4 * MIB, 4 * MIB + more[i]);
        check_move(4 * MIB + 5, 4 * MIB + 5 + more[i]);
    }
}

UNIT_CHILD(guard_move_of_what_cannot_move_is_refused) {
    char *small = guard_alloc(SMALL, 16);
    char *one = guard_alloc(5 * MIB, 16);
    char *other = guard_alloc(4 * MIB, 16);
    memset(one, 1, 5 * MIB);
    CHECK(!hak_guard_move(other, one) && !hak_guard_move(one, small));
    CHECK(!hak_guard_move(small, other) && !hak_guard_move(one, one + 1));
    fake_os_fail(FAKE_MOVE, 1, true);
    memset(other, 2, 4 * MIB);
    char *to = guard_alloc(5 * MIB, 16);
    CHECK(!hak_guard_move(to, other));
    CHECK(other[0] == 2 && is_zero(to, 5 * MIB));
    guard_free(other);
    guard_free(one);
    guard_free(to);
    guard_free(small);
}

/* ---- What is held -------------------------------------------------------------------------------
 */

UNIT_CHILD(guard_free_holds_the_last_1024) {
    enum { COUNT = 1024 + 3 };
    static char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = guard_alloc(SMALL, 16);
    }
    for (size_t i = 0; i < COUNT; i++) {
        guard_free(blocks[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        hak_guard_kind_t kind = hak_guard_place(blocks[i]).kind;
        CHECK(kind == (i < COUNT - 1024 ? HAK_GUARD_NONE : HAK_GUARD_FREED));
    }
    CHECK(large_gauges().live_blocks == 1024);
    char *again = guard_alloc(3000, 64); /* the oldest, in its place */
    CHECK(again > blocks[3] - PAGE && again <= blocks[3] && is_zero(again, 3000));
    CHECK(hak_guard_place(blocks[4]).kind == HAK_GUARD_FREED && large_gauges().live_blocks == 1024);
    guard_free(again);
    CHECK(hak_guard_place(again).kind == HAK_GUARD_FREED);
    fake_os_fail(FAKE_PROTECT, 1, false); /* it stays, and another run does */
    again = guard_alloc(SMALL, 16);
    CHECK(again != NULL && hak_guard_place(blocks[4]).kind == HAK_GUARD_FREED);
    CHECK(large_gauges().live_blocks == 1025);
    guard_free(again);
    again = guard_alloc(2 * PAGE, 16); /* of another size */
    CHECK(hak_guard_place(again).kind == HAK_GUARD_LIVE && large_gauges().live_blocks == 1025);
    guard_free(again);
    CHECK(hak_guard_release_held());
    CHECK(hak_guard_is_valid() && large_gauges().live_blocks == 0);
}

UNIT_CHILD(guard_free_holds_256_mib_of_addresses) {
    char *blocks[6];
    for (size_t i = 0; i < 6; i++) {
        blocks[i] = guard_alloc(50 * MIB, 16);
    }
    for (size_t i = 0; i < 6; i++) {
        guard_free(blocks[i]);
    }
    for (size_t i = 0; i < 6; i++) {
        CHECK((hak_guard_place(blocks[i]).kind == HAK_GUARD_FREED) == (i >= 1));
    }
    char *huge = guard_alloc(64 * MIB, 16);
    guard_free(huge);
    CHECK(hak_guard_place(huge).kind == HAK_GUARD_NONE);
    CHECK(large_gauges().live_blocks == 5);
}

UNIT_CHILD(guard_free_gives_the_memory_back) {
    char *p = guard_alloc(MIB, 16);
    unsigned char resident[260];
    memset(p, 1, MIB);
    guard_free(p);
    char *page = (char *)hak_round_down((uintptr_t)p, PAGE);
    CHECK(mincore(page, MIB, resident) == 0);
    for (size_t i = 0; i < MIB / PAGE; i++) {
        CHECK((resident[i] & 1) == 0);
    }
}

UNIT_CHILD(guard_alloc_without_memory_releases_what_is_held) {
    hak_options.retain = 1000;
    char *held = guard_alloc(30 * MIB, 16);
    guard_free(held);
    fake_os_fail(FAKE_MAP_AT, 1, true);
    char *p = guard_alloc(30 * MIB, 16);
    CHECK(p == held);
    CHECK(guard_alloc(30 * MIB, 16) == NULL);
    guard_free(p);
}

/* Lines of /proc/self/maps. */
static unsigned mapping_count(void) {
    static char text[1 << 20];
    int fd = open("/proc/self/maps", O_RDONLY);
    size_t used = 0;
    ssize_t got;
    while ((got = read(fd, text + used, sizeof text - used)) > 0) {
        used += (size_t)got;
    }
    close(fd);
    unsigned lines = 0;
    for (size_t i = 0; i < used; i++) {
        lines += text[i] == '\n';
    }
    return lines;
}

UNIT_CHILD(guard_blocks_that_are_gone_leave_no_mappings_behind) {
    static char *blocks[500];
    guard_free(guard_alloc(SMALL, 16));
    CHECK(hak_guard_release_held());
    unsigned before = mapping_count();
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < UNIT_LENGTH(blocks); i++) {
            blocks[i] = guard_alloc(i * 50, 16);
            CHECK(blocks[i] != NULL);
        }
        CHECK(mapping_count() >= before + UNIT_LENGTH(blocks));
        CHECK(mapping_count() <= before + 4 * UNIT_LENGTH(blocks));
        for (size_t i = 0; i < UNIT_LENGTH(blocks); i++) {
            guard_free(blocks[(i * 7 + round) % UNIT_LENGTH(blocks)]);
        }
        CHECK(mapping_count() <= before + 20);
        CHECK(hak_guard_release_held());
        CHECK(mapping_count() <= before + 3);
    }
}

/* ---- Limits and refusals
 * --------------------------------------------------------------------------- */

static void *sample_alloc(void) {
    return hak_guard_alloc(SMALL, 16, HAK_BY_MALLOC, HAK_GUARD_SAMPLED);
}

/* A write to the page behind would go unnoticed, one to the canary does not. */
static bool is_open(char *p) {
    char *behind = (char *)hak_round_up((uintptr_t)p + SMALL, 4096);
    *(volatile char *)behind = 1;
    bool sound = hak_guard_damage(p) == NULL;
    behind[-1] ^= 1;
    bool found = hak_guard_damage(p) == behind - 1;
    behind[-1] ^= 1;
    return sound && found;
}

UNIT_CHILD(guard_alloc_beyond_the_bound_releases_and_then_is_open) {
    char *blocks[11];
    fake_os.mappings_max = 80;
    for (size_t i = 0; i < 10; i++) {
        blocks[i] = guard_alloc(SMALL, 16);
        CHECK(blocks[i] != NULL);
    }
    CHECK(sample_alloc() == NULL);
    guard_free(blocks[3]);
    guard_free(blocks[4]);
    blocks[10] = guard_alloc(SMALL, 16); /* the older of the two has gone */
    CHECK(blocks[10] != NULL && hak_guard_place(blocks[4]).kind == HAK_GUARD_FREED);
    blocks[3] = guard_alloc(SMALL, 16);
    CHECK(blocks[3] != NULL && sample_alloc() == NULL);
    blocks[4] = guard_alloc(SMALL, 16);
    CHECK(is_open(blocks[4]));
    CHECK(large_gauges().live_blocks == 11);
    guard_free(blocks[4]);
    CHECK(hak_guard_place(blocks[4]).kind == HAK_GUARD_NONE); /* not held */
}

UNIT_CHILD(guard_bound_is_read_once_and_has_a_standard) {
    fake_os.mappings_max = 1;
    char *p = guard_alloc(SMALL, 16);
    fake_os.mappings_max = 100000;
    CHECK(p != NULL && sample_alloc() == NULL);
}

UNIT_CHILD(guard_alloc_pages_refused_is_open_and_loses_nothing) {
    for (unsigned n = 1; n <= 2; n++) {
        fake_os_fail(FAKE_PROTECT, n, false);
        char *p = guard_alloc(SMALL, 16);
        CHECK(p != NULL && is_open(p));
        fake_os_fail(FAKE_PROTECT, n, true); /* what was closed can be opened later */
        char *q = guard_alloc(SMALL, 16);
        CHECK(q != NULL && hak_guard_damage(q) == NULL);
        fake_os_reset();
        guard_free(p);
        guard_free(q);
        (void)hak_guard_release_held();
        CHECK(large_gauges().live_blocks == 0);
    }
}

UNIT_CHILD(sample_alloc_pages_refused_is_null_and_loses_nothing) {
    for (unsigned n = 1; n <= 2; n++) {
        fake_os_fail(FAKE_PROTECT, n, false);
        CHECK(sample_alloc() == NULL && large_gauges().live_blocks == 0);
        fake_os_reset();
    }
    CHECK(sample_alloc() != NULL);
}

UNIT_CHILD(guard_open_all_leaves_blocks_their_canaries) {
    char *p = guard_alloc(SMALL, 16);
    hak_guard_lock();
    CHECK(!hak_guard_open_all_locked()); /* nothing was refused yet */
    hak_guard_unlock();
    fake_os_fail(FAKE_PROTECT, 1, false);
    char *q = guard_alloc(SMALL, 16);
    fake_os_reset();
    hak_guard_lock();
    CHECK(hak_guard_open_all_locked());
    CHECK(!hak_guard_open_all_locked());
    hak_guard_unlock();
    CHECK(is_open(p) && is_open(q));
    guard_free(p);
    guard_free(q);
    CHECK(large_gauges().live_blocks == 0);
}

UNIT_CHILD(guard_free_pages_refused_frees_without_holding) {
    char *p = guard_alloc(SMALL, 16);
    fake_os_fail(FAKE_PROTECT, 1, false);
    guard_free(p);
    CHECK(hak_guard_place(p).kind == HAK_GUARD_NONE && large_gauges().live_blocks == 0);
    p = guard_alloc(SMALL, 16);
    fake_os_fail(FAKE_PURGE, 1, false);
    guard_free(p);
    CHECK(hak_guard_place(p).kind == HAK_GUARD_NONE && large_gauges().live_blocks == 0);
}

UNIT_CHILD(guard_release_pages_refused_keeps_them_held) {
    char *one = guard_alloc(SMALL, 16);
    char *two = guard_alloc(SMALL, 16);
    fake_os_fail(FAKE_PROTECT, 1, true);
    guard_free(one);
    CHECK(hak_guard_place(one).kind == HAK_GUARD_FREED);
    fake_os_fail(FAKE_PROTECT, 0, false);
    guard_free(two);
    fake_os_fail(FAKE_PROTECT, 1, false);
    CHECK(hak_guard_release_held()); /* one of them */
    CHECK(hak_guard_is_valid() && large_gauges().live_blocks == 1);
    CHECK(hak_guard_release_held() && large_gauges().live_blocks == 0);
}

/* Call 1, 2, 3, ... fails, alone or with all that follow: whatever could be done was, and all can
 * be had again. */
static void refuse_each_call(fake_entry_t entry, bool rest) {
    for (unsigned n = 1;; n++) {
        char *blocks[8] = {NULL};
        fake_os_fail(entry, n, rest);
        for (size_t i = 0; i < UNIT_LENGTH(blocks); i++) {
            blocks[i] = guard_alloc(i % 2 == 0 ? SMALL : 5 * MIB, i == 4 ? 2 * MIB : 16);
            if (i >= 2 && blocks[i - 2] != NULL) {
                if (i == 3 && blocks[i] != NULL && hak_guard_move(blocks[i], blocks[i - 2])) {
                    blocks[i - 2] = NULL;
                    continue;
                }
                guard_free(blocks[i - 2]);
                blocks[i - 2] = NULL;
            }
        }
        unsigned calls = fake_os_calls(entry);
        fake_os_fail(entry, 0, false);
        for (size_t i = 0; i < UNIT_LENGTH(blocks); i++) {
            if (blocks[i] != NULL) {
                guard_free(blocks[i]);
            }
        }
        (void)hak_guard_release_held();
        CHECK(hak_guard_is_valid() && hak_large_is_valid());
        CHECK(large_gauges().live_blocks == 0 && !hak_guard_release_held());
        CHECK(n < 1000);
        if (calls < n) {
            return;
        }
    }
}

UNIT_CHILD(guard_operations_nth_call_fails_lose_nothing) {
    for (fake_entry_t entry = FAKE_MAP_AT; entry < FAKE_ENTRIES; entry++) {
        refuse_each_call(entry, false);
        refuse_each_call(entry, true);
    }
}

UNIT_CHILD(guard_in_the_child_of_a_fork_goes_on) {
    char *p = guard_alloc(SMALL, 16);
    char *freed = guard_alloc(SMALL, 16);
    guard_free(freed);
    hak_guard_lock();
    pid_t child = fork();
    if (child == 0) {
        hak_lock_forget_self();
        hak_lock_reset(hak_guard_own_lock());
        CHECK(hak_guard_place(p).kind == HAK_GUARD_LIVE);
        CHECK(hak_guard_place(freed).kind == HAK_GUARD_FREED && !is_readable(freed));
        guard_free(p);
        guard_free(guard_alloc(SMALL, 16));
        CHECK(hak_guard_release_held());
        _exit(0);
    }
    hak_guard_unlock();
    CHECK(unit_wait(child, 10) == 0);
    guard_free(p);
}

/* ---- Faults ------------------------------------------------------------------------------------
 */

static char *volatile fault_block;

static void catch_faults(void) {
    fault_block = guard_alloc(SMALL, 16);
    hak_guard_catch_faults();
}

/* The text with every pointer but its 0x left out. */
static void mask(char *text) {
    char *to = text;
    for (char *at = text; *at != '\0';) {
        bool is_pointer = strncmp(at, "0x", 2) == 0;
        *to++ = *at++;
        if (is_pointer) {
            *to++ = *at++;
            at += strspn(at, "0123456789abcdef");
        }
    }
    *to = '\0';
}

static void assert_fault(void (*f)(void *), int number, const char *line) {
    char text[4096];
    int status = unit_child(f, NULL, text, sizeof text);
    mask(text);
    assert_string_equal(text, line);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), number);
}

static void overflow(void *unused) {
    (void)unused;
    catch_faults();
    for (char *at = fault_block;; at++) {
        *(volatile char *)at = 1;
    }
}

static void underflow(void *unused) {
    (void)unused;
    catch_faults();
    for (char *at = fault_block;; at--) {
        *(volatile char *)at = 1;
    }
}

static void read_after_free(void *unused) {
    (void)unused;
    catch_faults();
    guard_free(fault_block);
    (void)*(volatile char *)(fault_block + 5);
}

static void write_after_free_with_the_lock(void *unused) {
    (void)unused;
    catch_faults();
    guard_free(fault_block);
    hak_guard_lock();
    *(volatile char *)fault_block = 1;
}

static void fault_elsewhere(void *unused) {
    (void)unused;
    catch_faults();
    volatile uintptr_t nowhere = 16;
    *(volatile char *)nowhere = 1;
}

static void fault_in_the_body(void *unused) {
    (void)unused;
    catch_faults();
    (void)mprotect((void *)hak_round_down((uintptr_t)fault_block, PAGE), PAGE, PROT_READ);
    *(volatile char *)fault_block = 1;
}

static void signal_that_was_sent(void *unused) {
    (void)unused;
    catch_faults();
    raise(SIGSEGV);
    pause();
}

static void leave_with_7(int number) {
    (void)number;
    _exit(7);
}

static void own_handler(void *unused) {
    (void)unused;
    (void)signal(SIGSEGV, leave_with_7);
    catch_faults();
    fault_block[SMALL + 4096] = 1;
}

static void fault_at_a_guarded_block_names_it(void **state) {
    (void)state;
    assert_fault(overflow, SIGABRT,
                 "hakmem: heap overflow past 0x (guarded, 100 bytes): access to 0x\n");
    assert_fault(underflow, SIGABRT,
                 "hakmem: heap underflow before 0x (guarded, 100 bytes): access to 0x\n");
    assert_fault(read_after_free, SIGABRT,
                 "hakmem: use after free of 0x (guarded, 100 bytes): access to 0x\n");
    assert_fault(write_after_free_with_the_lock, SIGABRT,
                 "hakmem: use after free of 0x (guarded, 100 bytes): access to 0x\n");
}

static void fault_elsewhere_ends_as_ever(void **state) {
    (void)state;
    assert_fault(fault_elsewhere, SIGSEGV, "");
    assert_fault(fault_in_the_body, SIGSEGV, "");
    assert_fault(signal_that_was_sent, SIGSEGV, "");
}

static void fault_with_an_own_handler_is_the_programs(void **state) {
    (void)state;
    char text[100];
    int status = unit_child(own_handler, NULL, text, sizeof text);
    assert_string_equal(text, "");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

#define CASE(name) cmocka_unit_test_setup(name, large_case_set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(guard_alloc_ends_at_an_untouchable_page),
        CASE(guard_alloc_from_4_mib_on_starts_at_an_untouchable_page),
        CASE(guard_alloc_in_used_memory_is_zero),
        CASE(guard_alloc_of_too_much_is_null),
        CASE(guard_damage_names_the_first_changed_byte),
        CASE(guard_place_tells_blocks_from_what_is_around),
        CASE(guard_each_damaged_visits_damaged_live_blocks),
        CASE(guard_resize_stays_within_its_pages),
        CASE(guard_move_takes_the_pages_along),
        CASE(guard_move_of_what_cannot_move_is_refused),
        CASE(guard_free_holds_the_last_1024),
        CASE(guard_free_holds_256_mib_of_addresses),
        CASE(guard_free_gives_the_memory_back),
        CASE(guard_alloc_without_memory_releases_what_is_held),
        CASE(guard_blocks_that_are_gone_leave_no_mappings_behind),
        CASE(guard_alloc_beyond_the_bound_releases_and_then_is_open),
        CASE(guard_bound_is_read_once_and_has_a_standard),
        CASE(guard_alloc_pages_refused_is_open_and_loses_nothing),
        CASE(sample_alloc_pages_refused_is_null_and_loses_nothing),
        CASE(guard_open_all_leaves_blocks_their_canaries),
        CASE(guard_free_pages_refused_frees_without_holding),
        CASE(guard_release_pages_refused_keeps_them_held),
        CASE(guard_operations_nth_call_fails_lose_nothing),
        CASE(guard_in_the_child_of_a_fork_goes_on),
        CASE(fault_at_a_guarded_block_names_it),
        CASE(fault_elsewhere_ends_as_ever),
        CASE(fault_with_an_own_handler_is_the_programs),
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
