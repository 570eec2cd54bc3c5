/* test_alloc_no_memory.c: the Nth system call fails, for each N, until the operation succeeds.
 *
 * After each failure: NULL and ENOMEM, what lived lives on with its contents, not a byte more or
 * less is live, and the same operation works once the system has memory again. Each attempt is a
 * child in which hakmem has not started, so that start-up is among what fails.
 */
#include <errno.h>

#include "alloc.h"
#include "fake_os.h"
#include "large.h"
#include "pool.h"
#include "report.h"

#define MIB ((size_t)1 << 20)

typedef struct {
    const char *name;
    size_t old_size; /* of the block to work on, 0: none */
    void *(*operate)(void *old);
} operation_t;

static void *malloc_tiny(void *old) {
    return (void)old, hak_malloc(100);
}

static void *malloc_mid(void *old) {
    return (void)old, hak_malloc(20000);
}

static void *malloc_large(void *old) {
    return (void)old, hak_malloc(100000);
}

static void *malloc_giant(void *old) {
    return (void)old, hak_malloc(40 * MIB);
}

static void *calloc_tiny(void *old) {
    return (void)old, hak_calloc(10, 10);
}

static void *calloc_large(void *old) {
    return (void)old, hak_calloc(1000, 1000);
}

static void *aligned_tiny(void *old) {
    return (void)old, hak_aligned_alloc(64, 100);
}

static void *aligned_page(void *old) {
    return (void)old, hak_aligned_alloc(4096, 100);
}

static void *aligned_large(void *old) {
    return (void)old, hak_aligned_alloc(8 * MIB, 3 * MIB);
}

static void *realloc_tiny(void *old) {
    return hak_realloc(old, 3000);
}

static void *realloc_large(void *old) {
    return hak_realloc(old, 7 * MIB);
}

static void *realloc_giant(void *old) {
    return hak_realloc(old, 90 * MIB);
}

static void *realloc_down(void *old) {
    return hak_realloc(old, 50);
}

static const operation_t operations[] = {
    {"malloc tiny", 0, malloc_tiny},
    {"malloc mid", 0, malloc_mid},
    {"malloc large", 0, malloc_large},
    {"malloc giant", 0, malloc_giant},
    {"calloc tiny", 0, calloc_tiny},
    {"calloc large", 0, calloc_large},
    {"aligned tiny", 0, aligned_tiny},
    {"aligned page", 0, aligned_page},
    {"aligned large", 0, aligned_large},
    {"realloc none", 0, realloc_tiny},
    {"realloc tiny to mid", 100, realloc_tiny},
    {"realloc tiny to large", 100, realloc_large},
    {"realloc mid to large", 20000, realloc_large},
    {"realloc large", MIB, realloc_large},
    {"realloc large to giant", 5 * MIB, realloc_giant},
    {"realloc giant", 40 * MIB, realloc_giant},
    {"realloc large to tiny", MIB, realloc_down},
};

typedef struct {
    const operation_t *operation;
    unsigned nth;
    bool rest;
    hak_map_result_t how;
    bool no_metadata; /* the arena is used up: each record needs a call, too */
} attempt_t;

enum { ENOUGH = 7, FAILED = 8 }; /* exit statuses of an attempt's child */

static size_t live_bytes(void) {
    static hak_figures_t figures;
    hak_report_gather(&figures);
    return figures.stats.live_bytes;
}

static void check_zero(const attempt_t *attempt, const char *p) {
    if (attempt->operation->operate == calloc_tiny || attempt->operation->operate == calloc_large) {
        size_t size = attempt->operation->operate == calloc_tiny ? 100 : 1000000;
        for (size_t i = 0; i < size; i++) {
            CHECK(p[i] == 0);
        }
    }
}

static void check_contents(const char *p, size_t size) {
    for (size_t i = 0; i < size; i += 16) {
        CHECK(p[i] == 0x5A);
    }
}

static void check_recovery(const attempt_t *attempt, char *old) {
    size_t live = live_bytes();
    fake_os_reset();
    char *p = attempt->operation->operate(old);
    CHECK(p != NULL);
    check_zero(attempt, p);
    check_contents(p, hak_min(attempt->operation->old_size, 50));
    hak_free(p);
    if (old != NULL) {
        CHECK(live_bytes() < live);
    } else {
        CHECK(live_bytes() == live);
    }
    CHECK(hak_pool_is_valid());
    hak_trim_all();
    CHECK(live_bytes() == 0);
    CHECK(hak_pool_is_valid());
}

static void attempt_in_child(void *argument) {
    const attempt_t *attempt = argument;
    size_t old_size = attempt->operation->old_size;
    fake_os_install();
    char *old = NULL;
    if (old_size != 0) {
        old = hak_malloc(old_size);
        memset(old, 0x5A, old_size);
    }
    if (attempt->no_metadata) {
        CHECK(hak_map_init());
        fake_os_fail(FAKE_ANY, 1, true);
        while (hak_meta_alloc(64, 8) != NULL) {
        }
    }
    size_t live = live_bytes();
    fake_os.map_at_failure = attempt->how;
    fake_os_fail(FAKE_ANY, attempt->nth, attempt->rest);
    errno = 0;
    char *p = attempt->operation->operate(old);
    unsigned calls = fake_os_calls(FAKE_ANY);
    if (p != NULL) {
        CHECK(errno == 0);
        check_zero(attempt, p);
        check_contents(p, hak_min(old_size, 50));
        fake_os_reset();
        hak_free(p);
        hak_trim_all();
        CHECK(live_bytes() == 0);
        _exit(calls < attempt->nth ? ENOUGH : 0);
    }
    CHECK(errno == ENOMEM);
    CHECK(live_bytes() == live);
    CHECK(old_size == 0 || hak_usable_size(old) >= old_size);
    check_contents(old, old_size);
    check_recovery(attempt, old);
    _exit(FAILED);
}

