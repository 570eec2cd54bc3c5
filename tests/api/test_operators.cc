// The twenty forms of operator new and delete, their new-handler, and bad_alloc.
#include "check.h"

#include <malloc.h>

#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

// clang offers the sized forms only with -fsized-deallocation; they exist either way.
void operator delete(void *p, size_t size) noexcept;
void operator delete[](void *p, size_t size) noexcept;
void operator delete(void *p, size_t size, std::align_val_t alignment) noexcept;
void operator delete[](void *p, size_t size, std::align_val_t alignment) noexcept;

namespace {

struct alignas(256) wide {
    char bytes[512];
};

struct relief {};

const std::align_val_t align_64{64};
const size_t huge = SIZE_MAX / 2;
int handler_calls;

void names_are_served_by_hakmem() {
    static const char *const names[] = {
        "_Znwm",
        "_Znam",
        "_ZnwmRKSt9nothrow_t",
        "_ZnamRKSt9nothrow_t",
        "_ZnwmSt11align_val_t",
        "_ZnamSt11align_val_t",
        "_ZnwmSt11align_val_tRKSt9nothrow_t",
        "_ZnamSt11align_val_tRKSt9nothrow_t",
        "_ZdlPv",
        "_ZdaPv",
        "_ZdlPvm",
        "_ZdaPvm",
        "_ZdlPvRKSt9nothrow_t",
        "_ZdaPvRKSt9nothrow_t",
        "_ZdlPvSt11align_val_t",
        "_ZdaPvSt11align_val_t",
        "_ZdlPvmSt11align_val_t",
        "_ZdaPvmSt11align_val_t",
        "_ZdlPvSt11align_val_tRKSt9nothrow_t",
        "_ZdaPvSt11align_val_tRKSt9nothrow_t",
    };
    if (!runs_under_hakmem()) {
        SKIP("runs under libc's malloc");
    }
    for (const char *name : names) {
        if (!is_served_by_hakmem(name)) {
            check_print(STDERR_FILENO, name);
            check_print(STDERR_FILENO, ": ");
            CHECK(is_served_by_hakmem(name));
        }
    }
}

// Demands a block of `size` bytes at that alignment and fills it.
void *filled(void *p, size_t size, size_t alignment) {
    CHECK(p != nullptr);
    CHECK(is_aligned(p, alignment));
    CHECK(malloc_usable_size(p) >= size);
    pattern_fill(p, size, 1);
    CHECK(pattern_holds(p, size, 1));
    return p;
}

void plain_forms_pair_up() {
    for (size_t n = 0; n <= 4 * MIB; n = n * 2 + 1) {
        ::operator delete(filled(::operator new(n), n, 16));
        ::operator delete(filled(::operator new(n), n, 16), n);
        ::operator delete[](filled(::operator new[](n), n, 16));
        ::operator delete[](filled(::operator new[](n), n, 16), n);
    }
}

void nothrow_forms_pair_up() {
    for (size_t n = 0; n <= 4 * MIB; n = n * 2 + 1) {
        ::operator delete(filled(::operator new(n, std::nothrow), n, 16), std::nothrow);
        ::operator delete[](filled(::operator new[](n, std::nothrow), n, 16), std::nothrow);
    }
}

void aligned_forms_pair_up() {
    for (size_t n = 0; n <= 4 * MIB; n = n * 2 + 1) {
        for (size_t alignment = 16; alignment <= 65536; alignment *= 8) {
            std::align_val_t a{alignment};
            ::operator delete(filled(::operator new(n, a), n, alignment), a);
            ::operator delete(filled(::operator new(n, a), n, alignment), n, a);
            ::operator delete[](filled(::operator new[](n, a), n, alignment), a);
            ::operator delete[](filled(::operator new[](n, a), n, alignment), n, a);
        }
    }
}

void aligned_nothrow_forms_pair_up() {
    const std::nothrow_t &t = std::nothrow;
    for (size_t n = 0; n <= 4 * MIB; n = n * 2 + 1) {
        for (size_t alignment = 16; alignment <= 65536; alignment *= 8) {
            std::align_val_t a{alignment};
            ::operator delete(filled(::operator new(n, a, t), n, alignment), a, t);
            ::operator delete[](filled(::operator new[](n, a, t), n, alignment), a, t);
        }
    }
}

void *null() {
    return opaque_pointer(nullptr);
}

void delete_null_does_nothing() {
    ::operator delete(null());
    ::operator delete(null(), 8);
    ::operator delete(null(), std::nothrow);
    ::operator delete(null(), align_64);
    ::operator delete(null(), 8, align_64);
    ::operator delete(null(), align_64, std::nothrow);
    ::operator delete[](null());
    ::operator delete[](null(), 8);
    ::operator delete[](null(), std::nothrow);
    ::operator delete[](null(), align_64);
    ::operator delete[](null(), 8, align_64);
    ::operator delete[](null(), align_64, std::nothrow);
}

void new_zero_returns_unique_pointers() {
    void *blocks[100];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = i % 2 == 0 ? ::operator new(0) : ::operator new[](0);
        CHECK(blocks[i] != nullptr);
        for (size_t k = 0; k < i; k++) {
            CHECK(blocks[i] != blocks[k]);
        }
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        i % 2 == 0 ? ::operator delete(blocks[i]) : ::operator delete[](blocks[i]);
    }
}

