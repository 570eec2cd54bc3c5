/* size_class.c: the tables of size_class.h.
 *
 * Owns:      constant tables, written by macros so that no start-up code runs.
 * Threads:   constant.
 */
#include "size_class.h"

#define CEIL_DIV(a, b) (((a) + (b)-1) / (b))
#define SLOTS_OF(stride)                                                                           \
    ((stride) <= HAK_ONE_SLOT_MAX ? 1 : (stride) <= 2 * HAK_ONE_SLOT_MAX ? 2 : HAK_SLAB_SLOTS_MAX)
/* 2^32 / 16 still fits 32 bits, so the smallest stride needs no special case. */
#define INFO(stride)                                                                               \
    {                                                                                              \
        (stride), (uint16_t)(SLOTS_OF(stride) * HAK_SLOT_BYTES / (stride)), SLOTS_OF(stride),      \
            (uint8_t)((stride) < 4096 ? (4096 / (stride) > 128 ? 128 : 4096 / (stride)) : 1),      \
            (uint32_t)CEIL_DIV((uint64_t)1 << 32, (uint64_t)(stride)), UINT64_MAX / (stride) + 1   \
    }
#define DOUBLING(base)                                                                             \
    INFO((base) + (base) / 8 * 1), INFO((base) + (base) / 8 * 2), INFO((base) + (base) / 8 * 3),   \
        INFO((base) + (base) / 8 * 4), INFO((base) + (base) / 8 * 5),                              \
        INFO((base) + (base) / 8 * 6), INFO((base) + (base) / 8 * 7), INFO((base)*2)

const hak_class_info_t hak_class_info[HAK_CLASSES] = {
    INFO(16),       INFO(32),       INFO(48),       INFO(64),       INFO(80),      INFO(96),
    INFO(112),      INFO(128),      DOUBLING(128),  DOUBLING(256),  DOUBLING(512), DOUBLING(1024),
    DOUBLING(2048), DOUBLING(4096), DOUBLING(8192), DOUBLING(16384)};

/* n consecutive entries of one class, and the eight classes of a doubling. */
#define X1(c) (c)
#define X2(c) X1(c), X1(c)
#define X4(c) X2(c), X2(c)
#define X8(c) X4(c), X4(c)
#define X16(c) X8(c), X8(c)
#define EIGHT(rep, c)                                                                              \
    rep(c), rep((c) + 1), rep((c) + 2), rep((c) + 3), rep((c) + 4), rep((c) + 5), rep((c) + 6),    \
        rep((c) + 7)

const uint8_t hak_tiny_class_table[HAK_TINY_MAX / 16 + 1] = {0, EIGHT(X1, 0), EIGHT(X1, 8),
                                                             EIGHT(X2, 16), EIGHT(X4, 24)};

const uint8_t hak_mid_class_table[HAK_MID_MAX / 128] = {
    EIGHT(X1, 24), /* not used: sizes up to HAK_TINY_MAX */
    EIGHT(X1, 32), EIGHT(X2, 40), EIGHT(X4, 48), EIGHT(X8, 56), EIGHT(X16, 64)};

unsigned hak_class_of_aligned(size_t size, size_t align) {
    if (size > HAK_MID_MAX || align > HAK_MID_MAX) {
        return HAK_CLASSES;
    }
    /* At most a doubling away: the next power of two is a multiple of every smaller one. */
    for (unsigned cls = hak_class_of(hak_max(size, align)); cls < HAK_CLASSES; cls++) {
        if ((hak_class_stride(cls) & (align - 1)) == 0) {
            return cls;
        }
    }
    return HAK_CLASSES;
}
