/* test_canary.c: every length at every alignment, every byte that can be wrong; the secret. */
#include "canary.h"

#include "unit.h"

#define LENGTHS 201
#define MARGIN 64
#define OTHER 0x11 /* neither zero nor a byte of the secret */

static _Alignas(64) unsigned char room[MARGIN + 16 + LENGTHS + MARGIN];

static int set_up_group(void **state) {
    (void)state;
    hak_canary_init();
    return 0;
}

/* Where the machine has nothing wider, the same once more. */
static int set_up_wide(void **state) {
    (void)state;
    hak_canary_widen();
    return 0;
}

typedef const void *find_t(const void *at, size_t bytes);

static void assert_untouched_around(const unsigned char *at, size_t length) {
    for (const unsigned char *p = room; p < room + sizeof room; p++) {
        if (p < at || p >= at + length) {
            assert_int_equal(*p, OTHER);
        }
    }
}

/* Each byte alone, in three ways; then each together with the last one: the first is named. */
static void assert_each_damage_is_found(find_t *find, unsigned char *at, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char was = at[i];
        unsigned char wrong[] = {was ^ 1, was ^ 0x80, (unsigned char)~was};
        for (size_t k = 0; k < sizeof wrong; k++) {
            at[i] = wrong[k];
            assert_ptr_equal(find(at, length), at + i);
        }
        at[length - 1] ^= 1;
        if (i != length - 1) {
            assert_ptr_equal(find(at, length), at + i);
        }
        at[length - 1] ^= 1;
        assert_null(find(at, i));
        at[i] = was;
    }
    assert_null(find(at, length));
}

static void canary_damage_of_each_byte_names_it(void **state) {
    (void)state;
    for (size_t align = 0; align < 16; align++) {
        for (size_t length = 0; length < LENGTHS; length++) {
            unsigned char *at = room + MARGIN + align;
            memset(room, OTHER, sizeof room);
            hak_canary_write(at, length);
            assert_untouched_around(at, length);
            assert_null(hak_canary_damage(at, length));
            assert_each_damage_is_found(hak_canary_damage, at, length);
            assert_untouched_around(at, length);
        }
    }
}

static void zero_damage_of_each_byte_names_it(void **state) {
    (void)state;
    for (size_t align = 0; align < 16; align++) {
        for (size_t length = 0; length < LENGTHS; length++) {
            unsigned char *at = room + MARGIN + align;
            memset(room, OTHER, sizeof room);
            memset(at, 0, length);
            assert_null(hak_zero_damage(at, length));
            assert_each_damage_is_found(hak_zero_damage, at, length);
            assert_untouched_around(at, length);
        }
    }
}

/* So a range may be looked at, or grow, from anywhere. */
static void canary_write_in_pieces_is_the_same(void **state) {
    (void)state;
    for (size_t cut = 0; cut < LENGTHS; cut++) {
        unsigned char *at = room + MARGIN + 3;
        memset(room, OTHER, sizeof room);
        hak_canary_write(at + cut, LENGTHS - cut);
        hak_canary_write(at, cut);
        for (size_t from = 0; from < LENGTHS; from += 7) {
            assert_null(hak_canary_damage(at + from, LENGTHS - from));
        }
    }
}

/* ---- Bodies ----------------------------------------------------------------------------------- */

#define WIDEST 1679 /* some lines of the widest registers, and rests of all kinds */

static _Alignas(64) unsigned char wide_room[MARGIN + WIDEST + MARGIN];
static unsigned char *const body = wide_room + MARGIN;

static void start_body(size_t bytes) {
    memset(wide_room, OTHER, sizeof wide_room);
    hak_canary_fill_body(body, bytes);
}

/* All is as start_body() left it, but for the first size bytes, which have the value, and one. */
static void assert_body_is(size_t bytes, size_t size, unsigned char value, size_t wrong_at) {
    for (const unsigned char *p = wide_room; p < wide_room + sizeof wide_room; p++) {
        size_t i = (size_t)(p - body);
        if (i >= bytes) {
            assert_int_equal(*p, OTHER);
        } else if (i < size) {
            assert_int_equal(*p, value);
        }
    }
    const unsigned char *behind = body + size;
    const void *damage = hak_canary_damage(behind, bytes - size);
    assert_ptr_equal(damage, wrong_at < bytes ? body + wrong_at : NULL);
}

static void check_take(size_t bytes, size_t size) {
    size_t step = bytes < 200 ? 1 : 13;
    start_body(bytes);
    assert_body_is(bytes, 0, 0, bytes);
    assert_true(hak_canary_take_body(body, size, bytes));
    assert_body_is(bytes, size, 0, bytes);
    for (size_t i = 0; i < bytes; i += i + step < bytes || i == bytes - 1 ? step : bytes - 1 - i) {
        start_body(bytes);
        body[i] ^= 1;
        assert_false(hak_canary_take_body(body, size, bytes));
        assert_body_is(bytes, 0, 0, i);
    }
}

static void check_ends(size_t bytes, size_t size) {
    start_body(bytes);
    memset(body, OTHER, size);
    assert_true(hak_canary_ends_body(body, size, bytes));
    for (size_t i = size; i < bytes; i++) {
        body[i] ^= 1;
        assert_false(hak_canary_ends_body(body, size, bytes));
        body[i] ^= 1;
    }
    assert_body_is(bytes, size, OTHER, bytes);
}

static void canary_body_of_each_size_is_taken_whole_or_not_at_all(void **state) {
    (void)state;
    for (size_t bytes = 15; bytes <= WIDEST; bytes += bytes < 160 ? 16 : 16 * 19) {
        for (size_t size = 0; size <= bytes; size += bytes < 160 || size + 70 > bytes ? 1 : 61) {
            check_take(bytes, size);
            check_ends(bytes, size);
        }
    }
}

static void canary_init_again_keeps_the_secret(void **state) {
    (void)state;
    hak_canary_write(room, sizeof room);
    hak_canary_init();
    assert_null(hak_canary_damage(room, sizeof room));
}

/* In a process of its own: the secret, as text. */
static void tell_secret(void *unused) {
    (void)unused;
    hak_canary_init();
    hak_canary_write(room, 8);
    for (size_t i = 0; i < 8; i++) {
        CHECK(room[i] >= 0x80 && room[i] != 0xFF);
    }
    CHECK(write(2, room, 8) == 8);
}

static void canary_secret_is_drawn_anew_and_never_plain(void **state) {
    enum { PROCESSES = 100 };
    char texts[PROCESSES][64];
    (void)state;
    for (size_t i = 0; i < PROCESSES; i++) {
        assert_int_equal(unit_child(tell_secret, NULL, texts[i], sizeof texts[i]), 0);
        assert_int_equal(strlen(texts[i]), 8);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(texts[i], texts[k]);
        }
    }
}

int main(void) {
    const struct CMUnitTest secret[] = {
        cmocka_unit_test(canary_secret_is_drawn_anew_and_never_plain), /* before the first init */
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canary_damage_of_each_byte_names_it),
        cmocka_unit_test(zero_damage_of_each_byte_names_it),
        cmocka_unit_test(canary_write_in_pieces_is_the_same),
        cmocka_unit_test(canary_body_of_each_size_is_taken_whole_or_not_at_all),
        cmocka_unit_test(canary_init_again_keeps_the_secret),
    };
    int failed = cmocka_run_group_tests(secret, NULL, NULL);
    failed += cmocka_run_group_tests_name("narrow", tests, set_up_group, NULL);
    return failed + cmocka_run_group_tests_name("wide", tests, set_up_wide, NULL);
}
