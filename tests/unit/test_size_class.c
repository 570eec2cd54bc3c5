/* test_size_class.c: the tables, by exhaustion. */
#include "size_class.h"

#include "armor_away.h"
#include "unit.h"

/* Those that serve no size, but alignment. */
static bool is_for_alignment(unsigned cls) {
    size_t stride = hak_class_stride(cls);
    return stride > 256 && stride <= HAK_TINY_MAX && stride % 128 == 0 && stride != 896;
}

static void class_of_every_size_is_lowest_that_fits(void **state) {
    (void)state;
    unsigned lowest = 0;
    for (size_t size = 0; size <= HAK_MID_MAX; size++) {
        while (hak_class_info[lowest].stride < size || is_for_alignment(lowest)) {
            lowest++;
        }
        assert_int_equal(hak_class_of(size), lowest);
    }
    assert_int_equal(lowest, HAK_CLASSES - 1);
}

static void class_stride_of_every_class_is_rising_multiple_of_16(void **state) {
    (void)state;
    size_t before = 0;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        assert_int_equal(hak_class_stride(cls) % 16, 0);
        assert_true(hak_class_stride(cls) > before);
        assert_false(cls > 0 && is_for_alignment(cls) && is_for_alignment(cls - 1));
        before = hak_class_stride(cls);
    }
    assert_int_equal(hak_class_stride(0), 16);
    assert_int_equal(before, HAK_MID_MAX);
}

static void class_of_sizes_above_128_wastes_at_most_a_seventh(void **state) {
    (void)state;
    for (size_t size = 1; size <= HAK_MID_MAX; size++) {
        size_t waste = hak_class_stride(hak_class_of(size)) - size;
        if (size > 128) {
            assert_true(waste * 7 <= size);
        } else {
            assert_true(waste < 16);
        }
    }
}

static void class_of_powers_of_two_fits_exactly_or_is_16_wider(void **state) {
    (void)state;
    for (size_t size = 16; size <= HAK_MID_MAX; size *= 2) {
        size_t stride = size == 512 || size == 1024 ? size + 16 : size;
        assert_int_equal(hak_class_stride(hak_class_of(size)), stride);
        assert_int_equal(hak_class_stride(hak_class_of_aligned(size, size)), size);
    }
}

static void class_least_of_every_size_is_not_above_it(void **state) {
    (void)state;
    for (size_t size = 1; size <= HAK_MID_MAX; size++) {
        unsigned cls = hak_class_of(size);
        assert_true(hak_class_least(cls) <= size);
        assert_true(size == 1 || hak_class_of(size - 1) == cls || hak_class_least(cls) == size);
    }
}

static void tiny_classes_are_those_of_tiny_sizes(void **state) {
    (void)state;
    assert_int_equal(hak_class_of(HAK_TINY_MAX), HAK_TINY_CLASSES - 1);
    assert_int_equal(hak_class_stride(HAK_TINY_CLASSES - 1), HAK_AWAY_STRIDE_MAX);
}

/* Or their first words would share a few sets of a cache. */
static void class_of_small_sizes_begins_on_many_lines(void **state) {
    (void)state;
    for (size_t size = 257; size <= HAK_TINY_MAX; size++) {
        size_t stride = hak_class_stride(hak_class_of(size));
        bool lines[4096 / 64] = {false};
        for (size_t i = 0; i < HAK_SLOT_BYTES / stride; i++) {
            lines[i * stride % 4096 / 64] = true;
        }
        unsigned used = 0;
        for (size_t i = 0; i < UNIT_LENGTH(lines); i++) {
            used += lines[i];
        }
        assert_true(used >= 32); /* of 64 */
    }
}

static void class_info_of_every_class_fills_its_slab(void **state) {
    (void)state;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_info_t *info = &hak_class_info[cls];
        size_t bytes = info->slots * HAK_SLOT_BYTES;
        assert_true(info->slots == 1 || info->slots == 2 || info->slots == 4);
        assert_true(info->capacity * (size_t)info->stride <= bytes);
        assert_true((info->capacity + 1) * (size_t)info->stride > bytes);
        assert_true(info->capacity >= 8);
        assert_true((info->slots == 1) == (info->stride <= HAK_ONE_SLOT_MAX));
    }
}

/* A stride with which a slab holds no more blocks than with the next one would be for nothing. */
static void class_info_of_wide_classes_has_a_capacity_of_its_own(void **state) {
    (void)state;
    for (unsigned cls = 1; cls < HAK_CLASSES; cls++) {
        const hak_class_info_t *info = &hak_class_info[cls];
        if (info->stride > 2048 && info->slots == info[-1].slots) {
            assert_true(info->capacity < info[-1].capacity);
        }
    }
    assert_int_equal(hak_class_info[hak_class_of(4368)].capacity, 15);
}

