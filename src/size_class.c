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
/* Up to 1 KiB the strides of a doubling are its eighths. Up to 4 KiB the first one is little more
 * than the power of two, since that is what programs ask for whose own headers are a few words.
 * Above, an eighth would often hold no more blocks in a slab than the next one: so there each
 * stride is the widest with which a slab has one block more than with the next, 16, 15, 14, ... 8,
 * or a little less where that is a multiple of 64, for who asks for alignment. */
#define EIGHTHS(X, cls, base)                                                                      \
    X((cls) + 0, (base) / 8 * 8, (base) / 8 * 9)                                                   \
    X((cls) + 1, (base) / 8 * 9, (base) / 8 * 10)                                                  \
    X((cls) + 2, (base) / 8 * 10, (base) / 8 * 11)                                                 \
    X((cls) + 3, (base) / 8 * 11, (base) / 8 * 12)                                                 \
    X((cls) + 4, (base) / 8 * 12, (base) / 8 * 13)                                                 \
    X((cls) + 5, (base) / 8 * 13, (base) / 8 * 14)                                                 \
    X((cls) + 6, (base) / 8 * 14, (base) / 8 * 15)                                                 \
    X((cls) + 7, (base) / 8 * 15, (base) / 8 * 16)

/* X(class, stride of the class before, stride) */
#define EACH_CLASS(X)                                                                              \
    X(0, 0, 16)                                                                                    \
    X(1, 16, 32)                                                                                   \
    X(2, 32, 48)                                                                                   \
    X(3, 48, 64)                                                                                   \
    X(4, 64, 80)                                                                                   \
    X(5, 80, 96)                                                                                   \
    X(6, 96, 112)                                                                                  \
    X(7, 112, 128)                                                                                 \
    EIGHTHS(X, 8, 128)                                                                             \
    EIGHTHS(X, 16, 256)                                                                            \
    EIGHTHS(X, 24, 512)                                                                            \
    X(32, 1024, 1056)                                                                              \
    X(33, 1056, 1152)                                                                              \
    X(34, 1152, 1280)                                                                              \
    X(35, 1280, 1408)                                                                              \
    X(36, 1408, 1536)                                                                              \
    X(37, 1536, 1664)                                                                              \
    X(38, 1664, 1856)                                                                              \
    X(39, 1856, 2048)                                                                              \
    X(40, 2048, 2112)                                                                              \
    X(41, 2112, 2304)                                                                              \
    X(42, 2304, 2560)                                                                              \
    X(43, 2560, 2816)                                                                              \
    X(44, 2816, 3072)                                                                              \
    X(45, 3072, 3392)                                                                              \
    X(46, 3392, 3776)                                                                              \
    X(47, 3776, 4096)                                                                              \
    X(48, 4096, 4368)                                                                              \
    X(49, 4368, 4672)                                                                              \
    X(50, 4672, 4992)                                                                              \
    X(51, 4992, 5440)                                                                              \
    X(52, 5440, 5952)                                                                              \
    X(53, 5952, 6528)                                                                              \
    X(54, 6528, 7280)                                                                              \
    X(55, 7280, 8192)                                                                              \
    X(56, 8192, 8704)                                                                              \
    X(57, 8704, 9344)                                                                              \
    X(58, 9344, 9984)                                                                              \
    X(59, 9984, 10880)                                                                             \
    X(60, 10880, 11904)                                                                            \
    X(61, 11904, 13056)                                                                            \
    X(62, 13056, 14560)                                                                            \
    X(63, 14560, 16384)                                                                            \
    X(64, 16384, 17408)                                                                            \
    X(65, 17408, 18688)                                                                            \
    X(66, 18688, 19968)                                                                            \
    X(67, 19968, 21760)                                                                            \
    X(68, 21760, 23808)                                                                            \
    X(69, 23808, 26112)                                                                            \
    X(70, 26112, 29120)                                                                            \
    X(71, 29120, 32768)

#define INFO_OF(cls, before, stride) [cls] = INFO(stride),
const hak_class_info_t hak_class_info[HAK_CLASSES] = {EACH_CLASS(INFO_OF)};

/* A range of one table's elements is written at one go, which ISO C does not know. */
#define SIZES_OF(cls, before, stride) [(before) / 16 + 1 ...(stride) / 16] = (cls),
__extension__ const uint8_t hak_class_table[HAK_MID_MAX / 16 + 1] = {EACH_CLASS(SIZES_OF)};

unsigned hak_class_of_aligned(size_t size, size_t align) {
    if (size > HAK_MID_MAX || align > HAK_MID_MAX) {
        return HAK_CLASSES;
    }
    /* At most a doubling away: the next power of two is a multiple of every smaller one. */
    unsigned cls = hak_class_of(hak_max(size, align));
    while ((hak_class_stride(cls) & (align - 1)) != 0) {
        cls++;
    }
    return cls;
}
