/* fake_os.h: an operating system that counts its calls, fails on demand and tells any time.
 *
 * Owns:      wrappers around the entries of hak_os, and what they are told to do. Header-only.
 * Knows not: who calls and why.
 * Threads:   counts are atomic; failures and the clock are set while one thread runs.
 *
 * fake_os_fail(entry, n, rest): the nth call from now on fails, and with rest every later one too.
 * FAKE_ANY counts the calls of all entries that can fail, in the order in which they come.
 */
#ifndef FAKE_OS_H
#define FAKE_OS_H

#include "atomic.h"
#include "os.h"
#include "unit.h"

typedef enum {
    FAKE_MAP_AT,
    FAKE_MAP,
    FAKE_UNMAP,
    FAKE_PURGE,
    FAKE_MOVE,
    FAKE_POPULATE,
    FAKE_PROTECT,
    FAKE_ANY,
    FAKE_ENTRIES
} fake_entry_t;

static struct {
    hak_os_t real;
    bool installed;
    _Atomic unsigned calls[FAKE_ENTRIES];
    unsigned fail_first[FAKE_ENTRIES]; /* 0: never */
    unsigned fail_last[FAKE_ENTRIES];
    hak_map_result_t map_at_failure;
    unsigned huge_wishes[HAK_HUGE_PLEASE + 1]; /* calls, by what was wished for */
    size_t mappings_max; /* 0: the real system's */
    bool own_clock;
    uint32_t now_ms;
    _Atomic uint32_t now_us;
    uint32_t populate_us; /* by so much each populate moves it on, and works; 0: the real clock */
    char text[65536]; /* what was written, ended by 0 */
    size_t text_bytes;
    unsigned writes;
    int last_fd;
} fake_os;

static inline bool fake_os_is_due(fake_entry_t entry) {
    unsigned call = hak_add_relaxed(&fake_os.calls[entry], 1) + 1;
    unsigned first = fake_os.fail_first[entry];
    return first != 0 && call >= first && call <= fake_os.fail_last[entry];
}

static inline bool fake_os_fails(fake_entry_t entry) {
    bool any = fake_os_is_due(FAKE_ANY);
    return fake_os_is_due(entry) || any;
}

static inline hak_map_result_t fake_os_map_at(void *addr, size_t bytes) {
    return fake_os_fails(FAKE_MAP_AT) ? fake_os.map_at_failure : fake_os.real.map_at(addr, bytes);
}

static inline void *fake_os_map(size_t bytes) {
    return fake_os_fails(FAKE_MAP) ? NULL : fake_os.real.map(bytes);
}

static inline bool fake_os_unmap(void *addr, size_t bytes) {
    return !fake_os_fails(FAKE_UNMAP) && fake_os.real.unmap(addr, bytes);
}

static inline bool fake_os_purge(void *addr, size_t bytes) {
    return !fake_os_fails(FAKE_PURGE) && fake_os.real.purge(addr, bytes);
}

/* A target loses its pages, as under kernels that find out late that they cannot move. */
static inline bool fake_os_move(void *from, void *to, size_t bytes) {
    if (fake_os_fails(FAKE_MOVE)) {
        (void)fake_os.real.purge(to, bytes);
        return false;
    }
    return fake_os.real.move(from, to, bytes);
}

static inline bool fake_os_populate(void *addr, size_t bytes) {
    (void)hak_add_relaxed(&fake_os.now_us, fake_os.populate_us);
    return !fake_os_fails(FAKE_POPULATE) &&
           (fake_os.real.populate(addr, bytes) || fake_os.populate_us != 0);
}

static inline void fake_os_huge_pages(void *addr, size_t bytes, hak_huge_t wish) {
    fake_os.huge_wishes[wish]++;
    fake_os.real.huge_pages(addr, bytes, wish);
}

