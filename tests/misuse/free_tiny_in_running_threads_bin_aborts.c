// A tiny block freed by another thread that still runs, so that it lies in that thread's bin, and
// freed again by its owner.
// expect: hakmem: double free of %P \(class [0-9]+, 64 bytes\)
#include "misuse.h"

static pthread_barrier_t freed;

static void *free_and_stay(void *p) {
    free(hide(p));
    pthread_barrier_wait(&freed);
    pause();
    return NULL;
}

int main(void) {
    void *p = malloc(64);
    pthread_t thread;
    announce('P', p);
    pthread_barrier_init(&freed, NULL, 2);
    if (pthread_create(&thread, NULL, free_and_stay, p) != 0) {
        return 2;
    }
    pthread_barrier_wait(&freed);
    free(hide(p));
    return 0;
}
