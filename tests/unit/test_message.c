/* test_message.c: formatting, cutting off, the cap on warnings, the fatal line. */
#include "message.h"

#include "fake_os.h"

static char buffer[256];

static const char *format(const char *how, ...) HAK_PRINTF(1, 2);
static const char *format(const char *how, ...) {
    va_list args;
    hak_text_t out = {buffer, 0, sizeof buffer - 1};
    va_start(args, how);
    hak_text_add_va(&out, how, args);
    va_end(args);
    buffer[out.used] = '\0';
    return buffer;
}

static void text_add_plain_text_is_copied(void **state) {
    (void)state;
    assert_string_equal(format("no conversion at all"), "no conversion at all");
    assert_string_equal(format("100%%"), "100%");
}

static void text_add_unsigned_prints_whole_range(void **state) {
    (void)state;
    assert_string_equal(format("%u", 0U), "0");
    assert_string_equal(format("%u", UINT32_MAX), "4294967295");
    assert_string_equal(format("%zu", SIZE_MAX), "18446744073709551615");
    assert_string_equal(format("%lu", 1234567890123UL), "1234567890123");
    assert_string_equal(format("%x", 0xdeadbeefU), "deadbeef");
    assert_string_equal(format("%lx", 0x123456789abcdef0UL), "123456789abcdef0");
}

static void text_add_signed_prints_whole_range(void **state) {
    (void)state;
    assert_string_equal(format("%d %d", 0, -1), "0 -1");
    assert_string_equal(format("%d", INT32_MIN), "-2147483648");
    assert_string_equal(format("%d", INT32_MAX), "2147483647");
    assert_string_equal(format("%ld", INT64_MIN), "-9223372036854775808");
}

static void text_add_pointer_has_prefix(void **state) {
    (void)state;
    assert_string_equal(format("%p", (void *)0x7f00beef), "0x7f00beef");
    assert_string_equal(format("%p", NULL), "0x0");
    assert_string_equal(format("%p", (void *)UINTPTR_MAX), "0xffffffffffffffff");
}

static void text_add_width_pads_left(void **state) {
    (void)state;
    assert_string_equal(format("[%5u]", 42U), "[   42]");
    assert_string_equal(format("[%8s]", "abc"), "[     abc]");
    assert_string_equal(format("[%12p]", (void *)0xab), "[        0xab]");
    assert_string_equal(format("[%6d]", -42), "[   -42]");
    assert_string_equal(format("[%20zu]", SIZE_MAX), "[18446744073709551615]");
}

static void text_add_negative_width_pads_right(void **state) {
    (void)state;
    assert_string_equal(format("[%-5u]", 42U), "[42   ]");
    assert_string_equal(format("[%-28s]", "HAKMEM"), "[HAKMEM                      ]");
}

static void text_add_width_narrower_than_text_keeps_all(void **state) {
    (void)state;
    assert_string_equal(format("[%2u]", 12345U), "[12345]");
    assert_string_equal(format("[%-2s]", "abcdef"), "[abcdef]");
}

static void text_add_several_conversions_stay_in_step(void **state) {
    (void)state;
    assert_string_equal(format("%c%s %zu/%u %p%%", 'x', "yz", (size_t)7, 8U, (void *)16),
                        "xyz 7/8 0x10%");
}

static void text_add_beyond_capacity_is_cut_off(void **state) {
    (void)state;
    char small[8] = {'#', '#', '#', '#', '#', '#', '#', '#'};
    hak_text_t out = {small, 0, 6};
    hak_text_add(&out, "ab%ucd", 123U);
    hak_text_add(&out, "more %s", "of it");
    assert_int_equal(out.used, 6);
    assert_memory_equal(small, "ab123c##", 8);
}

static void message_trace_is_one_write_to_stderr(void **state) {
    (void)state;
    fake_os_reset();
    hak_message_trace("[SP_TEST] class=%u", 3U);
    assert_string_equal(fake_os.text, "[SP_TEST] class=3\n");
    assert_int_equal(fake_os.writes, 1);
    assert_int_equal(fake_os.last_fd, 2);
}

static void message_trace_too_long_is_cut_but_ends_the_line(void **state) {
    (void)state;
    char longest[400];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    fake_os_reset();
    hak_message_trace("%s", longest);
    assert_int_equal(fake_os.text_bytes, 256);
    assert_int_equal(fake_os.text[255], '\n');
    assert_int_equal(fake_os.text[254], 'x');
}

static void message_warn_after_sixteen_is_silent(void **state) {
    (void)state;
    fake_os_reset();
    for (unsigned i = 0; i < 40; i++) {
        hak_message_warn("number %u", i);
    }
    assert_int_equal(fake_os.writes, 16);
    assert_true(strncmp(fake_os.text, "hakmem: warning: number 0\n", 26) == 0);
    const char *last = "hakmem: warning: number 15\n";
    assert_string_equal(fake_os.text + fake_os.text_bytes - strlen(last), last);
}

static void die(void *argument) {
    fake_os_capture(false);
    hak_message_fatal("double free of %p (class %u, %zu bytes)", argument, 6U, (size_t)112);
}

static void message_fatal_says_one_line_and_aborts(void **state) {
    (void)state;
    unit_assert_aborts(die, (void *)0x1230,
                       "hakmem: double free of 0x1230 (class 6, 112 bytes)\n");
}

static void fail_assert(void *argument) {
    (void)argument;
    fake_os_capture(false);
    hak_assert_failed("a == b", "file.c", 12);
}

static void assert_failed_names_condition_and_place(void **state) {
    (void)state;
    unit_assert_aborts(fail_assert, NULL, "hakmem: assertion failed: a == b (file.c:12)\n");
}

static int set_up(void **state) {
    (void)state;
    fake_os_install();
    fake_os_capture(true);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_add_plain_text_is_copied),
        cmocka_unit_test(text_add_unsigned_prints_whole_range),
        cmocka_unit_test(text_add_signed_prints_whole_range),
        cmocka_unit_test(text_add_pointer_has_prefix),
        cmocka_unit_test(text_add_width_pads_left),
        cmocka_unit_test(text_add_negative_width_pads_right),
        cmocka_unit_test(text_add_width_narrower_than_text_keeps_all),
        cmocka_unit_test(text_add_several_conversions_stay_in_step),
        cmocka_unit_test(text_add_beyond_capacity_is_cut_off),
        cmocka_unit_test(message_trace_is_one_write_to_stderr),
        cmocka_unit_test(message_trace_too_long_is_cut_but_ends_the_line),
        cmocka_unit_test(message_warn_after_sixteen_is_silent),
        cmocka_unit_test(message_fatal_says_one_line_and_aborts),
        cmocka_unit_test(assert_failed_names_condition_and_place),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
