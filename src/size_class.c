/* size_class.c: the tables of size_class.h.
 *
 * Owns:      constant tables, written by macros so that no start-up code runs.
 * Threads:   constant.
 */
#include "size_class.h"

#define CEIL_DIV(a, b) (((a) + (b)-1) / (b))
#define SLOTS_OF(stride)                                                                           \
    ((stride) <= HAK_ONE_SLOT_MAX ? 1 : (stride) <= 2 * HAK_ONE_SLOT_MAX ? 2 : HAK_SLAB_SLOTS_MAX)
#define UNIT_OF(stride) (SLOTS_OF(stride) == 1 ? 1 : HAK_ALIGNMENT)
/* 2^32 / 16 still fits 32 bits, so the smallest stride needs no special case. */
#define INFO(stride)                                                                               \
    {                                                                                              \
        (stride), (uint16_t)(SLOTS_OF(stride) * HAK_SLOT_BYTES / (stride)), SLOTS_OF(stride),      \
            (uint8_t)((stride) < 4096 ? (4096 / (stride) > 128 ? 128 : 4096 / (stride)) : 1),      \
            (uint32_t)CEIL_DIV((uint64_t)1 << 32, (uint64_t)(stride) / UNIT_OF(stride)),           \
            UINT64_MAX / (stride) + 1                                                              \
    }

/* Up to 1 KiB the strides are about the eighths of a doubling. Blocks at multiples of 512 begin on
 * an eighth of a page's cache lines, so on an eighth of the sets of the caches, and looking at the
 * first words of many takes twice the time. So above 256 sizes have no strides that are multiples
 * of 128, but ones 16 wider (896 is left: with 912, a slab's blocks begin on fewer lines still).
 * Those that are, A, are for who asks for alignment. Up to 4 KiB the first stride is little more
 * than the power of two, since that is what programs ask for whose own headers are a few words.
 * Above, an eighth would often hold no more blocks in a slab than the next one: so there each
 * stride is the widest with which a slab has one block more than with the next, 16, 15, 14, ... 8,
 * or a little less where that is a multiple of 64, for who asks for alignment.
 *
 * X(class, stride of the class before that has sizes, stride), A(class, stride) */
#define EACH_CLASS(X, A)                                                                           \
    X(0, 0, 16)                                                                                    \
    X(1, 16, 32)                                                                                   \
    X(2, 32, 48)                                                                                   \
    X(3, 48, 64)                                                                                   \
    X(4, 64, 80)                                                                                   \
    X(5, 80, 96)                                                                                   \
    X(6, 96, 112)                                                                                  \
    X(7, 112, 128)                                                                                 \
    X(8, 128, 144)                                                                                 \
    X(9, 144, 160)                                                                                 \
    X(10, 160, 176)                                                                                \
    X(11, 176, 192)                                                                                \
    X(12, 192, 208)                                                                                \
    X(13, 208, 224)                                                                                \
    X(14, 224, 240)                                                                                \
    X(15, 240, 256)                                                                                \
    X(16, 256, 288)                                                                                \
    X(17, 288, 320)                                                                                \
    X(18, 320, 352)                                                                                \
    A(19, 384)                                                                                     \
    X(20, 352, 400)                                                                                \
    X(21, 400, 416)                                                                                \
    X(22, 416, 448)                                                                                \
    X(23, 448, 480)                                                                                \
    A(24, 512)                                                                                     \
    X(25, 480, 528)                                                                                \
    X(26, 528, 576)                                                                                \
    A(27, 640)                                                                                     \
    X(28, 576, 656)                                                                                \
    X(29, 656, 704)                                                                                \
    A(30, 768)                                                                                     \
    X(31, 704, 784)                                                                                \
    X(32, 784, 832)                                                                                \
    X(33, 832, 896)                                                                                \
    X(34, 896, 960)                                                                                \
    A(35, 1024)                                                                                    \
    X(36, 960, 1040)                                                                               \
    X(37, 1040, 1088)                                                                              \
    X(38, 1088, 1152)                                                                              \
    X(39, 1152, 1280)                                                                              \
    X(40, 1280, 1408)                                                                              \
    X(41, 1408, 1536)                                                                              \
    X(42, 1536, 1664)                                                                              \
    X(43, 1664, 1856)                                                                              \
    X(44, 1856, 2048)                                                                              \
    X(45, 2048, 2112)                                                                              \
    X(46, 2112, 2304)                                                                              \
    X(47, 2304, 2560)                                                                              \
    X(48, 2560, 2816)                                                                              \
    X(49, 2816, 3072)                                                                              \
    X(50, 3072, 3392)                                                                              \
    X(51, 3392, 3776)                                                                              \
    X(52, 3776, 4096)                                                                              \
    X(53, 4096, 4368)                                                                              \
    X(54, 4368, 4672)                                                                              \
    X(55, 4672, 4992)                                                                              \
    X(56, 4992, 5440)                                                                              \
    X(57, 5440, 5952)                                                                              \
    X(58, 5952, 6528)                                                                              \
    X(59, 6528, 7280)                                                                              \
    X(60, 7280, 8192)                                                                              \
    X(61, 8192, 8704)                                                                              \
    X(62, 8704, 9344)                                                                              \
    X(63, 9344, 9984)                                                                              \
    X(64, 9984, 10880)                                                                             \
    X(65, 10880, 11904)                                                                            \
    X(66, 11904, 13056)                                                                            \
    X(67, 13056, 14560)                                                                            \
    X(68, 14560, 16384)                                                                            \
    X(69, 16384, 17408)                                                                            \
    X(70, 17408, 18688)                                                                            \
    X(71, 18688, 19968)                                                                            \
    X(72, 19968, 21760)                                                                            \
    X(73, 21760, 23808)                                                                            \
    X(74, 23808, 26112)                                                                            \
    X(75, 26112, 29120)                                                                            \
    X(76, 29120, 32768)

#define INFO_OF(cls, before, stride) [cls] = INFO(stride),
#define INFO_OF_ALIGNED(cls, stride) [cls] = INFO(stride),
const hak_class_info_t hak_class_info[HAK_CLASSES] = {EACH_CLASS(INFO_OF, INFO_OF_ALIGNED)};

/* A range of one table's elements is written at one go, which ISO C does not know. */
#define SIZES_OF(cls, before, stride) [(before) / 16 + 1 ...(stride) / 16] = (cls),
#define NO_SIZES(cls, stride)
__extension__ const uint8_t hak_class_table[HAK_MID_MAX / 16 + 1] = {
    EACH_CLASS(SIZES_OF, NO_SIZES)};

static bool has_sizes(unsigned cls) {
    return hak_class_of(hak_class_stride(cls)) == cls;
}

size_t hak_class_least(unsigned cls) {
    unsigned before = cls > 1 && !has_sizes(cls - 1) ? cls - 2 : cls - 1;
    return cls == 0 ? 1 : hak_class_stride(before) + 1;
}

unsigned hak_class_of_aligned(size_t size, size_t align) {
    if (size > HAK_MID_MAX || align > HAK_MID_MAX) {
        return HAK_CLASSES;
    }
    /* At most a doubling away: the next power of two is a multiple of every smaller one. */
    size_t least = hak_max(size, align);
    unsigned cls = hak_class_of(least);
    if (cls > 0 && hak_class_stride(cls - 1) >= least) {
        cls--; /* one without sizes */
    }
    while ((hak_class_stride(cls) & (align - 1)) != 0) {
        cls++;
    }
    return cls;
}
