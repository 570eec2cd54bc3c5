/* test_options.c: the HAKMEM_* variables; each reading in a child with just these set. */
#include "options.h"

#include <sys/mman.h>

#include "fake_os.h"

#define OPTION(name, variable, standard, low, high, help) {variable, standard, low, high},
static const struct {
    const char *variable;
    unsigned standard, low, high;
} table[] = {
#include "options.def"
};
#undef OPTION

typedef struct {
    const char *entries[24]; /* NAME=value */
    bool secure;
    hak_options_t options; /* what came of it */
    char text[8192];
} reading_t;

static reading_t *reading; /* shared with the children */

static void read_in_child(void *argument) {
    (void)argument;
    CHECK(clearenv() == 0);
    for (size_t i = 0; reading->entries[i] != NULL; i++) {
        CHECK(putenv((char *)(uintptr_t)reading->entries[i]) == 0);
    }
    fake_os_install();
    fake_os_capture(true);
    hak_options_read(reading->secure);
    reading->options = hak_options;
    memcpy(reading->text, fake_os.text, sizeof reading->text);
}

static const hak_options_t *read_all(const char *const *entries, bool secure) {
    *reading = (reading_t){.secure = secure};
    for (size_t i = 0; entries[i] != NULL; i++) {
        reading->entries[i] = entries[i];
    }
    unit_assert_succeeds(read_in_child, NULL);
    return &reading->options;
}

static const hak_options_t *read_one(const char *entry) {
    return read_all((const char *[]){entry, NULL}, false);
}

static unsigned value_of(const hak_options_t *options, size_t which) {
#define OPTION(name, variable, standard, low, high, help) options->name,
    const unsigned values[] = {
#include "options.def"
    };
#undef OPTION
    return values[which];
}

static void options_read_nothing_set_keeps_defaults(void **state) {
    (void)state;
    const hak_options_t *options = read_one("PATH=/bin");
    for (size_t i = 0; i < UNIT_LENGTH(table); i++) {
        assert_int_equal(value_of(options, i), table[i].standard);
        assert_true(table[i].standard >= table[i].low && table[i].standard <= table[i].high);
    }
    assert_string_equal(options->stats_file, "");
    assert_string_equal(reading->text, "");
}

static void options_read_documented_defaults(void **state) {
    (void)state;
    assert_int_equal(hak_options.tiny_drain_interval, 1024);
    assert_int_equal(hak_options.prewarm, 0);
    assert_int_equal(hak_options.decay_ms, 1000);
    assert_int_equal(hak_options.thp, 2);
}

static void options_read_bounds_of_each_are_taken(void **state) {
    (void)state;
    char entry[64];
    for (size_t i = 0; i < UNIT_LENGTH(table); i++) {
        const unsigned bounds[] = {table[i].low, table[i].high};
        for (size_t j = 0; j < 2; j++) {
            snprintf(entry, sizeof entry, "%s=%u", table[i].variable, bounds[j]);
            assert_int_equal(value_of(read_one(entry), i), bounds[j]);
            assert_string_equal(reading->text, "");
        }
    }
}

static void options_read_out_of_range_is_warned_with_the_range(void **state) {
    (void)state;
    char entry[64];
    char line[256];
    for (size_t i = 0; i < UNIT_LENGTH(table); i++) {
        const long wrong[] = {(long)table[i].low - 1, (long)table[i].high + 1};
        for (size_t j = 0; j < 2; j++) {
            snprintf(entry, sizeof entry, "%s=%ld", table[i].variable, wrong[j]);
            assert_int_equal(value_of(read_one(entry), i), table[i].standard);
            snprintf(line, sizeof line,
                     "hakmem: warning: %s is not a number from %u to %u; using %u\n", entry,
                     table[i].low, table[i].high, table[i].standard);
            assert_string_equal(reading->text, line);
        }
    }
}

static void options_read_nonsense_is_warned_and_changes_nothing(void **state) {
    (void)state;
    static const char *const values[] = {"",     "x",          "12x",   " 12",
                                         "12 ",  "0x10",       "+5",    "1e3",
                                         "auto", "4294967296", "99999999999999999999999", "--"};
    for (size_t i = 0; i < UNIT_LENGTH(values); i++) {
        char entry[80];
        char line[160];
        snprintf(entry, sizeof entry, "HAKMEM_LRU_MAX=%s", values[i]);
        assert_int_equal(read_one(entry)->lru_max, 8);
        snprintf(line, sizeof line,
                 "hakmem: warning: %s is not a number from 0 to 65536; using 8\n", entry);
        assert_string_equal(reading->text, line);
    }
}

static void options_read_words_switch_on_and_off(void **state) {
    (void)state;
    static const struct {
        const char *word;
        unsigned value;
    } words[] = {{"on", 1}, {"yes", 1}, {"1", 1}, {"off", 0}, {"no", 0}, {"0", 0}};
    for (size_t i = 0; i < UNIT_LENGTH(words); i++) {
        char entry[64];
        snprintf(entry, sizeof entry, "HAKMEM_STATS=%s", words[i].word);
        assert_int_equal(read_one(entry)->stats, words[i].value);
        assert_string_equal(reading->text, "");
    }
}

static void options_read_thp_takes_off_on_auto(void **state) {
    (void)state;
    assert_int_equal(read_one("HAKMEM_THP=off")->thp, 0);
    assert_int_equal(read_one("HAKMEM_THP=on")->thp, 1);
    assert_int_equal(read_one("HAKMEM_THP=auto")->thp, 2);
    assert_string_equal(reading->text, "");
    assert_int_equal(read_one("HAKMEM_THP=always")->thp, 2);
    assert_string_equal(reading->text,
                        "hakmem: warning: HAKMEM_THP=always is not a number from 0 to 2; using 2\n");
}

