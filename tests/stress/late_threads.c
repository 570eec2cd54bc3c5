// Processes that end while their threads allocate: main returns, main or another thread calls exit,
// or main ends by pthread_exit and the others live on. Handlers, static and thread-local
// destructors and those of keys allocate and free blocks that others allocated.
//
// usage: late_threads [RUNS]     (12 of each of the four ways to end)
//
// Each run is a process of its own, in which eight threads exchange blocks: seven over and over,
// and one that starts and joins short threads with destructors. The parent expects an exit status
// and what the destructors of the process write, line by line, and nothing else.
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "outcome.h"
#include "payload.h"

enum {
    WORKERS = 8,
    SPAWNERS = 2,
    PLACES = 64,
    KEYS = 3,
    FIRST_TURNS = 200,
    LAST_TURNS = 400,
    LATE_TURNS = 100
};

typedef enum { BY_RETURN, BY_EXIT, BY_EXIT_OF_ANOTHER, BY_PTHREAD_EXIT } ending_t;

typedef struct {
    const char *name;
    int status;
} expected_t;

static const expected_t endings[] = {[BY_RETURN] = {"main returns", 7},
                                     [BY_EXIT] = {"main exits", 11},
                                     [BY_EXIT_OF_ANOTHER] = {"a thread exits", 13},
                                     [BY_PTHREAD_EXIT] = {"main ends, threads live on", 0}};
enum { ENDINGS = sizeof endings / sizeof endings[0] };

// The first is said by the thread that ends the process or, of a key, by main that ends before.
static const char all_lines[] = "thread\nlast handler\nfirst handler\nstatic\ndestructor\n";

// A block that says what is in it, so that anybody can verify it.
typedef struct {
    size_t size; // with this header
    unsigned char salt;
    unsigned char bytes[];
} letter_t;

// A thread's value of a key.
typedef struct {
    letter_t *kept; // from one round to the next
    int key, rounds_left;
    int *runs; // of the thread's destructors; on the stack of who joins the thread
} mark_t;

extern int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *dso);
extern int __cxa_atexit(void (*destroy)(void *), void *object, void *dso);
extern void *__dso_handle __attribute__((visibility("hidden")));

static ending_t ending;                    // const once main has begun
static bool is_child;                      // likewise
static _Atomic(letter_t *) places[PLACES]; // who takes a letter from its place owns it
static letter_t *of_main;                  // for the last destructor
static atomic_uint_fast64_t seeds;
static atomic_bool main_is_gone;
static sem_t at_work;
static pthread_key_t keys[KEYS];
static pthread_key_t key_of_main;

static letter_t *write_letter(uint64_t *random) {
    size_t size = sizeof(letter_t) + payload_size(random);
    letter_t *letter = malloc(size);
    if (letter == NULL) {
        STRESS_FAIL("late_threads: no memory\n");
    }
    letter->size = size;
    letter->salt = (unsigned char)stress_random(random);
    memset(letter->bytes, letter->salt, size - sizeof *letter);
    return letter;
}

static void read_letter(letter_t *letter) {
    for (size_t i = 0; i < letter->size - sizeof *letter; i++) {
        if (letter->bytes[i] != letter->salt) {
            STRESS_FAIL("late_threads: byte %zu of %p is %#x, want %#x\n", i, (void *)letter->bytes,
                        letter->bytes[i], letter->salt);
        }
    }
    free(letter);
}

static void exchange(uint64_t *random, int turns) {
    for (int i = 0; i < turns; i++) {
        size_t place = stress_below(random, PLACES);
        letter_t *old = atomic_exchange(&places[place], write_letter(random));
        if (old != NULL) {
            read_letter(old);
        }
    }
}

static uint64_t next_seed(void) {
    return stress_mix(atomic_fetch_add(&seeds, 1) + 1) | 1;
}

// In any destructor or handler, however late.
static void work_late(void) {
    uint64_t random = next_seed();
    exchange(&random, LATE_TURNS);
}

static void say_thread(void *letter) {
    read_letter(letter);
    work_late();
    stress_print("thread\n");
}

static void destroy_thread_local(void *letter) {
    uint64_t random = next_seed();
    read_letter(letter);
    exchange(&random, 4);
}

static void keep_thread_local(uint64_t *random, void (*destroy)(void *)) {
    if (__cxa_thread_atexit_impl(destroy, write_letter(random), &__dso_handle) != 0) {
        STRESS_FAIL("late_threads: no thread-local destructor\n");
    }
}

// ---- Short threads ---------------------------------------------------------------------------

static void destroy_mark(void *value) {
    mark_t *mark = value;
    uint64_t random = next_seed();
    ++*mark->runs;
    read_letter(mark->kept);
    exchange(&random, 4);
    if (mark->rounds_left == 0) {
        free(mark);
        return;
    }
    mark->rounds_left--;
    mark->kept = write_letter(&random);
    if (pthread_setspecific(keys[mark->key], mark) != 0) {
        STRESS_FAIL("late_threads: cannot set a key\n");
    }
}

static void *live_shortly(void *runs) {
    uint64_t random = next_seed();
    for (int i = 0; i < KEYS; i++) {
        mark_t *mark = malloc(sizeof *mark);
        if (mark == NULL) {
            STRESS_FAIL("late_threads: no memory\n");
        }
        *mark = (mark_t){write_letter(&random), i, PTHREAD_DESTRUCTOR_ITERATIONS - 1, runs};
        if (pthread_setspecific(keys[i], mark) != 0) {
            STRESS_FAIL("late_threads: cannot set a key\n");
        }
    }
    keep_thread_local(&random, destroy_thread_local);
    exchange(&random, 20);
    return NULL;
}

