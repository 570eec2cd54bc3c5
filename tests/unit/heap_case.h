/* heap_case.h: what the heap's test programs share. Each case is a child with a fresh hakmem. */
#ifndef HEAP_CASE_H
#define HEAP_CASE_H

#include <pthread.h>

#include "alloc.h"
#include "heap.h"
#include "heap_search.h"
#include "options.h"
#include "pool.h"
#include "report.h"
#include "stats.h"
#include "unit.h"

static inline uint64_t pool_acquisitions(void) {
    return hak_counters.stage1 + hak_counters.stage2 + hak_counters.stage3;
}

static inline uint64_t tallied_at(size_t offset) {
    uint64_t sum = 0;
    for (hak_heap_t *heap = hak_heap_first(); heap != NULL; heap = heap->all_next) {
        sum += hak_tally_read((const uint64_t *)((const char *)&heap->tally + offset));
    }
    return sum;
}

/* By all heaps, and outside of any. */
#define tallied(name) (hak_counters.name + tallied_at(offsetof(hak_tally_t, name)))

static inline hak_slab_t *slab_of(const void *p) {
    return hak_slab_of(p, hak_tag_class(hak_map_tag(p)));
}

static inline hak_shelf_t *own_shelf(size_t size) {
    return &hak_tls_heap->shelves[hak_class_of(size)];
}

static inline hak_bin_t *own_bin(size_t size) {
    return hak_heap_bin(hak_tls_heap, hak_class_of(size));
}

static inline size_t chain_length(const void *block) {
    size_t length = 0;
    for (; block != NULL; block = hak_block_next(block)) {
        length++;
    }
    return length;
}

/* A block of the class, which may be one that serves alignment only. */
static inline void *allocate_of_class(unsigned cls) {
    size_t stride = hak_class_stride(cls);
    return hak_class_of(stride) == cls ? hak_malloc(stride)
                                       : hak_aligned_alloc(stride & -stride, stride);
}

/* In this thread's bins and reserves. */
static inline size_t own_blocks(void) {
    size_t count = 0;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        count += chain_length(hak_heap_bin(hak_tls_heap, cls)->head) +
                 chain_length(hak_bins_reserve(&hak_tls_heap->shelves[cls]));
    }
    return count;
}

static inline hak_figures_t figures(void) {
    hak_figures_t out;
    hak_report_gather(&out);
    return out;
}

/* Each look at the figures is a look at the structures too. */
static inline size_t live_blocks(void) {
    CHECK(hak_heap_is_valid());
    return figures().stats.live_blocks;
}

static inline size_t slots_active(void) {
    hak_pool_gauges_t gauges;
    hak_pool_gauges(&gauges);
    return gauges.slots_active;
}

static inline size_t orphan_count(void) {
    size_t orphans;
    (void)hak_heap_count(&orphans);
    return orphans;
}

/* Runs f(argument) in a thread from its birth to the end of its exit. */
static inline void in_thread(void *(*f)(void *), void *argument) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, f, argument) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* Blocks for a thread to work on. */
typedef struct {
    void **blocks;
    size_t count;
    size_t size;
} work_t;

static inline void *thread_frees(void *argument) {
    const work_t *work = argument;
    for (size_t i = 0; i < work->count; i++) {
        hak_free(work->blocks[i]);
    }
    return NULL;
}

static inline void *thread_allocates(void *argument) {
    const work_t *work = argument;
    for (size_t i = 0; i < work->count; i++) {
        work->blocks[i] = hak_malloc(work->size);
        CHECK(work->blocks[i] != NULL);
        memset(work->blocks[i], 0x5A, work->size);
    }
    return NULL;
}

static inline void allocate(void **blocks, size_t count, size_t size) {
    thread_allocates(&(work_t){blocks, count, size});
}

static inline void release(void **blocks, size_t count) {
    thread_frees(&(work_t){blocks, count, 0});
}

#endif