static inline bool fake_os_protect(void *addr, size_t bytes, bool accessible) {
    return !fake_os_fails(FAKE_PROTECT) && fake_os.real.protect(addr, bytes, accessible);
}

static inline size_t fake_os_mappings_max(void) {
    return fake_os.mappings_max != 0 ? fake_os.mappings_max : fake_os.real.mappings_max();
}

static inline uint32_t fake_os_now_ms(void) {
    return fake_os.own_clock ? fake_os.now_ms : fake_os.real.now_ms();
}

static inline uint32_t fake_os_now_us(void) {
    return fake_os.populate_us != 0 ? hak_load_relaxed(&fake_os.now_us) : fake_os.real.now_us();
}

/* The processor that the thread is told it runs on, plus one; 0: the one that it does run on. */
static _Thread_local uint32_t fake_os_cpu_plus_one __attribute__((unused));

static inline uint32_t fake_os_cpu(void) {
    return fake_os_cpu_plus_one != 0 ? fake_os_cpu_plus_one - 1 : fake_os.real.cpu();
}

static inline void fake_os_write(int fd, const char *text, size_t bytes) {
    size_t room = sizeof fake_os.text - 1 - fake_os.text_bytes;
    size_t kept = bytes < room ? bytes : room;
    memcpy(fake_os.text + fake_os.text_bytes, text, kept);
    fake_os.text_bytes += kept;
    fake_os.text[fake_os.text_bytes] = '\0';
    fake_os.writes++;
    fake_os.last_fd = fd;
}

/* Nothing fails any more, all counts are 0, nothing was written. The clock keeps its time. */
static inline void fake_os_reset(void) {
    for (int i = 0; i < FAKE_ENTRIES; i++) {
        hak_store_relaxed(&fake_os.calls[i], 0);
        fake_os.fail_first[i] = 0;
    }
    fake_os.map_at_failure = HAK_MAP_NO_MEMORY;
    fake_os.populate_us = 0;
    fake_os.huge_wishes[HAK_HUGE_NEVER] = fake_os.huge_wishes[HAK_HUGE_PLEASE] = 0;
    fake_os.text[0] = '\0';
    fake_os.text_bytes = 0;
    fake_os.writes = 0;
}

/* Writes still go to the real system; see fake_os_capture(). */
static inline void fake_os_install(void) {
    if (!fake_os.installed) {
        fake_os.installed = true;
        fake_os.real = hak_os;
        hak_os.map_at = fake_os_map_at;
        hak_os.map = fake_os_map;
        hak_os.unmap = fake_os_unmap;
        hak_os.purge = fake_os_purge;
        hak_os.move = fake_os_move;
        hak_os.populate = fake_os_populate;
        hak_os.huge_pages = fake_os_huge_pages;
        hak_os.protect = fake_os_protect;
        hak_os.mappings_max = fake_os_mappings_max;
        hak_os.now_ms = fake_os_now_ms;
        hak_os.now_us = fake_os_now_us;
        hak_os.cpu = fake_os_cpu;
    }
    fake_os_reset();
}

static inline void fake_os_capture(bool on) {
    hak_os.write = on ? fake_os_write : fake_os.real.write;
}

static inline void fake_os_set_clock(uint32_t now_ms) {
    fake_os.own_clock = true;
    fake_os.now_ms = now_ms;
}

/* Calls first to last from now on fail; none when first is 0. */
static inline void fake_os_fail_range(fake_entry_t entry, unsigned first, unsigned last) {
    hak_store_relaxed(&fake_os.calls[entry], 0);
    fake_os.fail_first[entry] = first;
    fake_os.fail_last[entry] = last;
}

static inline void fake_os_fail(fake_entry_t entry, unsigned nth, bool rest) {
    fake_os_fail_range(entry, nth, rest ? UINT32_MAX : nth);
}

static inline unsigned fake_os_calls(fake_entry_t entry) {
    return hak_load_relaxed(&fake_os.calls[entry]);
}

#endif
