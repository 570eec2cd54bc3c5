/* os.h: what hakmem asks of the operating system: one table of functions, one contract.
 *
 * Owns:      the table hak_os. Unit tests replace its entries by ones that fail on demand.
 * Knows not: what the memory is for.
 * Threads:   every function may be called by any thread; the table changes only in tests.
 *
 * Contract of every entry: no allocation, no lock of libc, errno is left alone, no cancellation
 * point. Addresses and sizes are multiples of the page size unless said otherwise.
 */
#ifndef HAK_OS_H
#define HAK_OS_H

#include "base.h"

typedef enum {
    HAK_MAP_OK,
    HAK_MAP_TAKEN, /* something else lives there, or the kernel will not place memory there */
    HAK_MAP_NO_MEMORY,
} hak_map_result_t;

typedef enum { HAK_HUGE_NEVER, HAK_HUGE_PLEASE } hak_huge_t;

typedef struct {
    /* Fresh zero memory exactly at addr. */
    hak_map_result_t (*map_at)(void *addr, size_t bytes);
    /* Fresh zero memory anywhere, or NULL. */
    void *(*map)(size_t bytes);
    bool (*unmap)(void *addr, size_t bytes);
    /* Gives the pages back, keeps the addresses. True when the range reads as zero afterwards;
     * false (locked memory, a filter on system calls) leaves the contents as they were or not. */
    bool (*purge)(void *addr, size_t bytes);
    /* Moves the pages of from to to, whose own pages are dropped; from stays mapped and reads as
     * zero. Both within one mapping each. False leaves from as it was; to may have lost its pages.
     */
    bool (*move)(void *from, void *to, size_t bytes);
    /* Makes the range resident, its contents unchanged, for less than a fault for each page costs.
     */
    bool (*populate)(void *addr, size_t bytes);
    void (*huge_pages)(void *addr, size_t bytes, hak_huge_t wish);
    /* Whether the pages may be read and written, or not be touched at all; their contents stay.
     * False (a limit of mappings, memory that must be promised) leaves them as they were. */
    bool (*protect)(void *addr, size_t bytes, bool accessible);
    size_t (*mappings_max)(void); /* that the process may have; 0 when unknown */
    uint32_t (*now_ms)(void);     /* monotonic, by ticks of 1 to 10; wraps after 49 days */
    uint32_t (*now_us)(void);     /* monotonic; wraps after 71 minutes */
    uint32_t (*cpu)(void);        /* on which the caller runs, a moment ago; 0 when unknown */
    void (*wait)(void *word, uint32_t while_value);
    void (*wake_one)(void *word);
    /* Writes all of it, as far as the system lets it. */
    void (*write)(int fd, const char *text, size_t bytes);
} hak_os_t;

extern hak_os_t hak_os;

/* What the process was given at its start. */
typedef struct {
    size_t page_bytes;
    size_t memory_bytes;        /* physical; 0 when unknown */
    size_t address_limit_bytes; /* RLIMIT_AS, SIZE_MAX without one */
} hak_os_facts_t;

void hak_os_read_facts(hak_os_facts_t *facts);
/* setuid and the like: the environment is not to be believed. */
bool hak_os_is_secure(void);
/* size unpredictable bytes, as good as the system gives without waiting. */
void hak_os_random(void *out, size_t size);
/* Calls visit for each NAME=value of the environment; works before libc has set up its own. */
void hak_os_each_env(void (*visit)(const char *entry));
bool hak_os_huge_pages_by_default(void);
int hak_os_process_id(void);
/* All signals of the calling thread that can be blocked, for good. */
void hak_os_block_signals(void);
/* Lets look() see each address whose access ends the program by SIGSEGV or SIGBUS, first; when it
 * returns, the program ends as it would have. Nothing happens where the program has a handler of
 * its own. look() runs in the signal handler. */
void hak_os_catch_faults(void (*look)(const void *address));
/* Of the calling thread; not 0, below 2^31, and no other living thread's. */
uint32_t hak_os_thread_id(void);
/* -1: there is none. */
int hak_os_open_for_reading(const char *path);
/* 0 at its end. */
size_t hak_os_read(int fd, char *text, size_t capacity);
int hak_os_open_for_writing(const char *path);
/* Writes go to the end of it; fresh: what it held is gone. */
int hak_os_open_for_appending(const char *path, bool fresh);
/* Of the process, resident; 0 when unknown. */
size_t hak_os_resident_bytes(void);
/* Its path, without a final 0; returns its length, or 0 when it is unknown or does not fit. */
size_t hak_os_working_directory(char *path, size_t capacity);
/* A new file, of this user alone, in the place of one of that name, as shared memory; NULL when
 * that cannot be. */
void *hak_os_share(const char *path, size_t bytes);
void hak_os_remove(const char *path);
/* A second descriptor for the same file, which outlives programs that close theirs before the end.
 */
int hak_os_keep_open(int fd);
void hak_os_close(int fd);

#endif
