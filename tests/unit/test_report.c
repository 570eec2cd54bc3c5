/* test_report.c: exact figures for known blocks; texts that can be read back. */
#include "report.h"

#include "fake_os.h"
#include "heap_case.h"
#include "large.h"

#define MIB ((size_t)1 << 20)

static const char *const counters[] = {
#define COUNTER(name, help) #name,
#include "stats.def"
};

UNIT_CHILD(report_gather_before_the_first_block_is_0) {
    hak_figures_t f = figures();
    CHECK(f.stats.struct_bytes == sizeof f.stats);
    CHECK(f.stats.live_blocks == 0 && f.stats.live_bytes == 0);
    CHECK(f.stats.mapped_bytes == 0 && f.stats.heaps == 0);
}

UNIT_CHILD(report_gather_known_blocks_is_exact) {
    static const size_t sizes[] = {1, 16, 17, 100, 1000, 1024, 5000, 32768};
    void *blocks[UNIT_LENGTH(sizes)][10];
    size_t bytes = 0;
    for (size_t i = 0; i < UNIT_LENGTH(sizes); i++) {
        allocate(blocks[i], 10, sizes[i]);
        bytes += 10 * hak_class_stride(hak_class_of(sizes[i]));
    }
    hak_figures_t f = figures();
    CHECK(f.stats.live_blocks == 10 * UNIT_LENGTH(sizes));
    CHECK(f.stats.live_bytes == bytes);
    CHECK(f.stats.large_blocks == 0 && f.stats.large_bytes == 0);
    CHECK(f.stats.heaps == 1 && f.stats.orphaned_heaps == 0);
    size_t carved = 0;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        carved += f.classes[cls].carved * hak_class_stride(cls);
    }
    CHECK(carved == f.stats.live_bytes + f.stats.bin_bytes + f.stats.free_bytes);
    CHECK(f.stats.stage1 + f.stats.stage2 + f.stats.stage3 == pool_acquisitions());
    for (size_t i = 0; i < UNIT_LENGTH(sizes); i++) {
        release(blocks[i], 10);
    }
    CHECK(figures().stats.live_bytes == 0);
}

UNIT_CHILD(report_gather_large_blocks_is_exact) {
    void *a = hak_malloc(40000);
    void *b = hak_malloc(3 * MIB + 1);
    hak_figures_t f = figures();
    CHECK(f.stats.large_blocks == 2 && f.stats.live_blocks == 2);
    CHECK(f.stats.large_bytes == 40960 + 3 * MIB + 4096);
    CHECK(f.stats.live_bytes == f.stats.large_bytes);
    CHECK(f.stats.large_bytes + f.stats.large_free_bytes == f.stats.mapped_bytes);
    hak_free(a);
    hak_free(b);
    CHECK(figures().stats.large_bytes == 0);
    CHECK(figures().stats.retained_bytes == 40960 + 3 * MIB + 4096);
}

UNIT_CHILD(report_gather_blocks_in_the_own_bin_are_not_live) {
    void *blocks[7];
    allocate(blocks, 7, 1024);
    hak_heap_trim();
    release(blocks + 2, 5);
    hak_figures_t f = figures();
    CHECK(f.stats.live_blocks == 2);
    CHECK(f.stats.bin_bytes == 5 * hak_class_stride(hak_class_of(1024)));
    hak_heap_trim();
    CHECK(figures().stats.bin_bytes == 0);
    CHECK(figures().stats.live_blocks == 2);
}

/* A block that another thread sent home is free, though its slab's owner has not seen it yet. */
UNIT_CHILD(report_gather_blocks_in_remote_queues_are_not_live) {
    void *blocks[9];
    allocate(blocks, 9, 1024);
    hak_heap_trim();
    in_thread(thread_frees, &(work_t){blocks, 5, 0});
    hak_figures_t f = figures();
    const hak_class_gauges_t *g = &f.classes[hak_class_of(1024)];
    CHECK(g->queued == 5 && f.stats.queued_bytes == 5 * hak_class_stride(hak_class_of(1024)));
    CHECK(hak_class_live(g) == 4 && f.stats.live_blocks == 4);
    CHECK(g->carved == 9 + g->free);
    CHECK(f.stats.remote_batches == 1 && f.stats.remote_blocks == 5);
}

