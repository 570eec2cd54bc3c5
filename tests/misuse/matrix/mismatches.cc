// mismatches.cc: a block that is given back by the wrong function, and sizes that no block can
// have.
#include "matrix.h"

#include <cerrno>
#include <cstdlib>
#include <new>

#include <malloc.h>

namespace {
// ---- The wrong function ------------------------------------------------------------------------

char *by_new(Scene *scene) {
    char *p = hide(static_cast<char *>(::operator new(scene->size)));
    fill(p, 0x5a, scene->size);
    return p;
}

char *by_new_array(Scene *scene) {
    char *p = hide(static_cast<char *>(::operator new[](scene->size)));
    fill(p, 0x5a, scene->size);
    return p;
}

Outcome new_free(Scene *scene) {
    release(by_new(scene));
    return Outcome::WENT_ON;
}

Outcome new_array_delete(Scene *scene) {
    ::operator delete(by_new_array(scene));
    return Outcome::WENT_ON;
}

Outcome malloc_delete(Scene *scene) {
    ::operator delete(hide(scene->victim));
    scene->victim = nullptr;
    return Outcome::WENT_ON;
}

Outcome new_delete_array(Scene *scene) {
    ::operator delete[](by_new(scene));
    return Outcome::WENT_ON;
}

Outcome delete_wrong_size(Scene *scene) {
    volatile size_t wrong = scene->size * 3;
    ::operator delete(by_new(scene), wrong);
    return Outcome::WENT_ON;
}

// ---- Sizes that no block can have --------------------------------------------------------------

Outcome refused_if(bool refused) {
    return refused ? Outcome::REFUSED : Outcome::GRANTED;
}

// Not in the way of the compiler's warnings about sizes.
size_t size_of(size_t bytes) {
    volatile size_t hidden = bytes;
    return hidden;
}

Outcome malloc_of(size_t bytes) {
    errno = 0;
    void *p = hide(std::malloc(size_of(bytes)));
    return refused_if(p == nullptr && errno == ENOMEM);
}

Outcome malloc_most(Scene *) {
    return malloc_of(SIZE_MAX);
}

Outcome malloc_above_half(Scene *) {
    return malloc_of(static_cast<size_t>(PTRDIFF_MAX) + 1);
}

Outcome calloc_overflows(Scene *) {
    errno = 0;
    void *p = hide(std::calloc(size_of(SIZE_MAX / 4), size_of(8)));
    return refused_if(p == nullptr && errno == ENOMEM);
}

Outcome reallocarray_overflows(Scene *) {
    void *block = std::malloc(100);
    errno = 0;
    void *p = hide(reallocarray(hide(block), size_of(SIZE_MAX / 4), size_of(8)));
    return refused_if(p == nullptr && errno == ENOMEM);
}

Outcome new_of_negative_count(Scene *) {
    try {
        volatile ptrdiff_t count = -1;
        // The bytes as a program reckons them that does not look at the sign.
        void *p = ::operator new[](static_cast<size_t>(count) * sizeof(int));
        return refused_if(hide(p) == nullptr);
    } catch (const std::bad_alloc &) {
        return Outcome::REFUSED;
    }
}
} // namespace

const Cell mismatch_cells[] = {
    {"new-free", new_free},
    {"new-array-delete", new_array_delete},
    {"malloc-delete", malloc_delete},
    {"new-delete-array", new_delete_array},
    {"delete-wrong-size", delete_wrong_size},
    {nullptr, nullptr},
};

const Cell huge_cells[] = {
    {"malloc-most", malloc_most},
    {"malloc-above-half", malloc_above_half},
    {"calloc-overflow", calloc_overflows},
    {"reallocarray-overflow", reallocarray_overflows},
    {"new-negative-count", new_of_negative_count},
    {nullptr, nullptr},
};
