/* sample.c: see sample.h.
 *
 * Threads:   see sample.h.
 */
#include "sample.h"

#include "canary.h"
#include "chance.h"
#include "guard.h"
#include "heap.h"
#include "options.h"
#include "os.h"
#include "stack.h"
#include "stats.h"

/* A larger block would cost addresses, and its overflows are rare. */
#define SIZE_MOST ((size_t)1 << 20)

bool hak_sampling;

void hak_sample_start(void) {
    hak_canary_init();
    hak_guard_catch_faults();
    hak_sampling = true;
}

void hak_sample_start_stacks(void) {
    if (hak_sampling) {
        hak_stack_start();
    }
}

/* Nothing depends on it but which allocation is next. */
static int64_t draw_gap(hak_heap_t *heap) {
    return (int64_t)((hak_chance_next(&heap->sample_seed) >> 16) %
                     (2 * (uint64_t)hak_options.guard_sample - 1));
}

/* The thread's first: it starts anywhere in a gap. */
static void begin(hak_heap_t *heap) {
    hak_os_random(&heap->sample_seed, sizeof heap->sample_seed);
    heap->sample_seed |= 1;
    heap->sample_left = draw_gap(heap);
}

void *hak_sample(size_t size, size_t align, hak_origin_t origin, unsigned cls) {
    hak_heap_t *heap = hak_heap_get();
    if (heap == NULL) {
        return NULL; /* late in a thread's life */
    }
    if (HAK_UNLIKELY(heap->sample_seed == 0)) {
        begin(heap);
    }
    if (cls < HAK_CLASSES) {
        heap->sample_left -= hak_bins_count_passed(heap, cls);
    }
    if (heap->sample_left > 0 || size > SIZE_MOST) {
        heap->sample_left -= cls == HAK_CLASSES && heap->sample_left > 0;
        return NULL;
    }
    heap->sample_left += draw_gap(heap);
    void *block = hak_guard_alloc(size, align, origin, HAK_GUARD_SAMPLED);
    HAK_COUNT_N(guard_samples, block != NULL);
    return block;
}