static void options_read_unknown_name_is_warned(void **state) {
    (void)state;
    read_one("HAKMEM_LRUMAX=3");
    assert_string_equal(
        reading->text,
        "hakmem: warning: HAKMEM_LRUMAX=3 is not an option; HAKMEM_HELP=1 lists them\n");
    read_one("HAKMEM_STAT=1"); /* a prefix of a name is no name */
    assert_non_null(strstr(reading->text, "HAKMEM_STAT=1 is not an option"));
    read_one("HAKMEM_STATSS=1");
    assert_non_null(strstr(reading->text, "HAKMEM_STATSS=1 is not an option"));
}

static void options_read_other_names_are_ignored(void **state) {
    (void)state;
    read_all((const char *[]){"HAKME=1", "XHAKMEM_STATS=1", "hakmem_stats=1", NULL}, false);
    assert_int_equal(reading->options.stats, 0);
    assert_string_equal(reading->text, "");
}

static void options_read_several_are_independent(void **state) {
    (void)state;
    const char *const entries[] = {"HAKMEM_STATS=1",   "HAKMEM_RETAIN=bad", "HAKMEM_PREWARM=7",
                                   "HAKMEM_DECAY_MS=0", NULL};
    const hak_options_t *options = read_all(entries, false);
    assert_int_equal(options->stats, 1);
    assert_int_equal(options->retain, 4);
    assert_int_equal(options->prewarm, 7);
    assert_int_equal(options->decay_ms, 0);
    assert_non_null(strstr(reading->text, "HAKMEM_RETAIN=bad"));
}

static void options_read_when_secure_ignores_everything(void **state) {
    (void)state;
    const char *const entries[] = {"HAKMEM_STATS=1", "HAKMEM_PREWARM=9", "HAKMEM_NONSENSE=1",
                                   "HAKMEM_STATS_FILE=/etc/passwd", NULL};
    const hak_options_t *options = read_all(entries, true);
    assert_int_equal(options->stats, 0);
    assert_int_equal(options->prewarm, 0);
    assert_string_equal(options->stats_file, "");
    assert_string_equal(reading->text, "");
}

static void options_read_stats_file_is_copied(void **state) {
    (void)state;
    assert_string_equal(read_one("HAKMEM_STATS_FILE=/tmp/a=b.%p")->stats_file, "/tmp/a=b.%p");
    assert_string_equal(reading->text, "");
}

static void options_read_stats_file_too_long_is_warned(void **state) {
    (void)state;
    char entry[400] = "HAKMEM_STATS_FILE=";
    memset(entry + strlen(entry), 'x', 255);
    assert_int_equal(strlen(read_one(entry)->stats_file), 255);
    memset(entry + strlen(entry), 'x', 1);
    assert_string_equal(read_one(entry)->stats_file, "");
    assert_string_equal(reading->text,
                        "hakmem: warning: HAKMEM_STATS_FILE is longer than 255 bytes; not used\n");
}

static void options_read_endless_value_is_cut_in_the_warning(void **state) {
    (void)state;
    char entry[1000] = "HAKMEM_PREWARM=";
    memset(entry + strlen(entry), '9', 900);
    assert_int_equal(read_one(entry)->prewarm, 0);
    assert_int_equal(strlen(reading->text), 256);
    assert_int_equal(reading->text[255], '\n');
}

static void options_print_names_every_option_once(void **state) {
    (void)state;
    fake_os_install();
    fake_os_capture(true);
    hak_options_print(5);
    fake_os_capture(false);
    assert_int_equal(fake_os.last_fd, 5);
    unsigned lines = 0;
    for (const char *s = fake_os.text; *s != '\0'; s++) {
        lines += *s == '\n';
    }
    assert_int_equal(lines, UNIT_LENGTH(table) + 1);
    for (size_t i = 0; i < UNIT_LENGTH(table); i++) {
        char start[64];
        snprintf(start, sizeof start, "%-28s %8u", table[i].variable, table[i].standard);
        assert_non_null(strstr(fake_os.text, start));
    }
    assert_non_null(strstr(fake_os.text, "HAKMEM_STATS_FILE"));
}

static int set_up(void **state) {
    (void)state;
    reading = mmap(NULL, sizeof *reading, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return reading == MAP_FAILED ? -1 : 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_read_nothing_set_keeps_defaults),
        cmocka_unit_test(options_read_documented_defaults),
        cmocka_unit_test(options_read_bounds_of_each_are_taken),
        cmocka_unit_test(options_read_out_of_range_is_warned_with_the_range),
        cmocka_unit_test(options_read_nonsense_is_warned_and_changes_nothing),
        cmocka_unit_test(options_read_words_switch_on_and_off),
        cmocka_unit_test(options_read_thp_takes_off_on_auto),
        cmocka_unit_test(options_read_unknown_name_is_warned),
        cmocka_unit_test(options_read_other_names_are_ignored),
        cmocka_unit_test(options_read_several_are_independent),
        cmocka_unit_test(options_read_when_secure_ignores_everything),
        cmocka_unit_test(options_read_stats_file_is_copied),
        cmocka_unit_test(options_read_stats_file_too_long_is_warned),
        cmocka_unit_test(options_read_endless_value_is_cut_in_the_warning),
        cmocka_unit_test(options_print_names_every_option_once),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
