// A thread that is cancelled asynchronously before any single instruction of malloc and free, or of
// what hakmem does when a thread ends.
//
// usage: cancel_steps [ROUNDS]     (1 over all instructions)
//
// A thread runs a fixed course once, one instruction at a time, to learn which instructions of hakmem
// it comes to. Then, for each of them, a thread runs the same course and is cancelled there, while
// cancellation is asynchronous. Nothing may be lost but what was in flight, see cancel.c.
#include <pthread.h>

#include "losses.h"
#include "seat.h"
#include "steps.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { OPERATIONS = 150, LATE_OPERATIONS = 20, MOST_PLACES = 1 << 14, TABLE = 4 * MOST_PLACES };
enum { HEAPS = 4, WATCHDOG_SECONDS = 30, VISITS = 3 };

static seat_t seat;
static pthread_key_t key;
static bool learning;
static uintptr_t break_now; // 0: none
static long visits_now;
static uintptr_t table[TABLE];      // all addresses seen, hashed
static uintptr_t places[MOST_PLACES]; // those of hakmem
static size_t place_count;
static volatile long cancellations;

static void note_step(uintptr_t address) {
    size_t i = stress_mix(address) % TABLE;
    while (table[i] != 0 && table[i] != address) {
        i = (i + 1) % TABLE;
    }
    table[i] = address;
}

static void learn_the_calls(bool entering) {
    if (entering) {
        steps_learn(note_step);
    } else {
        steps_learned();
    }
}

// Acts at once, or, while hakmem defers it, when that ends.
static void cancel_this_thread(void) {
    cancellations = cancellations + 1;
    pthread_cancel(pthread_self());
}

// glibc skips the destructors of all further keys when one is cancelled asynchronously, hakmem's with
// them: the thread's heap would be lost. So this one is not.
static void destroy(void *unused) {
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
    (void)unused;
    seat_note_loss(&seat);
    for (int i = 0; i < LATE_OPERATIONS; i++) {
        seat_operate(&seat);
    }
    if (learning) {
        steps_learned(); // was on since the thread's function returned
    }
}

// The same choices each time: the course is short enough to come to every path by waves of one size.
static void *run_course(void *unused) {
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    pthread_setspecific(key, &seat);
    if (break_now != 0) {
        (void)steps_break(break_now, visits_now, cancel_this_thread);
    }
    for (int i = 0; i < OPERATIONS; i++) {
        seat_operate(&seat);
    }
    // Many frees of one class, one after the other: an interval runs out, and another.
    for (int wave = 0; wave < 3; wave++) {
        for (size_t i = 0; i < SEAT_BLOCKS; i++) {
            if (seat.blocks[i].p != NULL) {
                seat_release(&seat, i);
            }
            seat_allocate(&seat, i, 1000);
        }
    }
    if (learning) {
        steps_learn(note_step);
    }
    return unused;
}

static void run_thread(losses_t *losses) {
    pthread_t thread;
    stress_watchdog(WATCHDOG_SECONDS);
    seat.random = 42;
    seat.lost_times = seat.lost_bytes = 0;
    if (pthread_create(&thread, NULL, run_course, NULL) != 0 || pthread_join(thread, NULL) != 0) {
        STRESS_FAIL("cancel_steps: cannot run a thread\n");
    }
    steps_unbreak();
    seat_clear(&seat);
    losses->times += seat.lost_times;
    losses->bytes += seat.lost_bytes;
}

static bool is_of_hakmem(uintptr_t address) {
    Dl_info info;
    return dladdr((void *)address, &info) != 0 && info.dli_fname != NULL &&
           strstr(info.dli_fname, "hakmem") != NULL;
}

static void learn(losses_t *losses) {
    learning = true;
    payload_around = learn_the_calls;
    run_thread(losses);
    payload_around = NULL;
    learning = false;
    for (size_t i = 0; i < TABLE && place_count < MOST_PLACES; i++) {
        if (table[i] != 0 && is_of_hakmem(table[i])) {
            places[place_count++] = table[i];
        }
    }
}

// The first cancellation of a process loads libgcc, which allocates. Not in a handler, please.
static void *cancel_oneself(void *unused) {
    pthread_cancel(pthread_self());
    pthread_testcancel();
    return unused;
}

static void warm_up(losses_t *losses) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, cancel_oneself, NULL) != 0 ||
        pthread_join(thread, NULL) != 0) {
        STRESS_FAIL("cancel_steps: cannot run a thread\n");
    }
    for (int i = 0; i < 20; i++) {
        run_thread(losses);
    }
}

int main(int argc, char **argv) {
    long rounds = stress_argument(argc, argv, 1, 1);
    losses_t losses = {0, 0};
    if (!STEPS_KNOWN || dlsym(RTLD_DEFAULT, "hak_version") == NULL) {
        printf("cancel_steps: not for this processor, or not under this malloc: ok\n");
        return 0;
    }
    if (pthread_key_create(&key, destroy) != 0) {
        STRESS_FAIL("cancel_steps: cannot create a key\n");
    }
    steps_install();
    warm_up(&losses);
    learn(&losses);
    footprint_t before = footprint_now();
    losses = (losses_t){0, 0};
    for (long round = 0; round < rounds; round++) {
        for (size_t i = 0; i < place_count; i++) {
            break_now = places[i];
            visits_now = 1 + round % VISITS;
            run_thread(&losses);
        }
    }
    footprint_t after = footprint_now();
    footprint_check("cancel_steps", &before, &after, &losses, HEAPS);
    printf("cancel_steps: %zu instructions, %ld cancellations, %zu with %zu KiB in flight; live "
           "blocks %zu before, %zu after, RSS %ld KiB, %ld KiB, %zu heaps: ok\n",
           place_count, (long)cancellations, losses.times, losses.bytes >> 10,
           before.stats.live_blocks, after.stats.live_blocks, before.rss_kib, after.rss_kib,
           after.stats.heaps);
    return 0;
}
