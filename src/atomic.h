/* atomic.h: the only names by which hakmem orders memory.
 *
 * Owns:      short names for C11's atomics, one for each order that is in use.
 * Knows not: what is being ordered; each use says what it pairs with.
 * Threads:   everything here may be called by any thread.
 */
#ifndef HAK_ATOMIC_H
#define HAK_ATOMIC_H

#include <stdatomic.h>

#include "base.h"

#define hak_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define hak_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define hak_load_seq(p) atomic_load_explicit((p), memory_order_seq_cst)
#define hak_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define hak_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define hak_store_seq(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)
#define hak_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define hak_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define hak_or_relaxed(p, v) atomic_fetch_or_explicit((p), (v), memory_order_relaxed)
#define hak_exchange_acquire(p, v) atomic_exchange_explicit((p), (v), memory_order_acquire)
#define hak_exchange_release(p, v) atomic_exchange_explicit((p), (v), memory_order_release)
#define hak_exchange_seq(p, v) atomic_exchange_explicit((p), (v), memory_order_seq_cst)
#define hak_cas_acquire(p, expected, v)                                                            \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acquire,            \
                                            memory_order_relaxed)
#define hak_cas_relaxed(p, expected, v)                                                            \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_relaxed,            \
                                            memory_order_relaxed)
#define hak_cas_weak_release(p, expected, v)                                                       \
    atomic_compare_exchange_weak_explicit((p), (expected), (v), memory_order_release,              \
                                          memory_order_relaxed)
#define hak_cas_weak_seq(p, expected, v)                                                           \
    atomic_compare_exchange_weak_explicit((p), (expected), (v), memory_order_seq_cst,              \
                                          memory_order_relaxed)

/* Stores after it are seen after stores before it; loads before it come before loads after it. The
 * thread sanitizer knows no fences; what they guard is no race that it could see. */
#if defined(__SANITIZE_THREAD__)
#define hak_fence_release() atomic_signal_fence(memory_order_release)
#define hak_fence_acquire() atomic_signal_fence(memory_order_acquire)
#else
#define hak_fence_release() atomic_thread_fence(memory_order_release)
#define hak_fence_acquire() atomic_thread_fence(memory_order_acquire)
#endif

/* Keeps the compiler from moving stores across, for who stops or interrupts this thread. Costs no
 * instruction. */
#define hak_signal_fence() atomic_signal_fence(memory_order_seq_cst)

/* Out of a field of this thread, in one instruction as seen by a signal handler; no order for other
 * threads. The second only if it is the expected pointer. */
HAK_INLINE void *hak_take(void **field) {
    return __atomic_exchange_n(field, NULL, __ATOMIC_RELAXED);
}

HAK_INLINE bool hak_swap_if(void **field, void *expected, void *wish) {
    return __atomic_compare_exchange_n(field, &expected, wish, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
}

HAK_INLINE bool hak_take_if(void **field, void *expected) {
    return hak_swap_if(field, expected, NULL);
}

HAK_INLINE void hak_cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
