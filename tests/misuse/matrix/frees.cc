// frees.cc: what is freed twice, and what never was a block; realloc and malloc_usable_size of
// both.
#include "matrix.h"

#include <cstdlib>

#include <malloc.h>
#include <sys/mman.h>

namespace {
// ---- Twice -------------------------------------------------------------------------------------

Outcome double_free(Scene *scene) {
    char *stale = scene->victim;
    release_victim(scene);
    release(stale);
    return Outcome::WENT_ON;
}

Outcome double_free_after_others(Scene *scene) {
    char *stale = scene->victim;
    release_victim(scene);
    for (char *&block : scene->after) {
        release(block);
        block = nullptr;
    }
    release(stale);
    return Outcome::WENT_ON;
}

// All of the size is free before blocks of other sizes may take the place.
Outcome double_free_after_other_sizes(Scene *scene) {
    char *stale = scene->victim;
    char *blocks[OTHERS];
    release_victim(scene);
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        release(scene->before[i]);
        release(scene->after[i]);
        scene->before[i] = scene->after[i] = nullptr;
    }
    allocate_others(scene, blocks);
    release(stale);
    for (char *block : blocks) {
        release(block);
    }
    return Outcome::WENT_ON;
}

Outcome double_free_in_thread(Scene *scene) {
    char *stale = scene->victim;
    release_victim(scene);
    in_thread(release, stale);
    return Outcome::WENT_ON;
}

Outcome double_free_by_threads(Scene *scene) {
    char *stale = scene->victim;
    in_thread(release, stale);
    in_thread(release, stale);
    scene->victim = nullptr;
    return Outcome::WENT_ON;
}

// realloc may grow a block where it stands: asked for more until it moves.
Outcome free_moved(Scene *scene) {
    char *stale = scene->victim;
    for (size_t bytes = scene->size * 2; scene->victim == stale && bytes < 1024 * MIB; bytes *= 2) {
        scene->victim = hide(static_cast<char *>(std::realloc(scene->victim, bytes)));
    }
    release(stale);
    return Outcome::WENT_ON;
}

// ---- What never was a block --------------------------------------------------------------------

template <ptrdiff_t OFFSET> Outcome free_inside(Scene *scene) {
    release(moved(scene->victim, OFFSET));
    return Outcome::WENT_ON;
}

alignas(64) char static_bytes[131072];

Outcome free_static(Scene *scene) {
    fill(static_bytes, 0x5a, scene->size);
    release(static_bytes + 64);
    return Outcome::WENT_ON;
}

Outcome free_stack(Scene *scene) {
    alignas(64) char bytes[131072];
    fill(bytes, 0x5a, scene->size);
    release(bytes + 64);
    return Outcome::WENT_ON;
}

Outcome free_mapped(Scene *scene) {
    void *p =
        mmap(nullptr, scene->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        std::_Exit(2);
    }
    release(p);
    return Outcome::WENT_ON;
}

// Where a block might be, behind the highest that there ever was of the size.
Outcome free_never_allocated(Scene *scene) {
    char *highest = scene->victim;
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        highest = scene->before[i] > highest ? scene->before[i] : highest;
        highest = scene->after[i] > highest ? scene->after[i] : highest;
    }
    size_t step = malloc_usable_size(highest) + 15;
    release(moved(highest, static_cast<ptrdiff_t>(4 * (step - step % 16))));
    return Outcome::WENT_ON;
}

// ---- realloc and malloc_usable_size ------------------------------------------------------------

Outcome realloc_of(Scene *scene, char *wrong) {
    char *moved_to = static_cast<char *>(std::realloc(hide(wrong), scene->size * 2));
    if (moved_to != nullptr) {
        release(moved_to);
    }
    return Outcome::WENT_ON;
}

Outcome realloc_freed(Scene *scene) {
    char *stale = scene->victim;
    release_victim(scene);
    return realloc_of(scene, stale);
}

Outcome realloc_inside(Scene *scene) {
    return realloc_of(scene, moved(scene->victim, 16));
}

Outcome realloc_stack(Scene *scene) {
    alignas(64) char bytes[131072];
    fill(bytes, 0x5a, scene->size);
    return realloc_of(scene, bytes + 64);
}

Outcome usable_size_freed(Scene *scene) {
    char *stale = scene->victim;
    release_victim(scene);
    volatile size_t usable = malloc_usable_size(hide(stale));
    (void)usable;
    return Outcome::WENT_ON;
}
} // namespace

const Cell free_cells[] = {
    {"double-free", double_free},
    {"double-free-after-others", double_free_after_others},
    {"double-free-other-sizes", double_free_after_other_sizes},
    {"double-free-in-thread", double_free_in_thread},
    {"double-free-by-threads", double_free_by_threads},
    {"free-moved", free_moved},
    {"free-inside-1", free_inside<1>},
    {"free-inside-8", free_inside<8>},
    {"free-inside-16", free_inside<16>},
    {"free-beyond-1m", free_inside<static_cast<ptrdiff_t>(MIB)>},
    {"free-stack", free_stack},
    {"free-static", free_static},
    {"free-mapped", free_mapped},
    {"free-never-allocated", free_never_allocated},
    {"realloc-freed", realloc_freed},
    {"realloc-inside-16", realloc_inside},
    {"realloc-stack", realloc_stack},
    {"usable-size-freed", usable_size_freed},
    {nullptr, nullptr},
};
