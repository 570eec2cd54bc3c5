// writes.cc: writes and reads beyond a block, before it, and after its end.
//
// A store is one byte at the far end of the distance; a copy fills all of it. So a store by 32 may
// leave the bytes between untouched, as a wrong index does.
#include "matrix.h"

namespace {
template <size_t DISTANCE, unsigned char BYTE = 0x41> Outcome overflow_store(Scene *scene) {
    put(moved(scene->victim, static_cast<ptrdiff_t>(scene->size + DISTANCE - 1)), BYTE);
    return Outcome::WENT_ON;
}

template <size_t DISTANCE> Outcome overflow_copy(Scene *scene) {
    fill(moved(scene->victim, static_cast<ptrdiff_t>(scene->size)), 0x41, DISTANCE);
    return Outcome::WENT_ON;
}

template <size_t DISTANCE> Outcome underflow_store(Scene *scene) {
    put(moved(scene->victim, -static_cast<ptrdiff_t>(DISTANCE)), 0x41);
    return Outcome::WENT_ON;
}

template <size_t DISTANCE> Outcome underflow_copy(Scene *scene) {
    fill(moved(scene->victim, -static_cast<ptrdiff_t>(DISTANCE)), 0x41, DISTANCE);
    return Outcome::WENT_ON;
}

// ---- After free --------------------------------------------------------------------------------

constexpr size_t STALE_BYTES = 32;

void others_come_and_go(Scene *scene) {
    char *blocks[OTHERS];
    for (size_t i = 0; i < NEIGHBOURS; i += 4) {
        release(scene->after[i]);
        scene->after[i] = nullptr;
    }
    allocate_others(scene, blocks);
    for (char *block : blocks) {
        release(block);
    }
}

// The next blocks of the size, one of which has the victim's place in most allocators.
void reuse(Scene *scene) {
    for (size_t i = 0; i < NEIGHBOURS; i += 4) {
        release(scene->after[i]);
    }
    for (size_t i = 0; i < NEIGHBOURS; i += 4) {
        scene->after[i] = allocate(scene->size);
    }
    scene->victim = allocate(scene->size);
}

Outcome write_freed(Scene *scene) {
    char *stale = scene->victim;
    release_victim(scene);
    fill(hide(stale), 0x41, STALE_BYTES);
    return Outcome::WENT_ON;
}

Outcome write_freed_field(Scene *scene) {
    char *stale = scene->victim;
    release_victim(scene);
    put(moved(stale, 40), 0x41);
    return Outcome::WENT_ON;
}

Outcome write_freed_later(Scene *scene) {
    char *stale = scene->victim;
    release_victim(scene);
    others_come_and_go(scene);
    fill(hide(stale), 0x41, STALE_BYTES);
    return Outcome::WENT_ON;
}

Outcome write_reused(Scene *scene) {
    char *stale = scene->victim;
    release_victim(scene);
    reuse(scene);
    fill(hide(stale), 0x41, STALE_BYTES);
    return Outcome::WENT_ON;
}

Outcome read_old_byte(const char *stale, size_t size) {
    return get(moved(stale, static_cast<ptrdiff_t>(size / 2))) == 0x5a ? Outcome::STALE
                                                                       : Outcome::CHANGED;
}

Outcome read_freed(Scene *scene) {
    char *stale = scene->victim;
    release_victim(scene);
    return read_old_byte(stale, scene->size);
}

Outcome read_freed_later(Scene *scene) {
    char *stale = scene->victim;
    release_victim(scene);
    others_come_and_go(scene);
    return read_old_byte(stale, scene->size);
}
} // namespace

const Cell write_cells[] = {
    {"overflow-1-store", overflow_store<1>},
    {"overflow-1-zero", overflow_store<1, 0>},
    {"overflow-1-copy", overflow_copy<1>},
    {"overflow-32-store", overflow_store<32>},
    {"overflow-32-copy", overflow_copy<32>},
    {"overflow-1m-store", overflow_store<MIB>},
    {"overflow-1m-copy", overflow_copy<MIB>},
    {"underflow-1-store", underflow_store<1>},
    {"underflow-32-store", underflow_store<32>},
    {"underflow-32-copy", underflow_copy<32>},
    {"underflow-1m-store", underflow_store<MIB>},
    {"underflow-1m-copy", underflow_copy<MIB>},
    {"write-freed", write_freed},
    {"write-freed-field", write_freed_field},
    {"write-freed-later", write_freed_later},
    {"write-reused", write_reused},
    {"read-freed", read_freed},
    {"read-freed-later", read_freed_later},
    {nullptr, nullptr},
};
