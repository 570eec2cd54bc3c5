/* points.h: makes each atomic operation of the core a point at which the model may switch threads.
 *
 * Owns:      the words of C11's <stdatomic.h> in the model's build. The compiler is told to include
 *            this file before each source of the core (-include), so src/ knows nothing of it and
 *            the library that everyone runs is not touched.
 * Knows not: what is modelled, or how threads are chosen (scheduler.c).
 * Threads:   the model's threads are coroutines of one real thread. So plain loads and stores will
 *            do for the operations themselves, each being one step that nothing interrupts.
 *
 * Taking a lock is one step that waits until the lock is free, releasing it another, instead of
 * the compare-and-swap, the spinning and the sleeping behind them; lock.c itself is modelled by
 * a scenario of its own, in which these two macros do nothing.
 */
#ifndef MODEL_POINTS_H
#define MODEL_POINTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    POINT_START, /* a thread that has not come to its first operation */
    POINT_LOAD,
    POINT_STORE,
    POINT_UPDATE, /* reads and writes */
    POINT_CAS,    /* writes, or reads only */
    POINT_LOCK,   /* waits */
    POINT_UNLOCK,
    POINT_SLEEP, /* of a futex */
    POINT_AWAKE,
    POINT_WAKE,
    POINT_FENCE, /* between two stores that only a fork can come between */
    POINT_FORK, /* the end of all other threads: independent of nothing */
    POINT_NOTE, /* no operation: a line for whoever reads the schedule */
} point_kind_t;

/* Before an operation on *var: returns when the thread is to perform it. name: what the source
 * calls it, in the function. */
void point_before(point_kind_t kind, const volatile void *var, unsigned bytes, const char *name,
                  const char *func);
/* Right after it. */
void point_after(bool wrote);
void point_fence(const char *func);
void point_name(const volatile void *word, const char *name);
void point_lock(const volatile void *word, const char *name, const char *func);
void point_unlock(const volatile void *word, const char *func);

/* The type of *p without _Atomic. */
#define POINT_TYPE(p) __typeof__((void)0, *(p))

#undef atomic_load_explicit
#define atomic_load_explicit(p, order)                                                             \
    __extension__({                                                                                \
        __auto_type point_p = (p);                                                                 \
        point_before(POINT_LOAD, point_p, sizeof *point_p, #p, __func__);                              \
        POINT_TYPE(point_p) point_seen = *point_p;                                                 \
        point_after(false);                                                                        \
        point_seen;                                                                                \
    })

#undef atomic_store_explicit
#define atomic_store_explicit(p, v, order)                                                         \
    __extension__({                                                                                \
        __auto_type point_p = (p);                                                                 \
        POINT_TYPE(point_p) point_v = (v);                                                         \
        point_before(POINT_STORE, point_p, sizeof *point_p, #p, __func__);                             \
        *point_p = point_v;                                                                        \
        point_after(true);                                                                         \
    })

/* point_new: an expression of point_seen, what was there, and point_v. */
#define POINT_UPDATE_BY(p, v, point_new)                                                           \
    __extension__({                                                                                \
        __auto_type point_p = (p);                                                                 \
        POINT_TYPE(point_p) point_v = (v);                                                         \
        point_before(POINT_UPDATE, point_p, sizeof *point_p, #p, __func__);                            \
        POINT_TYPE(point_p) point_seen = *point_p;                                                 \
        *point_p = (POINT_TYPE(point_p))(point_new);                                               \
        point_after(true);                                                                         \
        point_seen;                                                                                \
    })

#undef atomic_exchange_explicit
#define atomic_exchange_explicit(p, v, order) POINT_UPDATE_BY(p, v, point_v)
#undef atomic_fetch_add_explicit
#define atomic_fetch_add_explicit(p, v, order) POINT_UPDATE_BY(p, v, point_seen + point_v)
#undef atomic_fetch_sub_explicit
#define atomic_fetch_sub_explicit(p, v, order) POINT_UPDATE_BY(p, v, point_seen - point_v)
#undef atomic_fetch_or_explicit
#define atomic_fetch_or_explicit(p, v, order) POINT_UPDATE_BY(p, v, point_seen | point_v)
#undef atomic_fetch_and_explicit
#define atomic_fetch_and_explicit(p, v, order) POINT_UPDATE_BY(p, v, point_seen & point_v)

/* A weak one that fails without a cause only makes its loop turn once more: not modelled. */
#undef atomic_compare_exchange_strong_explicit
#define atomic_compare_exchange_strong_explicit(p, expected, v, order, failed)                     \
    __extension__({                                                                                \
        __auto_type point_p = (p);                                                                 \
        __auto_type point_e = (expected);                                                          \
        POINT_TYPE(point_p) point_v = (v);                                                         \
        point_before(POINT_CAS, point_p, sizeof *point_p, #p, __func__);                               \
        POINT_TYPE(point_p) point_seen = *point_p;                                                 \
        bool point_same = point_seen == *point_e;                                                  \
        if (point_same) {                                                                          \
            *point_p = point_v;                                                                    \
        } else {                                                                                   \
            *point_e = point_seen;                                                                 \
        }                                                                                          \
        point_after(point_same);                                                                   \
        point_same;                                                                                \
    })
#undef atomic_compare_exchange_weak_explicit
#define atomic_compare_exchange_weak_explicit atomic_compare_exchange_strong_explicit

#undef atomic_signal_fence
#define atomic_signal_fence(order) point_fence(__func__)

/* What the core does not use must not slip in unseen. */
#undef atomic_load
#undef atomic_store
#undef atomic_exchange
#undef atomic_fetch_add
#undef atomic_fetch_sub
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_weak
#pragma GCC poison atomic_load atomic_store atomic_exchange atomic_fetch_add atomic_fetch_sub
#pragma GCC poison atomic_compare_exchange_strong atomic_compare_exchange_weak

#include "lock.h"

#define hak_lock(lock) (point_lock(&(lock)->word, #lock, __func__), (hak_lock)(lock))
#define hak_lock_try(lock) (point_name(&(lock)->word, #lock), (hak_lock_try)(lock))
#define hak_unlock(lock) (point_unlock(&(lock)->word, __func__), (hak_unlock)(lock))

#endif