/* Every slab that gave to a refill is counted once, by where it came from. */
UNIT_CHILD(report_gather_refills_by_source) {
    static void *blocks[200];
    allocate(blocks, 1, 1024); /* the first slab comes from the pool */
    hak_stats_t s = figures().stats;
    CHECK(s.refills == 1 && s.refill_pool == 1);
    allocate(blocks + 1, 62, 1024); /* and is carved to its end */
    s = figures().stats;
    CHECK(s.refill_pool == 1 && s.refill_carve == s.refills - 1 && s.refill_free == 0);
    hak_heap_trim();
    in_thread(thread_frees, &(work_t){blocks, 30, 0});
    allocate(blocks, 1, 1024);
    s = figures().stats;
    CHECK(s.refill_remote == 1 && s.refill_free == 0); /* as they came */
    hak_free(blocks[0]);
    hak_heap_trim();
    allocate(blocks, 1, 1024);
    s = figures().stats;
    CHECK(s.refill_remote == 1 && s.refill_free == 1);
    hak_options.common = 0;
    in_thread(thread_allocates, &(work_t){blocks + 100, 3, 512}); /* leaves a slab to adopt */
    allocate(blocks + 103, 1, 512);
    CHECK(figures().stats.refill_adopted == 1);
    CHECK(figures().stats.adopted_slabs == 1);
}

/* Two slabs with a block each: a refill that wants more goes on to the second. */
UNIT_CHILD(report_gather_refill_from_a_further_slab) {
    static void *blocks[126]; /* 63 a slab */
    allocate(blocks, 126, 1024);
    hak_free(blocks[0]);
    hak_free(blocks[125]);
    hak_heap_trim();
    own_shelf(1024)->batch = 8;
    uint64_t before = figures().stats.refill_next;
    blocks[0] = hak_malloc(1024);
    CHECK(figures().stats.refill_next == before + 1);
}

UNIT_CHILD(report_gather_large_cache_hits_are_counted) {
    void *a = hak_malloc(100000);
    uint64_t hits = figures().stats.large_cache_hits; /* the first one mapped a unit */
    hak_free(a);
    a = hak_malloc(100000);
    CHECK(figures().stats.large_cache_hits == hits + 1 && hits == 0);
    CHECK(figures().stats.large_allocs == 2);
    hak_free(a);
}

UNIT_CHILD(report_gather_slots_add_up) {
    static void *blocks[300];
    allocate(blocks, 300, 8000);
    release(blocks, 150);
    hak_heap_trim();
    hak_stats_t s = figures().stats;
    CHECK(s.slots_active + s.slots_empty + s.slots_unused == s.superslabs_now * HAK_SLOTS);
    CHECK(s.slots_empty != 0 && s.retained_bytes != 0);
    CHECK(s.superslabs_peak >= s.superslabs_now);
    CHECK(s.mapped_bytes == s.superslabs_now * HAK_SUPERSLAB_BYTES);
}

UNIT_CHILD(report_gather_orphans_are_counted) {
    void *block = NULL;
    (void)hak_heap_get();
    in_thread(thread_allocates, &(work_t){&block, 1, 64});
    CHECK(figures().stats.heaps == 2 && figures().stats.orphaned_heaps == 1);
    CHECK(figures().stats.live_blocks == 1);
    hak_free(block);
}

/* ---- Texts ---------------------------------------------------------------------------------------- */

/* The value behind a name in the text; -1: it is not there, or not once. */
static long long text_value(const char *text, const char *name) {
    char start[64];
    snprintf(start, sizeof start, "\n%s ", name);
    const char *at = strstr(text, start);
    return at != NULL && strstr(at + 1, start) == NULL ? atoll(at + strlen(start)) : -1;
}

static long long json_value(const char *text, const char *name) {
    char start[64];
    snprintf(start, sizeof start, "\n  \"%s\": ", name);
    const char *at = strstr(text, start);
    return at != NULL && strstr(at + 1, start) == NULL ? atoll(at + strlen(start)) : -1;
}

static void *three_large[3];

static void some_blocks(void) {
    static void *blocks[50];
    allocate(blocks, 50, 100);
    for (int i = 0; i < 3; i++) {
        three_large[i] = hak_malloc(50000);
    }
    fake_os_install();
    fake_os_capture(true);
}

UNIT_CHILD(report_text_names_every_figure_once) {
    some_blocks();
    hak_report_text(9);
    CHECK(fake_os.last_fd == 9);
    CHECK(text_value(fake_os.text, "live_blocks") == 53);
    CHECK(text_value(fake_os.text, "large_blocks") == 3);
    CHECK(text_value(fake_os.text, "superslabs_now") == 1);
    CHECK(text_value(fake_os.text, "large_allocs") == 3);
    for (size_t i = 0; i < UNIT_LENGTH(counters); i++) {
        CHECK(text_value(fake_os.text, counters[i]) >= 0);
    }
    CHECK(strstr(fake_os.text, "\nclass_6      112       1          50 ") != NULL);
    CHECK(strstr(fake_os.text, "\nstage3                            1  # 100.0 %, ") != NULL);
    CHECK(text_value(fake_os.text, "refill_pool") == 1);
    CHECK(fake_os.text[fake_os.text_bytes - 1] == '\n');
}

