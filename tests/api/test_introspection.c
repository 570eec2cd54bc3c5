// mallinfo, mallinfo2, malloc_info, malloc_stats, malloc_trim and mallopt tell the truth and work.
#include "check.h"

#include <malloc.h>

enum { COUNT = 10240, SIZE = 1024 };

static void *blocks[COUNT];

static void allocate_10_mib(void) {
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(SIZE);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], 1, SIZE);
    }
}

static void free_10_mib(void) {
    for (size_t i = 0; i < COUNT; i++) {
        free(blocks[i]);
    }
}

static size_t bytes_in_use(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void mallinfo2_follows_small_blocks(void) {
    size_t before = mallinfo2().uordblks;
    allocate_10_mib();
    size_t during = mallinfo2().uordblks;
    free_10_mib();
    size_t after = mallinfo2().uordblks;
    size_t asked = (size_t)COUNT * SIZE;
    CHECK(during >= before + asked / 10 * 9);
    CHECK(during <= before + asked / 10 * 15);
    CHECK(after <= during - asked / 10 * 9);
}

static void mallinfo2_follows_large_blocks(void) {
    for (size_t size = 100000; size <= 50000000; size *= 5) {
        size_t before = bytes_in_use();
        void *p = malloc(size);
        CHECK(p != NULL);
        size_t during = bytes_in_use();
        free(p);
        CHECK(during >= before + size / 10 * 9);
        CHECK(bytes_in_use() <= during - size / 10 * 9);
    }
}

static void *allocate_in_thread(void *unused) {
    (void)unused;
    allocate_10_mib();
    return NULL;
}

static void mallinfo2_counts_blocks_of_ended_threads(void) {
    size_t before = mallinfo2().uordblks;
    in_thread(allocate_in_thread, NULL);
    size_t during = mallinfo2().uordblks;
    free_10_mib();
    CHECK(during >= before + (size_t)COUNT * SIZE / 10 * 9);
}

static void mallinfo2_parts_add_up(void) {
    allocate_10_mib();
    struct mallinfo2 info = mallinfo2();
    free_10_mib();
    CHECK(info.arena + info.hblkhd >= (size_t)COUNT * SIZE);
    CHECK(info.uordblks + info.fordblks <= info.arena + info.hblkhd);
}

static void mallinfo_agrees_with_mallinfo2(void) {
    struct mallinfo (*old)(void) = NULL;
    if (!find_function("mallinfo", &old)) {
        SKIP("no mallinfo");
    }
    allocate_10_mib();
    struct mallinfo info = old();
    size_t exact = mallinfo2().uordblks;
    free_10_mib();
    CHECK(info.uordblks > 0);
    CHECK((size_t)info.uordblks <= exact + MIB && exact <= (size_t)info.uordblks + MIB);
}

// Every tag that opens closes, in order; attributes are well quoted.
static void check_balanced(const char *xml) {
    char open_tags[32][32];
    size_t depth = 0;
    for (const char *p = strchr(xml, '<'); p != NULL; p = strchr(p + 1, '<')) {
        const char *end = strchr(p, '>');
        CHECK(end != NULL);
        bool closes = p[1] == '/';
        const char *name = p + (closes ? 2 : 1);
        size_t length = strcspn(name, " />");
        CHECK(length > 0 && length < sizeof open_tags[0]);
        if (closes) {
            CHECK(depth > 0);
            depth--;
            CHECK(strlen(open_tags[depth]) == length);
            CHECK(strncmp(open_tags[depth], name, length) == 0);
        } else if (end[-1] != '/') {
            CHECK(depth < COUNT_OF(open_tags));
            memcpy(open_tags[depth], name, length);
            open_tags[depth][length] = '\0';
            depth++;
        }
        size_t quotes = 0;
        for (const char *c = p; c < end; c++) {
            quotes += *c == '"';
        }
        CHECK(quotes % 2 == 0);
    }
    CHECK(depth == 0);
}

static void malloc_info_writes_xml(void) {
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    CHECK(stream != NULL);
    allocate_10_mib();
    CHECK(malloc_info(0, stream) == 0);
    CHECK(fclose(stream) == 0);
    free_10_mib();
    const char *root = "<malloc version=\"1\">";
    CHECK(strncmp(text, root, strlen(root)) == 0);
    CHECK(strstr(text, "</malloc>") != NULL);
    check_balanced(text);
    free(text);
}

static void malloc_info_refuses_options(void) {
    FILE *stream = tmpfile();
    CHECK(stream != NULL);
    CHECK(malloc_info(1, stream) == EINVAL);
    CHECK(fclose(stream) == 0);
}

static void malloc_stats_writes_to_stderr(void) {
    char name[] = "/tmp/malloc_stats.XXXXXX";
    int file = mkstemp(name);
    int kept = dup(STDERR_FILENO);
    CHECK(file >= 0 && kept >= 0);
    unlink(name);
    fflush(stderr);
    CHECK(dup2(file, STDERR_FILENO) == STDERR_FILENO);
    malloc_stats();
    fflush(stderr);
    CHECK(dup2(kept, STDERR_FILENO) == STDERR_FILENO);
    CHECK(lseek(file, 0, SEEK_END) > 0);
    close(file);
    close(kept);
}

static void malloc_trim_returns_0_or_1(void) {
    allocate_10_mib();
    free_10_mib();
    int first = malloc_trim(0);
    CHECK(first == 0 || first == 1);
    int second = malloc_trim(64 * MIB);
    CHECK(second == 0 || second == 1);
}

static void malloc_trim_gives_memory_back(void) {
    size_t before = status_kib("VmRSS");
    for (int round = 0; round < 3; round++) {
        allocate_10_mib();
        free_10_mib();
        malloc_trim(0);
        CHECK(status_kib("VmRSS") < before + 4 * 1024);
    }
}

static void mallopt_returns_0_or_1(void) {
    static const int parameters[] = {M_MXFAST,     M_TRIM_THRESHOLD,
                                     M_TOP_PAD,    M_MMAP_THRESHOLD,
                                     M_MMAP_MAX,   M_CHECK_ACTION,
                                     M_ARENA_TEST, M_ARENA_MAX,
                                     -1000,        1000};
    for (size_t i = 0; i < COUNT_OF(parameters); i++) {
        int result = mallopt(parameters[i], 64);
        CHECK(result == 0 || result == 1);
    }
    void *p = malloc(1000000);
    CHECK(p != NULL);
    free(p);
}

CHECK_MAIN(CASE(mallinfo2_follows_small_blocks), CASE(mallinfo2_follows_large_blocks),
           CASE(mallinfo2_counts_blocks_of_ended_threads), CASE(mallinfo2_parts_add_up),
           CASE(mallinfo_agrees_with_mallinfo2), CASE(malloc_info_writes_xml),
           CASE(malloc_info_refuses_options), CASE(malloc_stats_writes_to_stderr),
           CASE(malloc_trim_returns_0_or_1), CASE(malloc_trim_gives_memory_back),
           CASE(mallopt_returns_0_or_1))
