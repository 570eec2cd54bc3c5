// Threads that allocate, clear, resize and free blocks of 64 KiB to 24 MiB, so that pages go from
// freed blocks to new ones, and fork now and then: no page is lost, shared or wrongly taken for
// zero.
//
// usage: large_blocks [STEPS]     (4,000) for each of four threads
#include <pthread.h>

#include "stress_util.h"

enum { THREADS = 4, PLACES = 24, PAGE = 4096, KIB = 1024 };

typedef struct {
    unsigned char *p;
    size_t size;
    uint64_t key;
} place_t;

static unsigned long steps = 4000;

// A word in each page from the one that holds `from`.
static void mark(place_t *place, size_t from) {
    for (size_t at = from / PAGE * PAGE; at + 8 <= place->size; at += PAGE) {
        *(uint64_t *)(void *)(place->p + at) = place->key + at;
    }
}

static void check(const place_t *place, size_t size) {
    for (size_t at = 0; at + 8 <= size; at += PAGE) {
        if (*(const uint64_t *)(const void *)(place->p + at) != place->key + at) {
            STRESS_FAIL("large_blocks: %p + %zu has changed\n", (void *)place->p, at);
        }
    }
}

static void check_zero(const unsigned char *p, size_t size) {
    for (size_t at = 0; at + 8 <= size; at += PAGE) {
        if (*(const uint64_t *)(const void *)(p + at) != 0) {
            STRESS_FAIL("large_blocks: calloc: %p + %zu is not zero\n", (void *)p, at);
        }
    }
}

static size_t random_size(uint64_t *random) {
    size_t most = stress_below(random, 8) == 0 ? 24 * KIB : 3 * KIB;
    return 64 * KIB + stress_below(random, most) * KIB + stress_below(random, KIB);
}

static void fill_place(place_t *place, uint64_t *random) {
    bool zero = stress_below(random, 5) == 0;
    place->size = random_size(random);
    place->key = stress_random(random);
    place->p = zero ? calloc(1, place->size) : malloc(place->size);
    if (place->p == NULL) {
        STRESS_FAIL("large_blocks: no memory\n");
    }
    if (zero) {
        check_zero(place->p, place->size);
    }
    mark(place, 0);
}

static void resize_place(place_t *place, uint64_t *random) {
    size_t before = place->size;
    size_t size = random_size(random);
    unsigned char *p = realloc(place->p, size);
    if (p == NULL) {
        STRESS_FAIL("large_blocks: no memory\n");
    }
    place->p = p;
    place->size = size;
    check(place, before < size ? before : size);
    mark(place, 0);
}

static void empty_place(place_t *place) {
    check(place, place->size);
    free(place->p);
    place->p = NULL;
}

static void empty_all(place_t *places) {
    for (size_t i = 0; i < PLACES; i++) {
        if (places[i].p != NULL) {
            empty_place(&places[i]);
        }
    }
}

static void fork_once(place_t *places) {
    pid_t child = fork();
    if (child == 0) {
        empty_all(places);
        place_t more = {NULL, 0, 0};
        uint64_t random = 1;
        fill_place(&more, &random);
        empty_place(&more);
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        STRESS_FAIL("large_blocks: a child ended with status %#x\n", (unsigned)status);
    }
}

static void *work(void *index) {
    uint64_t random = stress_mix((uintptr_t)index + 1) | 1;
    place_t places[PLACES] = {{NULL, 0, 0}};
    for (unsigned long step = 0; step < steps; step++) {
        place_t *place = &places[stress_below(&random, PLACES)];
        if (place->p == NULL) {
            fill_place(place, &random);
        } else if (stress_below(&random, 10) < 4) {
            check(place, place->size);
            resize_place(place, &random);
        } else {
            empty_place(place);
        }
        if (stress_below(&random, 1500) == 0) {
            fork_once(places);
        }
    }
    empty_all(places);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        steps = strtoul(argv[1], NULL, 10);
    }
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0) {
            STRESS_FAIL("large_blocks: no thread\n");
        }
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("large_blocks: %d threads, %lu steps each: ok\n", THREADS, steps);
    return 0;
}