/* Braces and quotes match, no comma before a closing brace: enough to find a slip of the pen. */
static bool is_balanced(const char *json) {
    int depth = 0;
    bool quoted = false;
    char last = '\0';
    for (; *json != '\0'; json++) {
        if (*json == '"') {
            quoted = !quoted;
        }
        if (quoted || *json == ' ' || *json == '\n') {
            continue;
        }
        depth += *json == '{' || *json == '[';
        depth -= *json == '}' || *json == ']';
        if (depth < 0 || ((*json == '}' || *json == ']') && last == ',')) {
            return false;
        }
        last = *json;
    }
    return depth == 0 && !quoted && last == '}';
}

UNIT_CHILD(report_json_is_an_object_with_every_figure) {
    some_blocks();
    hak_report_json(7);
    CHECK(is_balanced(fake_os.text));
    CHECK(json_value(fake_os.text, "live_blocks") == 53);
    CHECK(json_value(fake_os.text, "process") == getpid());
    for (size_t i = 0; i < UNIT_LENGTH(counters); i++) {
        CHECK(json_value(fake_os.text, counters[i]) >= 0);
    }
    CHECK(strstr(fake_os.text, "{\"class\": 6, \"stride\": 112, \"slabs\": 1, \"live\": 50, ") !=
          NULL);
}

UNIT_CHILD(report_with_every_class_and_huge_counters_is_not_cut) {
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        CHECK(allocate_of_class(cls) != NULL);
    }
    memset((void *)&hak_counters, 0xFF, sizeof hak_counters);
    fake_os_install();
    fake_os_capture(true);
    hak_report_json(2);
    CHECK(is_balanced(fake_os.text));
    CHECK(strstr(fake_os.text, "\"stride\": 32768") != NULL);
    fake_os_reset();
    hak_report_text(2);
    CHECK(strstr(fake_os.text, "\nclass_71") != NULL);
    CHECK(fake_os.text[fake_os.text_bytes - 1] == '\n');
}

UNIT_CHILD(report_xml_has_glibcs_elements) {
    char *text = NULL;
    size_t length = 0;
    some_blocks();
    FILE *stream = open_memstream(&text, &length);
    CHECK(stream != NULL);
    hak_report_xml(stream);
    fclose(stream);
    CHECK(strncmp(text, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n", 43) == 0);
    CHECK(strstr(text, "<total type=\"mmap\" count=\"3\" size=\"159744\"/>") != NULL);
    CHECK(strstr(text, "</heap>\n") != NULL);
    CHECK(strcmp(text + length - 10, "</malloc>\n") == 0);
}

UNIT_CHILD(report_at_exit_writes_the_stats_file) {
    some_blocks();
    fake_os_capture(false);
    char path[64];
    char text[40000] = {0};
    hak_options.stats = 1;
    strcpy(hak_options.stats_file, "/tmp/hakmem-unit.%p.json");
    hak_report_at_exit();
    snprintf(path, sizeof path, "/tmp/hakmem-unit.%d.json", (int)getpid());
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    CHECK(fread(text, 1, sizeof text - 1, file) > 1000);
    fclose(file);
    remove(path);
    CHECK(is_balanced(text));
    CHECK(json_value(text, "live_blocks") == 53);
}

UNIT_CHILD(report_at_exit_without_the_option_is_silent) {
    some_blocks();
    hak_report_at_exit();
    CHECK(fake_os.writes == 0);
    hak_options.stats = 1;
    hak_report_at_exit();
    CHECK(fake_os.last_fd == 2);
    CHECK(text_value(fake_os.text, "live_blocks") == 53);
}

UNIT_CHILD(report_at_exit_unwritable_file_is_warned) {
    some_blocks();
    hak_options.stats = 1;
    strcpy(hak_options.stats_file, "/nonexistent/file");
    hak_report_at_exit();
    CHECK(strcmp(fake_os.text, "hakmem: warning: HAKMEM_STATS_FILE=/nonexistent/file cannot be "
                               "written\n") == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_gather_before_the_first_block_is_0),
        cmocka_unit_test(report_gather_known_blocks_is_exact),
        cmocka_unit_test(report_gather_large_blocks_is_exact),
        cmocka_unit_test(report_gather_blocks_in_the_own_bin_are_not_live),
        cmocka_unit_test(report_gather_blocks_in_remote_queues_are_not_live),
        cmocka_unit_test(report_gather_refills_by_source),
        cmocka_unit_test(report_gather_refill_from_a_further_slab),
        cmocka_unit_test(report_gather_large_cache_hits_are_counted),
        cmocka_unit_test(report_gather_slots_add_up),
        cmocka_unit_test(report_gather_orphans_are_counted),
        cmocka_unit_test(report_text_names_every_figure_once),
        cmocka_unit_test(report_json_is_an_object_with_every_figure),
        cmocka_unit_test(report_with_every_class_and_huge_counters_is_not_cut),
        cmocka_unit_test(report_xml_has_glibcs_elements),
        cmocka_unit_test(report_at_exit_writes_the_stats_file),
        cmocka_unit_test(report_at_exit_without_the_option_is_silent),
        cmocka_unit_test(report_at_exit_unwritable_file_is_warned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