static void class_info_of_every_class_carves_at_most_a_page(void **state) {
    (void)state;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_info_t *info = &hak_class_info[cls];
        assert_true(info->carve >= 1);
        assert_true(info->carve == 1 || info->carve * (size_t)info->stride <= 4096);
    }
}

static void inverse_of_one_slot_classes_accepts_multiples_only(void **state) {
    (void)state;
    unsigned classes = 0;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_info_t *info = &hak_class_info[cls];
        if (info->slots != 1) {
            continue;
        }
        classes++;
        for (uint32_t offset = 0; offset < HAK_SLOT_BYTES; offset++) {
            uint32_t product = offset * info->inverse;
            assert_true((product < info->inverse) == (offset % info->stride == 0));
        }
    }
    assert_int_equal(classes, 61);
}

static void inverse_of_wider_classes_accepts_multiples_only(void **state) {
    (void)state;
    unsigned classes = 0;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_info_t *info = &hak_class_info[cls];
        if (info->slots == 1) {
            continue;
        }
        classes++;
        for (uint32_t offset = 0; offset < info->slots * HAK_SLOT_BYTES; offset += 16) {
            uint32_t product = offset / 16 * info->inverse;
            assert_true((product < info->inverse) == (offset % info->stride == 0));
        }
    }
    assert_int_equal(classes, 16);
}

static void wide_inverse_of_all_classes_accepts_multiples_only(void **state) {
    (void)state;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        const hak_class_info_t *info = &hak_class_info[cls];
        for (uint64_t offset = 0; offset < info->slots * HAK_SLOT_BYTES; offset++) {
            uint64_t product = offset * info->wide_inverse;
            assert_true((product < info->wide_inverse) == (offset % info->stride == 0));
        }
    }
}

static void class_index_of_every_offset_is_its_block(void **state) {
    (void)state;
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        size_t stride = hak_class_stride(cls);
        for (size_t offset = 0; offset < hak_class_info[cls].slots * HAK_SLOT_BYTES; offset++) {
            assert_int_equal(hak_class_index(cls, offset), offset / stride);
        }
    }
}

static unsigned naive_class_of_aligned(size_t size, size_t align) {
    for (unsigned cls = 0; cls < HAK_CLASSES; cls++) {
        if (hak_class_stride(cls) >= size && hak_class_stride(cls) % align == 0) {
            return cls;
        }
    }
    return HAK_CLASSES;
}

static void class_of_aligned_all_sizes_and_alignments_is_lowest_multiple(void **state) {
    (void)state;
    for (size_t align = 1; align <= 65536; align *= 2) {
        for (size_t size = 0; size <= HAK_MID_MAX + 256; size++) {
            assert_int_equal(hak_class_of_aligned(size, align),
                             naive_class_of_aligned(size, align));
        }
    }
}

static void class_of_aligned_huge_arguments_has_no_class(void **state) {
    (void)state;
    assert_int_equal(hak_class_of_aligned(SIZE_MAX, 1), HAK_CLASSES);
    assert_int_equal(hak_class_of_aligned(1, (size_t)1 << 63), HAK_CLASSES);
    assert_int_equal(hak_class_of_aligned(HAK_MID_MAX, HAK_MID_MAX), HAK_CLASSES - 1);
    assert_int_equal(hak_class_of_aligned(HAK_MID_MAX, 2 * HAK_MID_MAX), HAK_CLASSES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(class_of_every_size_is_lowest_that_fits),
        cmocka_unit_test(class_stride_of_every_class_is_rising_multiple_of_16),
        cmocka_unit_test(class_of_sizes_above_128_wastes_at_most_a_seventh),
        cmocka_unit_test(class_of_powers_of_two_fits_exactly_or_is_16_wider),
        cmocka_unit_test(class_of_small_sizes_begins_on_many_lines),
        cmocka_unit_test(class_least_of_every_size_is_not_above_it),
        cmocka_unit_test(tiny_classes_are_those_of_tiny_sizes),
        cmocka_unit_test(class_info_of_every_class_fills_its_slab),
        cmocka_unit_test(class_info_of_wide_classes_has_a_capacity_of_its_own),
        cmocka_unit_test(class_info_of_every_class_carves_at_most_a_page),
        cmocka_unit_test(inverse_of_one_slot_classes_accepts_multiples_only),
        cmocka_unit_test(inverse_of_wider_classes_accepts_multiples_only),
        cmocka_unit_test(wide_inverse_of_all_classes_accepts_multiples_only),
        cmocka_unit_test(class_index_of_every_offset_is_its_block),
        cmocka_unit_test(class_of_aligned_all_sizes_and_alignments_is_lowest_multiple),
        cmocka_unit_test(class_of_aligned_huge_arguments_has_no_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
