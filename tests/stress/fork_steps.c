// A signal handler that forks, before any single instruction by which a thread gets its heap, fills a
// bin or ends.
//
// usage: fork_steps [EVERY]     (1; 7: each seventh instruction, from a random one on)
//
// A thread's first allocations and its end are run once, one instruction at a time, to learn which
// instructions of hakmem they come to. Then, for each of them, a child runs such a thread that is
// interrupted there and forks. Parent and forked child go on; in the latter, two more threads start,
// and no block is two threads'. Where a lock is held, the child
// may be stopped with a line instead, since it has another thread.
#include <dlfcn.h>
#include <pthread.h>

#include "outcome.h"
#include "steps.h"

enum { MOST_PLACES = 1 << 14, ROUNDS = 300, BLOCKS = 8, SIZE = 64 };

static uintptr_t places[MOST_PLACES];
static size_t place_count;
static uintptr_t break_now;
static pthread_key_t key;
static char key_name[] = "set";
static volatile pid_t forked; // by the handler; 0 in that child
static volatile bool was_interrupted;

static bool is_of_hakmem(uintptr_t address) {
    Dl_info info;
    return dladdr((void *)address, &info) != 0 && info.dli_fname != NULL &&
           strstr(info.dli_fname, "hakmem") != NULL;
}

static void note_step(uintptr_t address) {
    for (size_t i = 0; i < place_count; i++) {
        if (places[i] == address) {
            return;
        }
    }
    if (place_count < MOST_PLACES) {
        places[place_count++] = address;
    }
}

static void first_allocations(void) {
    unsigned char *p = malloc(SIZE);
    free(p);
    p = malloc(SIZE);
    free(p);
}

static void *learning(void *unused) {
    pthread_setspecific(key, key_name);
    steps_learn(note_step);
    first_allocations();
    return unused; // still learning
}

// Two threads of these at a time: a block that both were given would change under one of them.
static void *hammer(void *mark) {
    unsigned char byte = *(unsigned char *)mark;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned char *blocks[BLOCKS];
        for (int i = 0; i < BLOCKS; i++) {
            blocks[i] = malloc(SIZE);
            memset(blocks[i], byte, SIZE);
        }
        for (int i = 0; i < BLOCKS; i++) {
            for (int j = 0; j < SIZE; j++) {
                if (blocks[i][j] != byte) {
                    STRESS_FAIL("fork_steps: a block of two threads\n");
                }
            }
            free(blocks[i]);
        }
    }
    return NULL;
}

static void fork_here(void) {
    was_interrupted = true;
    forked = fork();
}

// In the forked child, where this is the only thread.
static void check_forked_child(void) {
    static unsigned char marks[] = {1, 2, 3};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, hammer, &marks[i]) != 0) {
            STRESS_FAIL("fork_steps: cannot start a thread\n");
        }
    }
    (void)hammer(&marks[2]);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    _exit(0);
}

// Behind hakmem's own destructor, since its key was created before.
static void at_thread_end(void *unused) {
    (void)unused;
    if (steps.on_step != NULL) {
        steps_learned();
    } else if (was_interrupted && forked == 0) {
        check_forked_child();
    }
}

static void break_at(void (*on_hit)(void)) {
    if (!steps_break(break_now, 1, on_hit)) {
        STRESS_FAIL("fork_steps: cannot write to the code\n");
    }
}

static void *interrupted_by_fork(void *unused) {
    pthread_setspecific(key, key_name);
    break_at(fork_here);
    first_allocations();
    if (was_interrupted && forked == 0) {
        check_forked_child();
    }
    return unused; // or it is interrupted from here on
}

static void thread_that_forks(void) {
    pthread_t thread;
    int status = 0;
    stress_watchdog(OUTCOME_SECONDS / 2);
    if (pthread_create(&thread, NULL, interrupted_by_fork, NULL) != 0 ||
        pthread_join(thread, NULL) != 0) {
        STRESS_FAIL("fork_steps: cannot run a thread\n");
    }
    steps_unbreak();
    if (was_interrupted && (waitpid(forked, &status, 0) != forked || status != 0)) {
        STRESS_FAIL("fork_steps: the forked child ended with %#x\n", (unsigned)status);
    }
}

static void learn(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, learning, NULL) != 0 || pthread_join(thread, NULL) != 0) {
        STRESS_FAIL("fork_steps: cannot run a thread\n");
    }
    size_t kept = 0;
    for (size_t i = 0; i < place_count; i++) {
        if (is_of_hakmem(places[i])) {
            places[kept++] = places[i];
        }
    }
    place_count = kept;
}

static void run(tally_t *tally, size_t i) {
    break_now = places[i];
    outcome_t outcome = outcome_of(thread_that_forks);
    if (outcome.kind == OUTCOME_WRONG) {
        STRESS_FAIL("fork_steps: instruction %zu (%p): status %#x%s: %s\n", i, (void *)places[i], (unsigned)outcome.status,
                    outcome.hung ? ", hung" : "", outcome.text);
    }
    tally_add(tally, &outcome);
}

int main(int argc, char **argv) {
    static tally_t tally;
    size_t every = (size_t)stress_argument(argc, argv, 1, 1);
    if (!STEPS_KNOWN || dlsym(RTLD_DEFAULT, "hak_version") == NULL) {
        printf("fork_steps: not for this processor, or not under this malloc: ok\n");
        return 0;
    }
    if (pthread_key_create(&key, at_thread_end) != 0) {
        STRESS_FAIL("fork_steps: cannot create a key\n");
    }
    steps_install();
    learn();
    uint64_t seed = (uint64_t)(stress_seconds() * 1e6) | 1;
    for (size_t i = stress_below(&seed, every); i < place_count; i += every) {
        run(&tally, i);
    }
    tally_print(&tally);
    printf("fork_steps: %zu instructions, each of %zu; %ld children ended well, %ld were stopped with a "
           "line: ok\n",
           place_count, every, tally.well, tally.stopped);
    return tally.well == 0;
}
