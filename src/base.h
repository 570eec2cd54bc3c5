/* base.h: compiler attributes, branch hints, alignment arithmetic and the assert ladder.
 *
 * Owns:      nothing but macros and pure inline functions.
 * Knows not: any other file of hakmem.
 * Threads:   no state.
 */
#ifndef HAK_BASE_H
#define HAK_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HAK_LIKELY(x) __builtin_expect(!!(x), 1)
#define HAK_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define HAK_INLINE static inline __attribute__((always_inline))
#define HAK_NOINLINE __attribute__((noinline))
#define HAK_COLD __attribute__((cold, noinline))
#define HAK_NORETURN __attribute__((noreturn))
/* On declarations of variables that hit paths read: one instruction less than through the GOT. */
#define HAK_HIDDEN __attribute__((visibility("hidden")))
#define HAK_EXPORT __attribute__((visibility("default")))
/* A second exported name for a function, with its attributes where the compiler can copy them. */
#if defined(__clang__)
#define HAK_ALIAS(name) __attribute__((alias(#name), visibility("default")))
#else
#define HAK_ALIAS(name) __attribute__((alias(#name), visibility("default"), copy(name)))
#endif
#define HAK_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define HAK_CACHE_LINE 64
/* The compiler forgets how the pointer was computed, and keeps it rather than compute it anew. */
#define HAK_KEEP(pointer) __asm__("" : "+r"(pointer))

/* The assert ladder. HAK_DEBUG is 0 in the build that everyone runs.
 *   1  HAK_ASSERT            cheap, local conditions
 *   2  HAK_ASSERT_INTERNAL   conditions that read more than what is at hand
 *   3  HAK_ASSERT_EXPENSIVE  walks of whole structures (hak_<module>_is_valid)
 * Checks that protect the user are no asserts: they are code and always on. */
#ifndef HAK_DEBUG
#define HAK_DEBUG 0
#endif

HAK_COLD HAK_NORETURN void hak_assert_failed(const char *condition, const char *file, int line);

#define HAK_ASSERT_AT(level, cond)                                                                 \
    ((HAK_DEBUG >= (level) && !(cond)) ? hak_assert_failed(#cond, __FILE__, __LINE__) : (void)0)
#define HAK_ASSERT(cond) HAK_ASSERT_AT(1, cond)
#define HAK_ASSERT_INTERNAL(cond) HAK_ASSERT_AT(2, cond)
#define HAK_ASSERT_EXPENSIVE(cond) HAK_ASSERT_AT(3, cond)

/* align is a power of two; the caller excludes overflow. */
HAK_INLINE size_t hak_round_up(size_t n, size_t align) {
    return (n + align - 1) & ~(align - 1);
}

HAK_INLINE size_t hak_round_down(size_t n, size_t align) {
    return n & ~(align - 1);
}

/* *word ^= bits; true when it is 0 then. On x86-64 that is one instruction, which sets the flag
 * that the branch reads; compilers make five of it, on the hit path of every allocation. */
HAK_INLINE bool hak_xor_gives_zero(uintptr_t *word, uintptr_t bits) {
#if defined(__x86_64__)
    bool zero;
    __asm__("xorq %2, %1" : "=@ccz"(zero), "+m"(*word) : "r"(bits));
    return zero;
#else
    *word ^= bits;
    return *word == 0;
#endif
}

HAK_INLINE bool hak_is_power_of_two(size_t n) {
    return n != 0 && (n & (n - 1)) == 0;
}

HAK_INLINE size_t hak_min(size_t a, size_t b) {
    return a < b ? a : b;
}

HAK_INLINE size_t hak_max(size_t a, size_t b) {
    return a > b ? a : b;
}

HAK_INLINE size_t hak_clamp(size_t n, size_t low, size_t high) {
    return hak_min(hak_max(n, low), high);
}

#endif
