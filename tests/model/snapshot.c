/* snapshot.c: see snapshot.h. */
#include "snapshot.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os.h"
#include "scheduler.h"

#define RANGES_MAX 64
#define DIRTY_MAX 4096
#define TEXT_BYTES 1024

typedef struct {
    char *start;
    size_t bytes;
    char **saved; /* by page: its contents in the snapshot; NULL while it was not written to */
    bool gone;    /* unmapped by the core; no access is lawful */
    bool late;    /* mapped after the snapshot, which knows it as unmapped and zero */
} range_t;

static struct {
    range_t ranges[RANGES_MAX];
    unsigned count;
    size_t page; /* bytes */
    bool taken;
    char *dirty[DIRTY_MAX], *copy[DIRTY_MAX]; /* pages written to, and what they were */
    unsigned dirty_count;
    unsigned gone_count;
    char text[TEXT_BYTES];
    size_t text_bytes;
} *s; /* kept memory, so that the first write to it is no fault */

extern char __data_start[], _end[];

static void die(const char *why) {
    (void)fprintf(stderr, "model: %s\n", why);
    exit(2);
}

void *snapshot_keep(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        die("no memory");
    }
    return memory;
}

/* ---- Pages ----------------------------------------------------------------------------------- */

static void protect(void *start, size_t bytes, int how) {
    if (mprotect(start, bytes, how) != 0) {
        die("mprotect failed");
    }
}

static range_t *add_range(char *start, size_t bytes) {
    if (s->count == RANGES_MAX) {
        die("too many mappings");
    }
    range_t *range = &s->ranges[s->count++];
    *range = (range_t){start, bytes, snapshot_keep(bytes / s->page * sizeof(char *)), false, s->taken};
    if (s->taken) {
        protect(start, bytes, PROT_READ);
    }
    return range;
}

static range_t *find_range(const void *address) {
    for (unsigned i = 0; i < s->count; i++) {
        if ((uintptr_t)address - (uintptr_t)s->ranges[i].start < s->ranges[i].bytes) {
            return &s->ranges[i];
        }
    }
    return NULL;
}

static void save_page(range_t *range, char *page) {
    if (s->dirty_count == DIRTY_MAX) {
        die("too many pages written to");
    }
    char *copy = malloc(s->page);
    memcpy(copy, page, s->page);
    range->saved[(size_t)(page - range->start) / s->page] = copy;
    s->dirty[s->dirty_count] = page;
    s->copy[s->dirty_count++] = copy;
    protect(page, s->page, PROT_READ | PROT_WRITE);
}

bool snapshot_fault(void *address) {
    range_t *range = s->taken ? find_range(address) : NULL;
    char *page = (char *)((uintptr_t)address & ~(s->page - 1));
    if (range == NULL || range->gone || range->saved[(size_t)(page - range->start) / s->page]) {
        return false;
    }
    save_page(range, page);
    return true;
}

void snapshot_take(void) {
    uintptr_t start = (uintptr_t)__data_start & ~(s->page - 1);
    uintptr_t end = ((uintptr_t)_end + s->page - 1) & ~(s->page - 1);
    add_range((char *)start, end - start);
    if (s->gone_count != 0) {
        die("memory was unmapped before the snapshot");
    }
    s->taken = true;
    for (unsigned i = 0; i < s->count; i++) {
        protect(s->ranges[i].start, s->ranges[i].bytes, PROT_READ);
    }
}

/* Readable again, and writable where it was saved. */
static void bring_back(range_t *range) {
    protect(range->start, range->bytes, PROT_READ);
    for (size_t page = 0; page < range->bytes / s->page; page++) {
        if (range->saved[page] != NULL) {
            protect(range->start + page * s->page, s->page, PROT_READ | PROT_WRITE);
        }
    }
    range->gone = false;
    s->gone_count--;
}

void snapshot_restore(void) {
    for (unsigned i = 0; s->gone_count != 0 && i < s->count; i++) {
        if (s->ranges[i].gone) {
            bring_back(&s->ranges[i]);
        }
    }
    for (unsigned i = 0; i < s->dirty_count; i++) {
        memcpy(s->dirty[i], s->copy[i], s->page);
    }
    s->text_bytes = 0;
    s->text[0] = '\0';
}

const char *snapshot_text(void) {
    return s->text;
}

/* ---- The system ------------------------------------------------------------------------------ */

static void make_zero(char *start, size_t bytes) {
    for (uint64_t *word = (uint64_t *)start; word < (uint64_t *)(start + bytes); word++) {
        if (*word != 0) {
            *word = 0;
        }
    }
}

static hak_map_result_t os_map_at(void *address, size_t bytes) {
    range_t *range = find_range(address);
    if (range != NULL) { /* mapped in an earlier run, or unmapped in this one */
        if (range->gone) {
            bring_back(range);
        } else if (!range->late) {
            return HAK_MAP_TAKEN;
        }
        make_zero(range->start, range->bytes);
        return range->start == address && range->bytes == bytes ? HAK_MAP_OK : HAK_MAP_TAKEN;
    }
    void *got = mmap(address, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != address) {
        return HAK_MAP_TAKEN;
    }
    add_range(got, bytes);
    return HAK_MAP_OK;
}

static void *os_map(size_t bytes) {
    if (s->taken) { /* its address would differ from run to run */
        die("metadata is mapped during a run");
    }
    char *start = snapshot_keep(bytes);
    add_range(start, bytes);
    return start;
}

static bool os_unmap(void *address, size_t bytes) {
    range_t *range = find_range(address);
    if (range == NULL || range->start != address || range->bytes != bytes || range->gone) {
        model_fail("memory is unmapped that is not mapped");
    }
    range->gone = true;
    s->gone_count++;
    protect(address, bytes, PROT_NONE);
    return true;
}

static bool os_purge(void *address, size_t bytes) {
    make_zero(address, bytes);
    return true;
}

static bool os_move(void *from, void *to, size_t bytes) {
    (void)from, (void)to, (void)bytes;
    return false;
}

static bool os_populate(void *address, size_t bytes) {
    (void)address, (void)bytes;
    return true;
}

static void os_huge_pages(void *address, size_t bytes, hak_huge_t wish) {
    (void)address, (void)bytes, (void)wish;
}

static uint32_t os_now_ms(void) {
    return 1000; /* time stands still: nothing is decided by age */
}

static void os_write(int fd, const char *text, size_t bytes) {
    (void)fd;
    size_t room = TEXT_BYTES - 1 - s->text_bytes;
    size_t kept = bytes < room ? bytes : room;
    memcpy(s->text + s->text_bytes, text, kept);
    s->text_bytes += kept;
    s->text[s->text_bytes] = '\0';
}

void snapshot_install(void) {
    s = snapshot_keep(sizeof *s);
    s->page = (size_t)sysconf(_SC_PAGESIZE);
    hak_os = (hak_os_t){
        .map_at = os_map_at,
        .map = os_map,
        .unmap = os_unmap,
        .purge = os_purge,
        .move = os_move,
        .populate = os_populate,
        .huge_pages = os_huge_pages,
        .now_ms = os_now_ms,
        .now_us = os_now_ms,
        .wait = sched_sleep,
        .wake_one = sched_wake,
        .write = os_write,
    };
}

/* The same addresses and stamps in every run of the program: -Wl,--wrap. */
void __wrap_hak_os_random(void *out, size_t size);
void __wrap_hak_os_random(void *out, size_t size) {
    for (size_t i = 0; i < size; i++) {
        ((unsigned char *)out)[i] = (unsigned char)(0x5B + 37 * i);
    }
}
