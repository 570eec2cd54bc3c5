// fork, vfork, posix_spawn, and forks of forks while threads hammer the allocator: children free
// what their parent allocated, and nobody's memory grows.
//
// usage: fork_memory [ROUNDS] [FORKS]     (3 rounds of 10 forks and a chain of 8 generations)
//
// Children take over the seats of the threads that vanished. Each process frees all it has, its
// threads have ended, and it must be as small as main was at first, but for the blocks that were on
// their way to or from a seat when the thread vanished. A round's peak of RSS is bounded by the
// bins' bound.
#include <pthread.h>
#include <spawn.h>

#include "losses.h"
#include "seat.h"

enum {
    HAMMERS = 8,
    FEW = 2,
    OWN = 64,
    GENERATIONS = 8,
    SECONDS = 60,
    // Of hammers, main, and what is borrowed for a thread that is about to end.
    HEAPS = HAMMERS + 2,
    // A thread's bins and reserves hold up to two intervals of each class, which start at 16 KiB
    // and grow by 1 MiB in all: about 4 MiB. And what is live, freed memory, and slabs in part.
    MOST_PEAK_KIB = (HAMMERS + 1) * 4 * 1024 + 16 * 1024
};

typedef struct {
    seat_t seats[HAMMERS];
    pthread_t threads[HAMMERS];
    size_t count;
    atomic_int stop;
} crew_t;

typedef struct {
    crew_t *crew;
    size_t index;
} place_t;

extern char **environ;

static char name_of_true[] = "true";
static char *const of_true[] = {name_of_true, NULL};

static crew_t crews[3]; // of a process, its child, its grandchild; of generations in turn
static place_t places[3][HAMMERS]; // main writes them before it starts the thread
static payload_t own[OWN];         // main only: whole at every fork
static footprint_t at_first;       // of main, without threads
static losses_t losses;            // of this process since then

static void *hammer(void *arg) {
    const place_t *place = arg;
    while (!atomic_load_explicit(&place->crew->stop, memory_order_relaxed)) {
        seat_operate(&place->crew->seats[place->index]);
    }
    return NULL;
}

static crew_t *start_crew(size_t which, size_t count, uint64_t seed) {
    crew_t *crew = &crews[which];
    crew->count = count;
    atomic_store(&crew->stop, 0);
    for (size_t i = 0; i < count; i++) {
        crew->seats[i].random = stress_mix(seed + i) | 1;
        places[which][i] = (place_t){crew, i};
        if (pthread_create(&crew->threads[i], NULL, hammer, &places[which][i]) != 0) {
            STRESS_FAIL("fork_memory: cannot start a thread\n");
        }
    }
    return crew;
}

static void clear_crew(crew_t *crew) {
    for (size_t i = 0; i < crew->count; i++) {
        seat_t *seat = &crew->seats[i];
        seat_clear(seat);
        losses.times += seat->lost_times;
        losses.bytes += seat->lost_bytes;
        seat->lost_times = seat->lost_bytes = 0;
    }
    crew->count = 0;
}

static void end_crew(crew_t *crew) {
    atomic_store(&crew->stop, 1);
    for (size_t i = 0; i < crew->count; i++) {
        if (pthread_join(crew->threads[i], NULL) != 0) {
            STRESS_FAIL("fork_memory: cannot join\n");
        }
    }
    clear_crew(crew);
}

static void replace_own(uint64_t *random) {
    for (size_t i = 0; i < OWN; i++) {
        if (own[i].p != NULL) {
            payload_release(&own[i], "main's block");
        }
        payload_allocate(&own[i], payload_size(random), random);
    }
}

// What a process does at last: it has no thread but this one any more.
static void clear_and_compare(const char *name) {
    for (size_t i = 0; i < OWN; i++) {
        payload_release(&own[i], "main's block");
    }
    footprint_t now = footprint_now();
    footprint_check(name, &at_first, &now, &losses, HEAPS);
}

static pid_t checked_fork(void) {
    pid_t child = fork();
    if (child < 0) {
        STRESS_FAIL("fork_memory: cannot fork: errno %d\n", errno);
    }
    if (child == 0) {
        stress_watchdog(SECONDS / 2);
    }
    return child;
}