static void run_short_thread(void) {
    pthread_t thread;
    int runs = 0;
    if (pthread_create(&thread, NULL, live_shortly, &runs) != 0 ||
        pthread_join(thread, NULL) != 0) {
        STRESS_FAIL("late_threads: cannot run a thread\n");
    }
    if (runs != KEYS * PTHREAD_DESTRUCTOR_ITERATIONS) {
        STRESS_FAIL("late_threads: %d runs of destructors\n", runs);
    }
}

// ---- Threads that live past main -------------------------------------------------------------

static void take_turn(size_t index, uint64_t *random) {
    if (index < SPAWNERS) {
        run_short_thread();
    } else {
        exchange(random, 20);
    }
}

static void *work(void *index) {
    uint64_t random = next_seed();
    for (int i = 0; i < FIRST_TURNS / 20; i++) {
        take_turn((size_t)(uintptr_t)index, &random);
    }
    sem_post(&at_work);
    // Until the process ends; if that waits for its threads, until main is gone for some time.
    for (int left = LAST_TURNS / 20; left > 0; left -= atomic_load(&main_is_gone)) {
        take_turn((size_t)(uintptr_t)index, &random);
    }
    return NULL;
}

static void *exit_here(void *unused) {
    uint64_t random = next_seed();
    keep_thread_local(&random, say_thread);
    exit(endings[BY_EXIT_OF_ANOTHER].status);
    return unused;
}

static void say_last_handler(void) {
    work_late();
    stress_print("last handler\n");
}

static void say_first_handler(void) {
    work_late();
    stress_print("first handler\n");
}

static void say_static(void *letter) {
    read_letter(letter);
    work_late();
    stress_print("static\n");
}

// As a library's: after all handlers.
__attribute__((destructor)) static void say_destructor(void) {
    if (is_child) {
        read_letter(of_main);
        work_late();
        stress_print("destructor\n");
    }
}

static void start(void *(*routine)(void *), size_t index) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, routine, (void *)(uintptr_t)index) != 0 ||
        pthread_detach(thread) != 0) {
        STRESS_FAIL("late_threads: cannot start a thread\n");
    }
}

static void prepare(uint64_t *random) {
    of_main = write_letter(random);
    for (int i = 0; i < KEYS; i++) {
        if (pthread_key_create(&keys[i], destroy_mark) != 0) {
            STRESS_FAIL("late_threads: cannot create a key\n");
        }
    }
    if (__cxa_atexit(say_static, write_letter(random), &__dso_handle) != 0 ||
        atexit(say_first_handler) != 0 || atexit(say_last_handler) != 0) {
        STRESS_FAIL("late_threads: cannot register a handler\n");
    }
    if (ending == BY_PTHREAD_EXIT) {
        // glibc runs keys' destructors for main that ends like this, but no thread-local ones.
        if (pthread_key_create(&key_of_main, say_thread) != 0 ||
            pthread_setspecific(key_of_main, write_letter(random)) != 0) {
            STRESS_FAIL("late_threads: cannot create a key\n");
        }
    } else if (ending != BY_EXIT_OF_ANOTHER) {
        keep_thread_local(random, say_thread);
    }
    if (sem_init(&at_work, 0, 0) != 0) {
        STRESS_FAIL("late_threads: no semaphore\n");
    }
}

static int child_main(void) {
    uint64_t random = next_seed();
    prepare(&random);
    for (size_t i = 0; i < WORKERS; i++) {
        start(work, i);
    }
    for (int i = 0; i < WORKERS; i++) {
        while (sem_wait(&at_work) != 0) {
        }
    }
    if (ending == BY_EXIT) {
        exit(endings[BY_EXIT].status);
    }
    if (ending == BY_PTHREAD_EXIT) {
        atomic_store(&main_is_gone, true);
        pthread_exit(NULL);
    }
    if (ending == BY_EXIT_OF_ANOTHER) {
        start(exit_here, 0);
        for (;;) {
            exchange(&random, 20);
        }
    }
    return endings[BY_RETURN].status;
}

// ---- The parent ------------------------------------------------------------------------------

static void run_again(void) {
    char number[2] = {(char)('0' + ending), '\0'};
    execl("/proc/self/exe", "late_threads", "--child", number, (char *)NULL);
    STRESS_FAIL("late_threads: cannot run itself: errno %d\n", errno);
}

static void judge(void) {
    const expected_t *expected = &endings[ending];
    outcome_t outcome = outcome_of(run_again);
    if (outcome.hung || !WIFEXITED(outcome.status) ||
        WEXITSTATUS(outcome.status) != expected->status || strcmp(outcome.text, all_lines) != 0) {
        printf("late_threads: %s: %s, wait status %#x, want exit status %d; it wrote:\n%s\n",
               expected->name, outcome.hung ? "hangs" : "ended", (unsigned)outcome.status,
               expected->status, outcome.text);
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--child") == 0) {
        is_child = true;
        ending = (ending_t)(argv[2][0] - '0');
        return child_main();
    }
    long runs = stress_argument(argc, argv, 1, 12);
    for (long i = 0; i < runs * ENDINGS; i++) {
        ending = (ending_t)(i % ENDINGS);
        judge();
    }
    printf("late_threads: %ld processes, %d ways to end under %d threads: ok\n", runs * ENDINGS,
           (int)ENDINGS, WORKERS);
    return 0;
}
