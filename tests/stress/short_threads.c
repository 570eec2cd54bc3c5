// Many short threads that allocate, free, and leave blocks for main to free: memory stays flat.
//
// usage: short_threads [THREADS]     (100,000) eight at a time; fails when RSS grows by over 8 MiB (16 hardened)
#include <pthread.h>

#include "stress_util.h"

// The warm-up is long: it takes some thousand lives until every cache has seen its widest moment.
enum { AT_A_TIME = 8, LEFT = 20, OWN = 60, WARM_UP = 10000 };

typedef struct {
    uint64_t random;
    unsigned char *left[LEFT]; // for main, which joins before it reads
    size_t sizes[LEFT];
} life_t;

static size_t short_size(uint64_t *random) {
    size_t dice = stress_below(random, 100);
    return 1 + stress_below(random, dice < 85 ? 500 : dice < 98 ? 5000 : 60000);
}

static unsigned char *filled_block(size_t size) {
    unsigned char *p = malloc(size);
    if (p == NULL) {
        STRESS_FAIL("short_threads: no memory\n");
    }
    memset(p, (int)(size & 0xff), size);
    return p;
}

static void verify_and_free(unsigned char *p, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (p[i] != (size & 0xff)) {
            STRESS_FAIL("short_threads: byte %zu of %p is %#x\n", i, (void *)p, p[i]);
        }
    }
    free(p);
}

static void *live(void *arg) {
    life_t *life = arg;
    unsigned char *own[OWN];
    size_t sizes[OWN];
    for (size_t i = 0; i < OWN; i++) {
        sizes[i] = short_size(&life->random);
        own[i] = filled_block(sizes[i]);
    }
    for (size_t i = 0; i < LEFT; i++) {
        life->sizes[i] = short_size(&life->random);
        life->left[i] = filled_block(life->sizes[i]);
    }
    for (size_t i = 0; i < OWN; i++) {
        verify_and_free(own[i], sizes[i]);
    }
    return NULL;
}

static void run_threads(long n) {
    static life_t lives[AT_A_TIME];
    pthread_t threads[AT_A_TIME];
    for (long done = 0; done < n; done += AT_A_TIME) {
        stress_watchdog(60);
        for (int i = 0; i < AT_A_TIME; i++) {
            lives[i].random = stress_mix((uint64_t)(done + i)) | 1;
            if (pthread_create(&threads[i], NULL, live, &lives[i]) != 0) {
                STRESS_FAIL("short_threads: cannot start a thread\n");
            }
        }
        for (int i = 0; i < AT_A_TIME; i++) {
            if (pthread_join(threads[i], NULL) != 0) {
                STRESS_FAIL("short_threads: cannot join\n");
            }
        }
        for (int i = 0; i < AT_A_TIME; i++) {
            for (size_t k = 0; k < LEFT; k++) {
                verify_and_free(lives[i].left[k], lives[i].sizes[k]);
            }
        }
    }
}

int main(int argc, char **argv) {
    long threads = stress_argument(argc, argv, 1, 100000);
    run_threads(WARM_UP);
    long before = stress_rss_kib();
    run_threads(threads);
    long growth = stress_rss_kib() - before;
    long most_kib = (stress_is_hardened() ? 16 : 8) * 1024; // with quarantines, which fill up slowly
    printf("short_threads: %ld threads, RSS %ld KiB, growth %ld KiB: %s\n", threads, before, growth,
           growth <= most_kib ? "ok" : "LEAK");
    return growth <= most_kib ? 0 : 1;
}
