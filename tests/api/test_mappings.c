// The number of mappings is limited (vm.max_map_count): how many a heap takes, and what happens
// when there are no more. The tests use up the mappings of their own process.
#include "check.h"

#include <sys/mman.h>

static size_t count_mappings(void) {
    static char text[1 << 16];
    size_t lines = 0;
    ssize_t n;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    while ((n = read(fd, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            lines += text[i] == '\n';
        }
    }
    close(fd);
    return lines;
}

static size_t random_below(uint64_t *state, size_t n) {
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (size_t)((*state >> 33) % n);
}

// ---- a heap that is replaced at random ----

typedef struct {
    unsigned char *bytes;
    size_t size;
} entry_t;

enum { ENTRIES = 1 << 20, LIMIT_MOST = 1 << 20 };

static entry_t *entries; // mapped
static size_t entry_count;
static size_t live_bytes;

static void make_entries(void) {
    entries = mmap(NULL, ENTRIES * sizeof *entries, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(entries != MAP_FAILED);
}

// low: a power of two. From low on, so many doublings, each as likely as the next.
static size_t random_size(uint64_t *random, size_t low, size_t doublings) {
    size_t base = low << random_below(random, doublings);
    return base + random_below(random, base);
}

static bool add_entry(size_t size) {
    unsigned char *p = malloc(size);
    if (p == NULL) {
        CHECK(errno == ENOMEM);
        return false;
    }
    CHECK(entry_count < ENTRIES);
    p[0] = p[size - 1] = (unsigned char)size;
    entries[entry_count++] = (entry_t){p, size};
    live_bytes += size;
    return true;
}

static void drop_entry(size_t i) {
    entry_t *entry = &entries[i];
    unsigned char seal = (unsigned char)entry->size;
    CHECK(entry->bytes[0] == seal && entry->bytes[entry->size - 1] == seal);
    free(entry->bytes);
    live_bytes -= entry->size;
    *entry = entries[--entry_count];
}

static void drop_random(uint64_t *random, size_t down_to_bytes) {
    while (live_bytes > down_to_bytes) {
        drop_entry(random_below(random, entry_count));
    }
}

// ---- how many there are ----

static void small_program(void) {
    uint64_t random = 1;
    make_entries();
    size_t before = count_mappings();
    for (int round = 0; round < 20; round++) {
        while (live_bytes < 10 * MIB) {
            CHECK(add_entry(random_size(&random, 16, 16)));
        }
        CHECK(count_mappings() <= before + 200);
        drop_random(&random, 2 * MIB);
    }
}

static void ten_mib_take_at_most_200_mappings(void) {
    in_child(small_program);
}

// Half of it blocks of 32 KiB to 4 MiB, half smaller ones; most goes at random and others come.
static void fragmented_heap(void) {
    uint64_t random = 1;
    const size_t whole = 512 * MIB;
    // The hardened mode: three for each guarded block, but no more than half of what there may be.
    const size_t mappings_most = is_hardened() ? 65530 / 2 : whole / MIB;
    make_entries();
    size_t before = count_mappings();
    for (int round = 0; round < 6; round++) {
        while (live_bytes < whole / 2) {
            CHECK(add_entry(random_size(&random, 64, 9)));
        }
        while (live_bytes < whole) {
            CHECK(add_entry(random_size(&random, 32 * KIB, 7)));
        }
        CHECK(count_mappings() <= before + mappings_most);
        drop_random(&random, whole / 8);
        CHECK(count_mappings() <= before + mappings_most);
    }
}

static void fragmented_heap_takes_at_most_one_mapping_a_mib(void) {
    in_child(fragmented_heap);
}

// ---- when there are no more ----

static size_t limit_of_mappings(void) {
    char text[32] = {0};
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    return (size_t)strtoull(text, NULL, 10);
}

static size_t hog_bytes;

// Neighbours that differ are two mappings.
static void *use_up_mappings(size_t but) {
    size_t most = limit_of_mappings();
    size_t mine = count_mappings();
    CHECK(most > mine + but);
    size_t pages = most - mine - but;
    hog_bytes = pages * 4096;
    char *p = mmap(NULL, hog_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    for (size_t i = 1; i < pages; i += 2) {
        CHECK(mprotect(p + i * 4096, 4096, PROT_READ) == 0);
    }
    CHECK(count_mappings() + but >= most);
    return p;
}

static void thousand_left(void) {
    uint64_t random = 1;
    make_entries();
    use_up_mappings(1000);
    while (live_bytes < 512 * MIB) {
        CHECK(add_entry(random_size(&random, 16, 18)));
    }
    for (int i = 0; i < 20000; i++) {
        drop_entry(random_below(&random, entry_count));
        CHECK(add_entry(random_size(&random, 16, 18)));
    }
    drop_random(&random, 0);
}

static void half_a_gib_lives_with_1000_mappings(void) {
    if (limit_of_mappings() > LIMIT_MOST) {
        SKIP("vm.max_map_count is too high to be used up");
    }
    in_child(thousand_left);
}

static void fill_half_small(uint64_t *random, size_t bytes) {
    size_t refusals = 0;
    while (live_bytes < bytes / 2 && refusals < 100) {
        refusals += !add_entry(random_size(random, 64, 6));
    }
    while (live_bytes < bytes && refusals < 200) {
        refusals += !add_entry(random_size(random, 32 * KIB, 6));
    }
}

static void none_left(void) {
    uint64_t random = 1;
    make_entries();
    fill_half_small(&random, 128 * MIB);
    void *hog = use_up_mappings(0);
    size_t addresses_kib = status_kib("VmSize");
    // Addresses that were freed are held, and those of SuperSlabs do not serve large blocks.
    size_t most_kib = (is_hardened() ? 320 : 256) * MIB / KIB;
    for (int round = 0; round < 40; round++) {
        // A hole in a mapping would make two of one. What cannot be unmapped stays and is had
        // again, what could be may be refused from now on.
        drop_random(&random, round % 2 == 0 ? 0 : 32 * MIB);
        fill_half_small(&random, 96 * MIB);
        CHECK(live_bytes >= 32 * MIB);
        for (int tries = 0; tries < 100; tries++) {
            (void)add_entry(random_size(&random, 16, 20));
        }
        CHECK(status_kib("VmSize") <= addresses_kib + most_kib);
    }
    CHECK(munmap(hog, hog_bytes) == 0);
    fill_half_small(&random, 256 * MIB);
    CHECK(live_bytes >= 256 * MIB);
    drop_random(&random, 0);
}

static void no_mapping_left_refuses_and_loses_nothing(void) {
    if (!runs_under_hakmem()) {
        SKIP("only hakmem has again what it could not unmap");
    }
    if (limit_of_mappings() > LIMIT_MOST) {
        SKIP("vm.max_map_count is too high to be used up");
    }
    if (is_hardened()) {
        SKIP("the hardened mode takes and gives up mappings all the time");
    }
    in_child(none_left);
}

CHECK_MAIN(CASE(ten_mib_take_at_most_200_mappings),
           CASE(fragmented_heap_takes_at_most_one_mapping_a_mib),
           CASE(half_a_gib_lives_with_1000_mappings),
           CASE(no_mapping_left_refuses_and_loses_nothing))
