/* override.c: the C symbols by which programs reach hakmem.
 *
 * Owns:      the names, with glibc's signatures and man page behaviour.
 * Threads:   as alloc.h.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "alloc_fast.h"
#include "foreign.h"
#include "hakmem.h"
#include "harden.h"
#include "os.h"
#include "report.h"
#include "sample.h"
#include "tick.h"
#include "walk.h"

HAK_EXPORT void *malloc(size_t size) {
    return hak_alloc_fast(size, hak_malloc_miss);
}

HAK_EXPORT void free(void *p) {
    hak_free_fast(p);
}

HAK_EXPORT void *calloc(size_t count, size_t size) {
    return hak_calloc(count, size);
}

HAK_EXPORT void *realloc(void *p, size_t size) {
    return hak_realloc(p, size);
}

HAK_EXPORT void *reallocarray(void *p, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return hak_realloc(p, bytes);
}

HAK_EXPORT void *aligned_alloc(size_t align, size_t size) {
    return hak_aligned_alloc(align, size);
}

/* glibc: an alignment that is no power of two is rounded up to one. */
HAK_EXPORT void *memalign(size_t align, size_t size) {
    if (align > HAK_SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    size_t power = HAK_ALIGNMENT;
    while (power < align) {
        power *= 2;
    }
    return hak_aligned_alloc(power, size);
}

HAK_EXPORT int posix_memalign(void **out, size_t align, size_t size) {
    if (!hak_is_power_of_two(align) || align % sizeof(void *) != 0) {
        return EINVAL;
    }
    int saved = errno;
    void *block = hak_alloc_aligned(size, align);
    errno = saved;
    if (block == NULL) {
        return ENOMEM;
    }
    *out = block;
    return 0;
}

static size_t page_bytes(void) {
    hak_os_facts_t facts;
    if (hak_map.page_bytes != 0) {
        return hak_map.page_bytes;
    }
    hak_os_read_facts(&facts);
    return facts.page_bytes;
}

HAK_EXPORT void *valloc(size_t size) {
    return hak_aligned_alloc(page_bytes(), size);
}

HAK_EXPORT void *pvalloc(size_t size) {
    size_t page = page_bytes();
    if (size > HAK_SIZE_MAX - page) {
        errno = ENOMEM;
        return NULL;
    }
    return hak_aligned_alloc(page, hak_round_up(hak_max(size, 1), page));
}

HAK_EXPORT size_t malloc_usable_size(void *p) {
    return hak_usable_size(p);
}

HAK_EXPORT void cfree(void *p);
HAK_EXPORT void cfree(void *p) {
    hak_free_fast(p);
}

/* C23: the sizes are promises of the caller; the checks of free() need none of them, the hardened
 * mode compares. */
HAK_EXPORT void free_sized(void *p, size_t size);
HAK_EXPORT void free_sized(void *p, size_t size) {
    hak_free_fast_by(p, HAK_BY_MALLOC, size);
}

HAK_EXPORT void free_aligned_sized(void *p, size_t align, size_t size);
HAK_EXPORT void free_aligned_sized(void *p, size_t align, size_t size) {
    (void)align;
    hak_free_fast_by(p, HAK_BY_MALLOC, size);
}

/* ---- Looking inside -------------------------------------------------------------------------- */

HAK_EXPORT struct mallinfo2 mallinfo2(void) {
    hak_figures_t figures;
    hak_report_gather(&figures);
    const hak_stats_t *s = &figures.stats;
    size_t free_bytes = s->free_bytes + s->bin_bytes + s->queued_bytes;
    return (struct mallinfo2){
        .arena = s->slots_active * HAK_SLOT_BYTES,
        .ordblks = 1,
        .smblks = 0,
        .hblks = s->large_blocks,
        .hblkhd = s->large_bytes,
        .usmblks = 0,
        .fsmblks = s->bin_bytes,
        .uordblks = s->live_bytes,
        .fordblks = free_bytes,
        .keepcost = s->retained_bytes,
    };
}

static int clip(size_t n) {
    return n > INT32_MAX ? INT32_MAX : (int)n;
}

/* The fields of the old structure are ints; what does not fit says INT_MAX rather than wrap. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
HAK_EXPORT struct mallinfo mallinfo(void) {
    struct mallinfo2 wide = mallinfo2();
    return (struct mallinfo){
        .arena = clip(wide.arena),
        .ordblks = clip(wide.ordblks),
        .hblks = clip(wide.hblks),
        .hblkhd = clip(wide.hblkhd),
        .fsmblks = clip(wide.fsmblks),
        .uordblks = clip(wide.uordblks),
        .fordblks = clip(wide.fordblks),
        .keepcost = clip(wide.keepcost),
    };
}
#pragma GCC diagnostic pop

/* glibc's parameters steer glibc's design. Accepted, so that programs that set them go on. */
HAK_EXPORT int mallopt(int parameter, int value) {
    (void)parameter;
    (void)value;
    return 1;
}

/* pad: bytes at the top of glibc's heap; there is no such top here. */
HAK_EXPORT int malloc_trim(size_t pad) {
    (void)pad;
    return hak_trim_all();
}

HAK_EXPORT void malloc_stats(void) {
    hak_report_text(2);
}

HAK_EXPORT int malloc_info(int options, FILE *stream) {
    if (options != 0 || stream == NULL) {
        return EINVAL;
    }
    hak_report_xml(stream);
    return 0;
}

/* ---- Names that programs found in glibc ------------------------------------------------------ */

void *__libc_malloc(size_t size) HAK_ALIAS(malloc);
void __libc_free(void *p) HAK_ALIAS(free);
void __libc_cfree(void *p) HAK_ALIAS(free);
void *__libc_calloc(size_t count, size_t size) HAK_ALIAS(calloc);
void *__libc_realloc(void *p, size_t size) HAK_ALIAS(realloc);
void *__libc_reallocarray(void *p, size_t count, size_t size) HAK_ALIAS(reallocarray);
void *__libc_memalign(size_t align, size_t size) HAK_ALIAS(memalign);
void *__libc_valloc(size_t size) HAK_ALIAS(valloc);
void *__libc_pvalloc(size_t size) HAK_ALIAS(pvalloc);
int __posix_memalign(void **out, size_t align, size_t size) HAK_ALIAS(posix_memalign);

/* ---- hakmem's own ---------------------------------------------------------------------------- */

HAK_EXPORT const char *hak_version(void) {
    return HAK_VERSION;
}

HAK_EXPORT int hak_trim(void) {
    return hak_trim_all();
}

HAK_EXPORT int hak_stats_get(hak_stats_t *out) {
    if (out == NULL || out->struct_bytes == 0) {
        return -1;
    }
    hak_figures_t figures;
    hak_report_gather(&figures);
    size_t bytes = hak_min(out->struct_bytes, sizeof figures.stats);
    figures.stats.struct_bytes = bytes;
    __builtin_memcpy(out, &figures.stats, bytes);
    return 0;
}

HAK_EXPORT void hak_stats_print(int fd) {
    hak_report_text(fd);
}

HAK_EXPORT void hak_stats_json(int fd) {
    hak_report_json(fd);
}

HAK_EXPORT int hak_heap_visit(int (*callback)(const hak_visit_t *what, void *arg), void *arg) {
    return hak_walk(callback, arg);
}

HAK_EXPORT size_t hak_check(void) {
    return hak_harden_check();
}

__attribute__((constructor)) static void at_load(void) {
    hak_foreign_free = hak_libc_free;
    hak_foreign_size = hak_libc_size;
    /* Only who asks for something pays for a start before the first allocation. */
    static const char *const names[] = {"HAKMEM_STATS",  "HAKMEM_LEAKS",
                                        "HAKMEM_HELP",   "HAKMEM_VERBOSE",
                                        "HAKMEM_LIVE",   "HAKMEM_STATS_INTERVAL_MS",
                                        "HAKMEM_HARDEN", "HAKMEM_GUARD_SAMPLE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (getenv(names[i]) != NULL) {
            free(malloc(1));
            hak_sample_start_stacks();
            hak_report_prepare_exit();
            return;
        }
    }
}

__attribute__((destructor)) static void at_exit(void) {
    (void)hak_harden_check();
    hak_tick_at_exit();
    hak_report_at_exit();
}
