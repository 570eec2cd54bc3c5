// matrix.h: what the cells of the misuse matrix share.
//
// A cell is one kind of misuse at one size of block. Its program builds a scene, commits the misuse
// once, and goes on as an ordinary program: it allocates, writes, frees, and exits. Nothing here
// knows of an allocator: whatever ends the program is the allocator's doing.
#ifndef MATRIX_H
#define MATRIX_H

#include <cstddef>
#include <cstdint>

constexpr size_t MIB = size_t{1} << 20;
constexpr size_t NEIGHBOURS = 16;

// A victim in the middle of blocks of its size, all of them live and written to.
struct Scene {
    size_t size;
    char *before[NEIGHBOURS];
    char *victim; // NULL once the cell has freed it
    char *after[NEIGHBOURS];
};

// Said on stdout at the end; the runner reads the last line.
enum class Outcome {
    WENT_ON, // nothing was noticed
    REFUSED, // the call answered as it should: counts as caught
    GRANTED, // a call that should have been refused was not
    STALE,   // a read after free gave the old bytes,
    CHANGED, // or others
};

struct Cell {
    const char *name;
    Outcome (*commit)(Scene *scene);
};

// Cells with a scene, once for each size.
extern const Cell write_cells[];
extern const Cell free_cells[];
extern const Cell mismatch_cells[];
// Cells without a scene and a size.
extern const Cell huge_cells[];

// ---- Helpers: pointers and calls that the compiler cannot see through.

template <typename T> T *hide(T *p) {
    T *volatile hidden = p;
    return hidden;
}

// p moved by offset bytes.
char *moved(const void *p, ptrdiff_t offset);
void put(void *p, unsigned char byte);
unsigned char get(const void *p);
void fill(void *p, unsigned char byte, size_t bytes);

char *allocate(size_t bytes);      // by malloc, and written to
void release(void *p);             // by free
void release_victim(Scene *scene); // the first time, lawfully
void in_thread(void (*body)(void *), void *argument);

// The sizes that programs ask for beside the scene's.
constexpr size_t OTHERS = 12;
void allocate_others(const Scene *scene, char **blocks);

#endif
