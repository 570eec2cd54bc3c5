// Helpers of the misuse programs: pointers the compiler cannot see through, and the pointer values
// that the runner puts in place of %P and %Q in the expected line.
#ifndef MISUSE_H
#define MISUSE_H

#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The volatile copy ends what the compiler knows of the pointer, so that it can neither warn about
// the misuse nor optimise it away.
static inline void *hide(const void *p) {
    volatile uintptr_t hidden = (uintptr_t)p;
    return (void *)hidden;
}

// p moved by `offset` bytes.
static inline void *moved(const void *p, intptr_t offset) {
    volatile uintptr_t hidden = (uintptr_t)p;
    return (void *)(hidden + (uintptr_t)offset);
}

// Tells the runner a pointer, by write(2): stdio would allocate between the calls under test.
static inline void announce(char name, const void *p) {
    char line[40];
    int length = snprintf(line, sizeof line, "%c 0x%" PRIxPTR "\n", name, (uintptr_t)p);
    if (length < 0 || write(STDOUT_FILENO, line, (size_t)length) != length) {
        _exit(2);
    }
}

// Runs body(arg) in a thread of its own, to its end.
static inline void in_thread(void *(*body)(void *), void *arg) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, arg) != 0 || pthread_join(thread, NULL) != 0) {
        _exit(2);
    }
}

static inline void *free_body(void *p) {
    free(hide(p));
    return NULL;
}

static inline void free_in_thread(void *p) {
    in_thread(free_body, p);
}

// Allocates n blocks of `size` bytes into blocks[], each touched.
static inline void malloc_many(void **blocks, size_t n, size_t size) {
    for (size_t i = 0; i < n; i++) {
        blocks[i] = malloc(size);
        if (blocks[i] == NULL) {
            _exit(2);
        }
        memset(blocks[i], 0x5a, size);
    }
}

static inline void free_many(void **blocks, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free(hide(blocks[i]));
    }
}

#endif
