/* run_pages.c: see run_pages.h.
 *
 * Threads:   see run_pages.h.
 */
#include "run_pages.h"

#define WORD_BITS 64U

/* Both kinds of bits of 64 pages side by side: so a program of few large blocks touches one page.
 */
typedef enum { RESIDENT, BEGINS, KINDS } kind_t;
typedef uint64_t word_t[KINDS];

/* The window is wide, and a process may be allowed few addresses: bits are made where units are. */
#define CHUNK_WORDS ((size_t)512)
#define CHUNK_PAGES (CHUNK_WORDS * WORD_BITS)

static word_t **chunks; /* const after init; NULL where no unit ever was */
static size_t mappings;

static size_t window_pages(void) {
    return hak_map.unit_count * (HAK_SUPERSLAB_BYTES >> hak_page_shift);
}

bool hak_pages_init(void) {
    if (chunks == NULL) {
        size_t count = window_pages() / CHUNK_PAGES + 1;
        chunks = hak_meta_alloc(count * sizeof *chunks, HAK_CACHE_LINE);
    }
    return chunks != NULL;
}

static uint64_t *word_at(size_t page, kind_t kind) {
    return &chunks[page / CHUNK_PAGES][page / WORD_BITS % CHUNK_WORDS][kind];
}

static size_t page_at(uintptr_t address) {
    return (address - HAK_WINDOW_LOW) >> hak_page_shift;
}

static uintptr_t address_of(size_t page) {
    return HAK_WINDOW_LOW + (page << hak_page_shift);
}

/* Of the word that page lies in, the bits of the pages from page on and before end. */
static uint64_t mask_of(size_t page, size_t end) {
    size_t left = end - page;
    size_t first = page % WORD_BITS;
    uint64_t bits = left < WORD_BITS ? ((uint64_t)1 << left) - 1 : UINT64_MAX;
    return bits << first;
}

static size_t next_word(size_t page) {
    return hak_round_down(page, WORD_BITS) + WORD_BITS;
}

static void set_bit(uintptr_t address, kind_t kind) {
    size_t page = page_at(address);
    uint64_t bit = (uint64_t)1 << page % WORD_BITS;
    if (chunks[page / CHUNK_PAGES] == NULL) { /* behind the last unit */
        return;
    }
    uint64_t *word = word_at(page, kind);
    mappings += kind == BEGINS && (*word & bit) == 0;
    *word |= bit;
}

/* Bits of pages never in use are 0, and stay untouched. */
static void clear(size_t page, size_t end, kind_t kind) {
    for (; page < end; page = next_word(page)) {
        uint64_t *word = word_at(page, kind);
        uint64_t old = *word & mask_of(page, end);
        if (old != 0) {
            mappings -= kind == BEGINS ? (size_t)__builtin_popcountll(old) : 0;
            *word &= ~old;
        }
    }
}

void hak_pages_set(uintptr_t start, size_t pages, bool resident) {
    size_t page = page_at(start);
    size_t end = page + pages;
    if (!resident) {
        clear(page, end, RESIDENT);
        return;
    }
    for (; page < end; page = next_word(page)) {
        *word_at(page, RESIDENT) |= mask_of(page, end);
    }
}

size_t hak_pages_count(uintptr_t start, size_t pages) {
    size_t count = 0;
    size_t page = page_at(start);
    for (size_t end = page + pages; page < end; page = next_word(page)) {
        uint64_t bits = *word_at(page, RESIDENT) & mask_of(page, end);
        count += (size_t)__builtin_popcountll(bits);
    }
    return count;
}

static uintptr_t next_of_kind(uintptr_t at, uintptr_t until, kind_t kind, bool set) {
    size_t page = page_at(at);
    size_t end = page_at(until);
    for (; page < end; page = next_word(page)) {
        uint64_t bits = *word_at(page, kind);
        bits = (set ? bits : ~bits) & mask_of(page, end);
        if (bits != 0) {
            return address_of(hak_round_down(page, WORD_BITS) + (size_t)__builtin_ctzll(bits));
        }
    }
    return until;
}

uintptr_t hak_pages_next(uintptr_t at, uintptr_t end, bool resident) {
    return next_of_kind(at, end, RESIDENT, resident);
}

uintptr_t hak_pages_mapping_end(uintptr_t at, uintptr_t end) {
    return next_of_kind(at + hak_page_bytes(), end, BEGINS, true);
}

/* What lies behind the range begins where it ends. */
void hak_pages_note_moved(uintptr_t start, size_t pages) {
    size_t page = page_at(start);
    clear(page, page + pages, BEGINS);
    set_bit(start, BEGINS);
    set_bit(address_of(page + pages), BEGINS);
}

bool hak_pages_reach(uintptr_t start, size_t pages) {
    if (page_at(start) + pages > window_pages()) {
        return false;
    }
    size_t last = (page_at(start) + pages - 1) / CHUNK_PAGES;
    for (size_t i = page_at(start) / CHUNK_PAGES; i <= last; i++) {
        if (chunks[i] == NULL) {
            chunks[i] = hak_meta_alloc(CHUNK_WORDS * sizeof(word_t), HAK_CACHE_LINE);
        }
        if (chunks[i] == NULL) {
            return false;
        }
    }
    return true;
}

bool hak_pages_add(uintptr_t start, size_t pages) {
    if (!hak_pages_reach(start, pages)) {
        return false;
    }
    clear(page_at(start), page_at(start) + pages, RESIDENT);
    clear(page_at(start) + 1, page_at(start) + pages, BEGINS);
    return true;
}

void hak_pages_drop(uintptr_t start, size_t pages) {
    clear(page_at(start), page_at(start) + pages, RESIDENT);
    clear(page_at(start), page_at(start) + pages, BEGINS);
}

size_t hak_pages_mappings(void) {
    return mappings;
}
