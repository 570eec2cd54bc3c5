// Threads that are cancelled in the midst of malloc and free, at any moment or at the next point.
//
// usage: cancel [THREADS] [SEED]     (4,000, four at a time, beside two that go on; a seed of the clock)
//
// POSIX lets nobody cancel a thread asynchronously in malloc; hakmem says that no lock is left held
// and that no more is lost than what was on its way to or from the thread. So all others go on, trim
// and fork work, and the statistics agree. malloc must not become a point of cancellation either.
#include <pthread.h>
#include <stdbool.h>

#include "losses.h"
#include "seat.h"

enum { VICTIMS = 4, OTHERS = 2, HEAPS = 1 + VICTIMS + OTHERS + 2, STALL_SECONDS = 20 };
enum { MOST_PAUSE = 300000, ROUNDS_TO_FORK = 16, WARM_UP = 200 };

typedef struct {
    seat_t seat;
    pthread_t thread;
    bool asynchronous;
    long most_operations; // 0: until it is cancelled
} victim_t;

static victim_t victims[VICTIMS];
static seat_t other_seats[OTHERS];
static _Atomic uint64_t progress[OTHERS];
static atomic_bool stop;
static pthread_key_t key;

// ---- victims

// Runs late in a victim's life, when its heap may be gone; it may be cancelled in here, too.
static void destroy(void *seat) {
    seat_note_loss(seat);
    for (int i = 0; i < 20; i++) {
        seat_operate(seat);
    }
}

static void *run_victim(void *arg) {
    victim_t *victim = arg;
    pthread_setcanceltype(
        victim->asynchronous ? PTHREAD_CANCEL_ASYNCHRONOUS : PTHREAD_CANCEL_DEFERRED, NULL);
    pthread_setspecific(key, &victim->seat);
    for (long n = 0; victim->most_operations == 0 || n < victim->most_operations; n++) {
        seat_operate(&victim->seat);
        if (!victim->asynchronous) {
            pthread_testcancel();
        }
    }
    return NULL;
}

static void start_victim(victim_t *victim, uint64_t *random) {
    victim->seat.random = stress_random(random) | 1;
    victim->seat.lost_times = victim->seat.lost_bytes = 0;
    victim->asynchronous = stress_below(random, 3) != 0;
    victim->most_operations = stress_below(random, 3) != 0 ? 0 : 1 + (long)stress_below(random, 300);
    if (pthread_create(&victim->thread, NULL, run_victim, victim) != 0) {
        STRESS_FAIL("cancel: cannot start a thread\n");
    }
}

static void end_victim(victim_t *victim, losses_t *losses) {
    // It may have ended on its own.
    (void)pthread_cancel(victim->thread);
    if (pthread_join(victim->thread, NULL) != 0) {
        STRESS_FAIL("cancel: cannot join\n");
    }
    seat_clear(&victim->seat);
    if (!victim->asynchronous && victim->seat.lost_times != 0) {
        STRESS_FAIL("cancel: malloc or free acted on a cancellation that was deferred\n");
    }
    losses->times += victim->seat.lost_times;
    losses->bytes += victim->seat.lost_bytes;
}

// ---- those that go on

static void *go_on(void *arg) {
    size_t i = (size_t)(uintptr_t)arg;
    other_seats[i].random = i + 1;
    while (!atomic_load(&stop)) {
        seat_operate(&other_seats[i]);
        atomic_fetch_add(&progress[i], 1);
    }
    seat_clear(&other_seats[i]);
    return NULL;
}

static void wait_for_progress(void) {
    uint64_t before[OTHERS];
    double end = stress_seconds() + STALL_SECONDS;
    for (size_t i = 0; i < OTHERS; i++) {
        before[i] = atomic_load(&progress[i]);
    }
    for (size_t i = 0; i < OTHERS; i++) {
        while (atomic_load(&progress[i]) == before[i]) {
            if (stress_seconds() > end) {
                STRESS_FAIL("cancel: the other threads hang\n");
            }
            stress_sleep_ms(1);
        }
    }
}

static void child_main(void) {
    static seat_t seat;
    stress_watchdog(STALL_SECONDS - 5);
    seat.random = 7;
    for (int i = 0; i < 500; i++) {
        seat_operate(&seat);
    }
    seat_clear(&seat);
    malloc_trim(0);
    _exit(0);
}

static void fork_and_trim(void) {
    malloc_trim(0);
    pid_t child = fork();
    if (child < 0) {
        STRESS_FAIL("cancel: cannot fork: errno %d\n", errno);
    }
    if (child == 0) {
        child_main();
    }
    stress_wait_for(child, STALL_SECONDS);
}

// ---- main

static void pause_up_to(size_t ns, uint64_t *random) {
    struct timespec time = {0, (long)stress_below(random, ns)};
    nanosleep(&time, NULL);
}

static void run_threads(long threads, uint64_t *random, losses_t *losses) {
    pthread_t others[OTHERS];
    atomic_store(&stop, false);
    for (size_t i = 0; i < OTHERS; i++) {
        if (pthread_create(&others[i], NULL, go_on, (void *)(uintptr_t)i) != 0) {
            STRESS_FAIL("cancel: cannot start a thread\n");
        }
    }
    for (long round = 0; round * VICTIMS < threads; round++) {
        stress_watchdog(2 * STALL_SECONDS);
        for (size_t i = 0; i < VICTIMS; i++) {
            start_victim(&victims[i], random);
        }
        for (size_t i = 0; i < VICTIMS; i++) {
            pause_up_to(MOST_PAUSE, random);
            end_victim(&victims[i], losses);
        }
        if (round % ROUNDS_TO_FORK == 0) {
            wait_for_progress();
            fork_and_trim();
        }
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < OTHERS; i++) {
        pthread_join(others[i], NULL);
    }
}

int main(int argc, char **argv) {
    long threads = stress_argument(argc, argv, 1, 4000);
    uint64_t seed = (uint64_t)stress_argument(argc, argv, 2, (long)time(NULL) * 100000 + getpid());
    uint64_t random = stress_mix(seed) | 1;
    losses_t losses = {0, 0};
    printf("cancel: seed %#llx\n", (unsigned long long)seed);
    fflush(stdout);
    if (pthread_key_create(&key, destroy) != 0) {
        STRESS_FAIL("cancel: cannot create a key\n");
    }
    run_threads(WARM_UP, &random, &losses);
    footprint_t before = footprint_now();
    losses = (losses_t){0, 0};
    run_threads(threads, &random, &losses);
    footprint_t after = footprint_now();
    footprint_check("cancel", &before, &after, &losses, HEAPS);
    printf("cancel: seed %#llx, %ld threads, %zu of them with %zu KiB in flight; live blocks %zu "
           "before, %zu after, RSS %ld KiB, %ld KiB, %zu heaps: ok\n",
           (unsigned long long)seed, threads, losses.times, losses.bytes >> 10,
           before.stats.live_blocks, after.stats.live_blocks, before.rss_kib, after.rss_kib,
           after.stats.heaps);
    return 0;
}