static _Noreturn void grandchild_main(uint64_t *random) {
    clear_crew(&crews[1]);
    replace_own(random);
    crew_t *crew = start_crew(2, 1, *random);
    replace_own(random);
    end_crew(crew);
    clear_and_compare("fork_memory: a grandchild");
    _exit(0);
}

static _Noreturn void child_main(uint64_t *random) {
    clear_crew(&crews[0]);
    replace_own(random);
    crew_t *crew = start_crew(1, FEW, *random);
    replace_own(random);
    pid_t grandchild = checked_fork();
    if (grandchild == 0) {
        grandchild_main(random);
    }
    stress_wait_for(grandchild, SECONDS);
    end_crew(crew);
    clear_and_compare("fork_memory: a child");
    _exit(0);
}

static void fork_once(uint64_t *random) {
    replace_own(random);
    pid_t child = checked_fork();
    if (child == 0) {
        child_main(random);
    }
    stress_wait_for(child, SECONDS);
}

static void vfork_once(void) {
    pid_t child = vfork();
    if (child < 0) {
        STRESS_FAIL("fork_memory: cannot vfork: errno %d\n", errno);
    }
    if (child == 0) {
        execve("/bin/true", of_true, environ);
        _exit(127);
    }
    stress_wait_for(child, SECONDS);
}

static void spawn_once(void) {
    pid_t child = -1;
    int error = posix_spawn(&child, "/bin/true", NULL, NULL, of_true, environ);
    if (error != 0) {
        STRESS_FAIL("fork_memory: cannot spawn: error %d\n", error);
    }
    stress_wait_for(child, SECONDS);
}

// The first generation of a chain, and in its children all others: each clears the seats of its
// parent's threads and ends after its child.
static _Noreturn void chain_main(uint64_t *random) {
    clear_crew(&crews[0]);
    for (size_t number = 1;; number++) {
        crew_t *crew = start_crew(number % 2, FEW, *random);
        replace_own(random);
        pid_t child = number < GENERATIONS ? checked_fork() : -1;
        if (child != 0) {
            if (child > 0) {
                stress_wait_for(child, SECONDS);
            }
            end_crew(crew);
            clear_and_compare("fork_memory: a generation");
            _exit(0);
        }
        clear_crew(crew);
    }
}

static void run_chain(uint64_t *random) {
    replace_own(random);
    pid_t child = checked_fork();
    if (child == 0) {
        chain_main(random);
    }
    stress_wait_for(child, SECONDS);
}

// Returns the peak of RSS.
static long run_round(long forks, uint64_t *random) {
    long most = 0;
    crew_t *crew = start_crew(0, HAMMERS, *random);
    for (long i = 0; i < forks; i++) {
        stress_watchdog(2 * SECONDS);
        fork_once(random);
        if (i % 4 == 0) {
            vfork_once();
            spawn_once();
        }
        long now = stress_rss_kib();
        most = now > most ? now : most;
    }
    run_chain(random);
    end_crew(crew);
    clear_and_compare("fork_memory: main");
    return most;
}

// Stacks, and what libc keeps for them, are there from now on.
static void warm_up(uint64_t *random) {
    crew_t *crew = start_crew(0, HAMMERS, *random);
    replace_own(random);
    end_crew(crew);
    for (size_t i = 0; i < OWN; i++) {
        payload_release(&own[i], "main's block");
    }
}

int main(int argc, char **argv) {
    long rounds = stress_argument(argc, argv, 1, 3);
    long forks = stress_argument(argc, argv, 2, 10);
    uint64_t random = 1;
    long most = 0;
    warm_up(&random);
    at_first = footprint_now();
    for (long i = 0; i < rounds; i++) {
        long peak = run_round(forks, &random);
        most = peak > most ? peak : most;
    }
    bool bounded = most <= at_first.rss_kib + MOST_PEAK_KIB;
    printf("fork_memory: %ld forks, %ld chains of %d, RSS %ld KiB, peak %ld, at the end %ld: %s\n",
           rounds * forks, rounds, GENERATIONS, at_first.rss_kib, most, footprint_now().rss_kib,
           bounded ? "ok" : "TOO MUCH");
    return bounded ? 0 : 1;
}
