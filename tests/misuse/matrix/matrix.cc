// matrix.cc: commits one misuse of the heap and goes on; see matrix.h.
//
// usage: matrix CELL SIZE      small (100 bytes), medium (5,000), large (100,000), or huge
//        matrix --list         all cells, one "CELL SIZE" a line
#include "matrix.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <pthread.h>

// ---- Helpers -----------------------------------------------------------------------------------

char *moved(const void *p, ptrdiff_t offset) {
    volatile uintptr_t hidden = reinterpret_cast<uintptr_t>(p);
    return reinterpret_cast<char *>(hidden + static_cast<uintptr_t>(offset));
}

void put(void *p, unsigned char byte) {
    *static_cast<volatile unsigned char *>(p) = byte;
}

unsigned char get(const void *p) {
    return *static_cast<const volatile unsigned char *>(p);
}

void fill(void *p, unsigned char byte, size_t bytes) {
    void *(*volatile set)(void *, int, size_t) = std::memset;
    set(p, byte, bytes);
}

char *allocate(size_t bytes) {
    char *p = hide(static_cast<char *>(std::malloc(bytes)));
    if (p == nullptr) {
        std::_Exit(2);
    }
    fill(p, 0x5a, bytes);
    return p;
}

void release(void *p) {
    std::free(hide(p));
}

void release_victim(Scene *scene) {
    release(scene->victim);
    scene->victim = nullptr;
}

namespace {
struct Call {
    void (*body)(void *);
    void *argument;
};

void *run_call(void *context) {
    auto *call = static_cast<Call *>(context);
    call->body(call->argument);
    return nullptr;
}
} // namespace

void in_thread(void (*body)(void *), void *argument) {
    Call call = {body, argument};
    pthread_t thread;
    if (pthread_create(&thread, nullptr, run_call, &call) != 0 ||
        pthread_join(thread, nullptr) != 0) {
        std::_Exit(2);
    }
}

void allocate_others(const Scene *scene, char **blocks) {
    const size_t sizes[OTHERS] = {
        24, 64, 100, 300, 1000, 1500, 5000, 20000, 40, 700, scene->size / 2, scene->size * 2};
    for (size_t i = 0; i < OTHERS; i++) {
        blocks[i] = allocate(sizes[i]);
    }
}

// ---- Before and after the misuse
// -----------------------------------------------------------------

namespace {
void build(Scene *scene, size_t size) {
    scene->size = size;
    for (char *&block : scene->before) {
        block = allocate(size);
    }
    scene->victim = allocate(size);
    for (char *&block : scene->after) {
        block = allocate(size);
    }
}

constexpr size_t SAME = 12;

struct Batch {
    char *same[SAME];
    char *others[OTHERS];
};

void allocate_batch(const Scene *scene, Batch *batch) {
    for (char *&block : batch->same) {
        block = allocate(scene->size);
    }
    allocate_others(scene, batch->others);
}

void release_batch(const Batch *batch) {
    for (char *block : batch->same) {
        release(block);
    }
    for (char *block : batch->others) {
        release(block);
    }
}

// Allocates, frees the victim and half of its neighbours, allocates again, frees everything. free
// of what a cell already freed (NULL) does nothing.
void go_on(Scene *scene) {
    Batch first, second;
    allocate_batch(scene, &first);
    release_victim(scene);
    for (size_t i = 0; i < NEIGHBOURS; i += 2) {
        release(scene->after[i]);
        release(scene->before[i]);
    }
    allocate_batch(scene, &second);
    release_batch(&first);
    for (size_t i = 1; i < NEIGHBOURS; i += 2) {
        release(scene->before[i]);
        release(scene->after[i]);
    }
    release_batch(&second);
}

// ---- Cells -------------------------------------------------------------------------------------

struct Size {
    const char *name;
    size_t bytes;
};

constexpr Size SIZES[] = {{"small", 100}, {"medium", 5000}, {"large", 100000}};
const Cell *const SCENE_CELLS[] = {write_cells, free_cells, mismatch_cells};

void list() {
    for (const Cell *cells : SCENE_CELLS) {
        for (const Cell *cell = cells; cell->name != nullptr; cell++) {
            for (const Size &size : SIZES) {
                std::printf("%s %s\n", cell->name, size.name);
            }
        }
    }
    for (const Cell *cell = huge_cells; cell->name != nullptr; cell++) {
        std::printf("%s huge\n", cell->name);
    }
}

const Cell *find(const Cell *cells, const char *name) {
    for (; cells->name != nullptr; cells++) {
        if (std::strcmp(cells->name, name) == 0) {
            return cells;
        }
    }
    return nullptr;
}

const char *name_of(Outcome outcome) {
    static const char *const names[] = {"went on", "refused", "granted", "stale", "changed"};
    return names[static_cast<int>(outcome)];
}

int finish(Outcome outcome) {
    std::puts(name_of(outcome));
    return 0;
}

int run_in_scene(const char *name, size_t bytes) {
    for (const Cell *cells : SCENE_CELLS) {
        const Cell *cell = find(cells, name);
        if (cell != nullptr) {
            static Scene scene;
            build(&scene, bytes);
            Outcome outcome = cell->commit(&scene);
            go_on(&scene);
            return finish(outcome);
        }
    }
    return 2;
}

int run(const char *name, const char *size_name) {
    if (std::strcmp(size_name, "huge") == 0) {
        const Cell *cell = find(huge_cells, name);
        return cell != nullptr ? finish(cell->commit(nullptr)) : 2;
    }
    for (const Size &size : SIZES) {
        if (std::strcmp(size.name, size_name) == 0) {
            return run_in_scene(name, size.bytes);
        }
    }
    return 2;
}
} // namespace

int main(int argc, char **argv) {
    if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
        list();
        return 0;
    }
    int status = argc == 3 ? run(argv[1], argv[2]) : 2;
    if (status == 2) {
        std::fprintf(stderr, "usage: matrix CELL small|medium|large|huge, or matrix --list\n");
    }
    return status;
}