template <typename F> bool throws_bad_alloc(F allocate) {
    try {
        void *volatile p = allocate();
        (void)p;
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

// libstdc++ rounds up to the alignment without a check, and serves 0 bytes for SIZE_MAX.
bool rounds_up(size_t size) {
    return size <= SIZE_MAX - 64 || runs_under_hakmem();
}

void new_huge_throws_bad_alloc() {
    static const size_t sizes[] = {huge, huge + 1, SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 4096};
    for (size_t size : sizes) {
        CHECK(throws_bad_alloc([=] { return ::operator new(opaque(size)); }));
        CHECK(throws_bad_alloc([=] { return ::operator new[](opaque(size)); }));
        if (rounds_up(size)) {
            CHECK(throws_bad_alloc([=] { return ::operator new(opaque(size), align_64); }));
            CHECK(throws_bad_alloc([=] { return ::operator new[](opaque(size), align_64); }));
        }
    }
    CHECK(throws_bad_alloc([] { return new long[opaque(SIZE_MAX / 16)]; }));
}

void nothrow_huge_returns_null() {
    static const size_t sizes[] = {huge, huge + 1, SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 4096};
    for (size_t size : sizes) {
        CHECK(::operator new(opaque(size), std::nothrow) == nullptr);
        CHECK(::operator new[](opaque(size), std::nothrow) == nullptr);
        if (rounds_up(size)) {
            CHECK(::operator new(opaque(size), align_64, std::nothrow) == nullptr);
            CHECK(::operator new[](opaque(size), align_64, std::nothrow) == nullptr);
        }
    }
}

// Gives up at the third call, as a handler does that has nothing left to release.
void give_up_at_third_call() {
    handler_calls++;
    if (handler_calls == 3) {
        std::set_new_handler(nullptr);
    }
}

void new_handler_is_called_until_it_is_gone() {
    handler_calls = 0;
    std::set_new_handler(give_up_at_third_call);
    CHECK(throws_bad_alloc([] { return ::operator new(opaque(huge)); }));
    CHECK(handler_calls == 3);
    handler_calls = 0;
    std::set_new_handler(give_up_at_third_call);
    CHECK(throws_bad_alloc([] { return ::operator new[](opaque(huge), align_64); }));
    CHECK(handler_calls == 3);
}

void new_handler_is_called_by_nothrow_forms() {
    handler_calls = 0;
    std::set_new_handler(give_up_at_third_call);
    CHECK(::operator new(opaque(huge), std::nothrow) == nullptr);
    CHECK(handler_calls == 3);
    handler_calls = 0;
    std::set_new_handler(give_up_at_third_call);
    CHECK(::operator new[](opaque(huge), align_64, std::nothrow) == nullptr);
    CHECK(handler_calls == 3);
}

void throw_relief() {
    throw relief();
}

void throw_bad_alloc() {
    throw std::bad_alloc();
}

void new_handler_may_throw_its_own() {
    bool caught = false;
    std::set_new_handler(throw_relief);
    try {
        ::operator delete(::operator new(opaque(huge)));
    } catch (const relief &) {
        caught = true;
    }
    std::set_new_handler(nullptr);
    CHECK(caught);
}

void nothrow_swallows_what_the_handler_throws() {
    std::set_new_handler(throw_bad_alloc);
    CHECK(::operator new(opaque(huge), std::nothrow) == nullptr);
    CHECK(::operator new[](opaque(huge), std::nothrow) == nullptr);
    CHECK(::operator new(opaque(huge), align_64, std::nothrow) == nullptr);
    CHECK(::operator new[](opaque(huge), align_64, std::nothrow) == nullptr);
    std::set_new_handler(nullptr);
}

void memory_of_new_and_malloc_is_one_heap() {
    if (is_hardened()) {
        SKIP("the hardened mode reports a mismatch");
    }
    void *p = ::operator new(100);
    free(p);
    p = malloc(100);
    ::operator delete(p);
}

void *delete_body(void *p) {
    delete static_cast<std::string *>(p);
    return nullptr;
}

void objects_are_deleted_by_another_thread() {
    for (size_t n = 1; n < 100000; n *= 3) {
        in_thread(delete_body, new std::string(n, 'x'));
    }
}

void overaligned_types_are_aligned() {
    std::vector<std::unique_ptr<wide>> many;
    for (int i = 0; i < 500; i++) {
        many.push_back(std::make_unique<wide>());
        CHECK(is_aligned(many.back().get(), alignof(wide)));
    }
    std::unique_ptr<wide[]> array(new wide[50]);
    CHECK(is_aligned(array.get(), alignof(wide)));
}

void containers_keep_their_content() {
    std::map<std::string, std::vector<int>> map;
    for (int i = 0; i < 20000; i++) {
        map[std::to_string(i % 3000) + std::string(static_cast<size_t>(i % 60), 'k')].push_back(i);
    }
    size_t total = 0;
    for (const auto &entry : map) {
        total += entry.second.size();
    }
    CHECK(total == 20000);
}

} // namespace

CHECK_MAIN(CASE(names_are_served_by_hakmem), CASE(plain_forms_pair_up), CASE(nothrow_forms_pair_up),
           CASE(aligned_forms_pair_up), CASE(aligned_nothrow_forms_pair_up),
           CASE(delete_null_does_nothing), CASE(new_zero_returns_unique_pointers),
           CASE(new_huge_throws_bad_alloc), CASE(nothrow_huge_returns_null),
           CASE(new_handler_is_called_until_it_is_gone),
           CASE(new_handler_is_called_by_nothrow_forms), CASE(memory_of_new_and_malloc_is_one_heap),
           CASE(objects_are_deleted_by_another_thread), CASE(overaligned_types_are_aligned),
           CASE(containers_keep_their_content), CASE(new_handler_may_throw_its_own),
           CASE(nothrow_swallows_what_the_handler_throws))