/* Returns how many attempts ended in NULL. */
static unsigned try_each_call(attempt_t attempt) {
    unsigned failures = 0;
    for (attempt.nth = 1;; attempt.nth++) {
        char text[512];
        int status = unit_child(attempt_in_child, &attempt, text, sizeof text);
        if (!WIFEXITED(status) || WEXITSTATUS(status) == 1 || text[0] != '\0') {
            print_error("%s, call %u: status %#x: %s\n", attempt.operation->name, attempt.nth,
                        (unsigned)status, text);
            fail();
        }
        failures += WEXITSTATUS(status) == FAILED;
        if (WEXITSTATUS(status) == ENOUGH) {
            return failures;
        }
        assert_true(attempt.nth < 300);
    }
}

/* Returns how many operations never failed. Two are right: a small block that grows finds room in
 * the SuperSlab that it lies in, and one that shrinks stays. Where only one call fails, three more
 * find another way: in place or elsewhere, by moving pages or by copying. */
static unsigned try_operations(attempt_t attempt) {
    unsigned never = 0;
    for (size_t i = 0; i < UNIT_LENGTH(operations); i++) {
        attempt.operation = &operations[i];
        never += try_each_call(attempt) == 0;
    }
    return never;
}

static void operations_nth_call_fails_change_nothing(void **state) {
    (void)state;
    assert_int_equal(try_operations((attempt_t){.how = HAK_MAP_NO_MEMORY}), 5);
}

static void operations_all_from_nth_call_fail_change_nothing(void **state) {
    (void)state;
    assert_int_equal(try_operations((attempt_t){.how = HAK_MAP_NO_MEMORY, .rest = true}), 2);
}

static void operations_without_metadata_change_nothing(void **state) {
    (void)state;
    attempt_t attempt = {.how = HAK_MAP_NO_MEMORY, .rest = true, .no_metadata = true};
    assert_int_equal(try_operations(attempt), 2);
    attempt.rest = false;
    assert_int_equal(try_operations(attempt), 5);
}

static void operations_nth_address_taken_change_nothing(void **state) {
    (void)state;
    (void)try_operations((attempt_t){.how = HAK_MAP_TAKEN});
    assert_int_equal(try_operations((attempt_t){.how = HAK_MAP_TAKEN, .rest = true}), 2);
}

UNIT_CHILD(malloc_until_memory_ends_and_free_recovers) {
    static void *blocks[40000];
    fake_os_install();
    for (int round = 0; round < 3; round++) {
        size_t count = 0;
        fake_os_fail(FAKE_ANY, 20, true);
        while (count < UNIT_LENGTH(blocks) && (blocks[count] = hak_malloc(2000)) != NULL) {
            memset(blocks[count], 0x5A, 2000);
            count++;
        }
        CHECK(count > 1000 && count < UNIT_LENGTH(blocks));
        hak_free(blocks[count / 2]); /* one is enough for one more */
        blocks[count / 2] = hak_malloc(2000);
        CHECK(blocks[count / 2] != NULL);
        for (size_t i = 0; i < count; i++) {
            hak_free(blocks[i]);
        }
        fake_os_reset();
        hak_trim_all();
        CHECK(live_bytes() == 0);
    }
}

UNIT_CHILD(trim_all_refused_everywhere_changes_nothing) {
    fake_os_install();
    char *keep = hak_malloc(100);
    char *large = hak_malloc(3 * MIB);
    keep[99] = 1;
    large[MIB] = 2;
    for (int i = 0; i < 20; i++) {
        hak_free(memset(hak_malloc(MIB + (size_t)i * 4096), 3, MIB));
        hak_free(hak_malloc((size_t)i * 1500));
    }
    size_t live = live_bytes();
    fake_os_fail(FAKE_ANY, 1, true);
    hak_trim_all();
    CHECK(live_bytes() == live);
    CHECK(hak_pool_is_valid() && hak_large_is_valid());
    CHECK(keep[99] == 1 && large[MIB] == 2);
    fake_os_reset();
    hak_free(keep);
    hak_free(large);
    CHECK(hak_malloc(5 * MIB) != NULL && hak_malloc(500) != NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_nth_call_fails_change_nothing),
        cmocka_unit_test(operations_all_from_nth_call_fail_change_nothing),
        cmocka_unit_test(operations_without_metadata_change_nothing),
        cmocka_unit_test(operations_nth_address_taken_change_nothing),
        cmocka_unit_test(malloc_until_memory_ends_and_free_recovers),
        cmocka_unit_test(trim_all_refused_everywhere_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
