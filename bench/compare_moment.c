/* compare_moment.c: whether two processors are as near to each other as they can be.
 *
 * Owns:      the measurement, and the nearest that was seen.
 * Knows not: workloads, allocators; whether a run is repeated.
 * Threads:   each measurement starts two of its own, each on a processor, and waits for them.
 *
 * The processors of a virtual machine wander about on those of the host: by turns they share a
 * cache and do not, and what one thread wrote reaches the other in 55 ns or in 250. A program whose
 * threads exchange blocks is up to three times as fast in the one moment as in the other, whatever
 * its allocator.
 */
#include "compare.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#define TURNS 2000
#define FAR_FROM_NEAR 2.5 /* distances vary by a half while nothing moves */

typedef struct {
    atomic_int turn; /* release by who had it, acquire by who waits for it; -1: nobody plays */
    int cpus[2];
    double seconds; /* written by the first player before it ends */
} game_t;

typedef struct {
    game_t *game;
    int number;
} player_t;

static void *play(void *argument) {
    const player_t *player = argument;
    game_t *game = player->game;
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET((size_t)game->cpus[player->number], &here);
    pthread_setaffinity_np(pthread_self(), sizeof here, &here);
    double start = 0;
    for (int turn = player->number; turn < 2 * TURNS; turn += 2) {
        int now;
        while ((now = atomic_load_explicit(&game->turn, memory_order_acquire)) != turn) {
            if (now < 0) {
                return NULL;
            }
        }
        if (turn == 2) {
            start = compare_now_s(); /* both are at it */
        }
        atomic_store_explicit(&game->turn, turn + 1, memory_order_release);
    }
    if (player->number == 0) {
        game->seconds = compare_now_s() - start;
    }
    return NULL;
}

/* The first two processors that this program may use; false where there is one. */
static bool choose_processors(int cpus[2]) {
    cpu_set_t allowed;
    int count = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return false;
    }
    for (int cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++) {
        if (CPU_ISSET((size_t)cpu, &allowed)) {
            cpus[count++] = cpu;
        }
    }
    return count == 2;
}

/* Nanoseconds for a word from one processor to the other; 0 where that cannot be measured. */
static double distance_ns(void) {
    game_t game = {.turn = 0};
    player_t players[2] = {{&game, 0}, {&game, 1}};
    pthread_t threads[2];
    if (!choose_processors(game.cpus) ||
        pthread_create(&threads[0], NULL, play, &players[0]) != 0) {
        return 0;
    }
    bool both = pthread_create(&threads[1], NULL, play, &players[1]) == 0;
    if (both) {
        pthread_join(threads[1], NULL);
    } else {
        atomic_store_explicit(&game.turn, -1, memory_order_release);
    }
    pthread_join(threads[0], NULL);
    return both ? game.seconds / (2 * TURNS - 3) * 1e9 : 0;
}

bool compare_is_near(void) {
    static double nearest = 0;
    double distance = distance_ns();
    for (int again = 0; again < 2; again++) { /* somebody may have run on one of the two */
        double other = distance_ns();
        distance = other < distance ? other : distance;
    }
    if (distance == 0) {
        return true; /* nothing to go by */
    }
    nearest = nearest == 0 || distance < nearest ? distance : nearest;
    return distance <= nearest * FAR_FROM_NEAR;
}

/* How long to wait for a better moment. */
#define LOOKS 10
#define PAUSE_NS 100000000

bool compare_wait_until_near(void) {
    const struct timespec pause = {0, PAUSE_NS};
    bool near = compare_is_near();
    for (int look = 1; look < LOOKS && !near; look++) {
        nanosleep(&pause, NULL);
        near = compare_is_near();
    }
    return near;
}
