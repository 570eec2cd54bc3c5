// Signals at a high rate into a loop that allocates, frees and verifies.
//
// usage: signals [CHILDREN] [SEED]     (40 children of a handler that allocates; a seed of the clock)
//
// A handler that allocates nothing, but jumps out of the code between allocations, must leave all as
// it is. A handler that allocates is wrong under any malloc; what hakmem says is that this ends well
// or is stopped with a line. So each child of the second part has to end well with every payload
// intact, or by SIGABRT after one line. A hang, another signal or a changed payload fails the test.
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>

#include "outcome.h"
#include "payload.h"

enum { BLOCKS = 400, KEPT_MOST = 64, OTHERS = 2, EXCHANGE = 32, PHASE_OPS = 300 };
#define MOST_HASTE 1e-6

enum { CHILD_MS = 45, JUMPING_MS = 600 };

static payload_t blocks[BLOCKS];  // main's
static payload_t kept[KEPT_MOST]; // the handler's, which runs on main's thread
static uint64_t random_of_main, random_of_handler;
static size_t kept_count; // how many places the handler uses: few are freed soon, many stay
static unsigned pause_most;
static bool with_others;

static pthread_t receiver;
static atomic_bool stop;
static volatile sig_atomic_t signals_seen, jumps_seen, may_jump;
static sigjmp_buf between;

// ---- main's loop

static void release_all(payload_t *array, size_t n, const char *whose) {
    for (size_t i = 0; i < n; i++) {
        if (array[i].p != NULL) {
            payload_release(&array[i], whose);
        }
    }
}

// Phases that fill up and phases that empty: bins overflow in these and run dry in those.
static void operate(long number) {
    payload_t *block = &blocks[stress_below(&random_of_main, BLOCKS)];
    bool filling = number / PHASE_OPS % 2 == 0;
    size_t dice = stress_below(&random_of_main, 16);
    if (block->p == NULL) {
        if (filling || dice < 4) {
            payload_allocate(block, payload_size(&random_of_main), &random_of_main);
        }
    } else if (dice == 0) {
        payload_resize(block, payload_size(&random_of_main), "main's block");
    } else if (!filling || dice < 4) {
        payload_release(block, "main's block");
    }
}

// ---- the sender

static void *send_signals(void *unused) {
    uint64_t random = random_of_main | 1;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        pthread_kill(receiver, SIGUSR1);
        size_t pause = pause_most != 0 ? stress_below(&random, pause_most) : 0;
        for (volatile size_t i = 0; i < pause; i++) {
        }
    }
    return unused;
}

static void handle_by(void (*handler)(int)) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigaction(SIGUSR1, &action, NULL);
}

static pthread_t start_thread(void *(*body)(void *)) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, NULL) != 0) {
        STRESS_FAIL("signals: cannot start a thread\n");
    }
    return thread;
}

// ---- a handler that jumps

static void jump(int number) {
    (void)number;
    signals_seen = signals_seen + 1;
    if (may_jump) {
        may_jump = 0;
        siglongjmp(between, 1);
    }
}

// Everything that is used after a jump is static.
static void run_jumping(void) {
    static long number;
    static double end;
    static pthread_t sender;
    random_of_main = stress_random(&random_of_main) | 1;
    receiver = pthread_self();
    handle_by(jump);
    pause_most = 500;
    sender = start_thread(send_signals);
    end = stress_seconds() + JUMPING_MS / 1000.0;
    for (number = 0; stress_seconds() < end; number++) {
        if (sigsetjmp(between, 1) != 0) {
            jumps_seen = jumps_seen + 1;
        }
        may_jump = 0;
        operate(number);
        const payload_t *block = &blocks[(size_t)number % BLOCKS];
        may_jump = 1;
        if (block->p != NULL) {
            payload_verify(block, "main's block");
        }
        may_jump = 0;
    }
    atomic_store(&stop, true);
    pthread_join(sender, NULL);
    release_all(blocks, BLOCKS, "main's block");
    if (jumps_seen == 0) {
        STRESS_FAIL("signals: no signal ever came between allocations\n");
    }
    atomic_store(&stop, false);
}

// ---- a handler that allocates

// Two signals within three instructions of malloc may end in SIGSEGV: what the first handler left in a
// block is followed by the second as a link, just before malloc would have stopped. So a handler that
// is called again too soon does nothing.
static bool too_soon(void) {
    static double last;
    double now = stress_seconds();
    bool soon = now - last < MOST_HASTE;
    last = now;
    return soon;
}

static void allocate(int number) {
    int saved = errno;
    (void)number;
    signals_seen = signals_seen + 1;
    if (too_soon()) {
        return;
    }
    payload_t *block = &kept[stress_below(&random_of_handler, kept_count)];
    if (block->p == NULL) {
        payload_allocate(block, payload_size(&random_of_handler), &random_of_handler);
    } else if (stress_below(&random_of_handler, 8) == 0) {
        payload_resize(block, payload_size(&random_of_handler), "the handler's block");
    } else {
        payload_release(block, "the handler's block");
    }
    errno = saved;
}

static struct {
    pthread_mutex_t lock;
    payload_t block; // guarded by lock
} exchange[EXCHANGE];

static void swap(payload_t *block, uint64_t *random) {
    size_t i = stress_below(random, EXCHANGE);
    pthread_mutex_lock(&exchange[i].lock);
    payload_t other = exchange[i].block;
    exchange[i].block = *block;
    pthread_mutex_unlock(&exchange[i].lock);
    *block = other;
}

// A thread that does nothing wrong, and whose blocks come and go by way of main.
static void *work_beside(void *unused) {
    static atomic_uint_fast64_t numbers;
    payload_t own[64];
    uint64_t random = stress_mix(random_of_main + atomic_fetch_add(&numbers, 1)) | 1;
    memset(own, 0, sizeof own);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        payload_t *block = &own[stress_below(&random, 64)];
        if (stress_below(&random, 4) == 0) {
            swap(block, &random);
        } else if (block->p == NULL) {
            payload_allocate(block, payload_size(&random), &random);
        } else {
            payload_release(block, "another thread's block");
        }
    }
    release_all(own, 64, "another thread's block");
    return unused;
}

static void block_signal(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(how, &set, NULL);
}

static void allocating_child(void) {
    pthread_t others[OTHERS];
    for (size_t i = 0; i < EXCHANGE; i++) {
        pthread_mutex_init(&exchange[i].lock, NULL);
    }
    receiver = pthread_self();
    handle_by(allocate);
    for (size_t i = 0; with_others && i < OTHERS; i++) {
        others[i] = start_thread(work_beside);
    }
    pthread_t sender = start_thread(send_signals);
    double end = stress_seconds() + CHILD_MS / 1000.0;
    for (long number = 0; stress_seconds() < end; number++) {
        operate(number);
        if (with_others && number % 4 == 0) {
            swap(&blocks[stress_below(&random_of_main, BLOCKS)], &random_of_main);
        }
    }
    atomic_store(&stop, true);
    pthread_join(sender, NULL);
    block_signal(SIG_BLOCK);
    for (size_t i = 0; with_others && i < OTHERS; i++) {
        pthread_join(others[i], NULL);
    }
    release_all(kept, KEPT_MOST, "the handler's block");
    release_all(blocks, BLOCKS, "main's block");
    for (size_t i = 0; i < EXCHANGE; i++) {
        release_all(&exchange[i].block, 1, "a block in exchange");
    }
}

static void set_up_child(uint64_t seed, long number) {
    static const unsigned pauses[] = {0, 50, 1000, 20000};
    uint64_t random = stress_mix(seed + (uint64_t)number) | 1;
    random_of_main = stress_random(&random) | 1;
    random_of_handler = stress_random(&random) | 1;
    pause_most = pauses[stress_below(&random, 4)];
    kept_count = stress_below(&random, 2) == 0 ? 4 : KEPT_MOST;
    with_others = stress_below(&random, 3) == 0;
}

static void run_child(uint64_t seed, long number, tally_t *tally) {
    set_up_child(seed, number);
    outcome_t outcome = outcome_of(allocating_child);
    if (outcome.kind == OUTCOME_WRONG) {
        STRESS_FAIL("signals: seed %#llx, child %ld: %s, status %#x: %s\n",
                    (unsigned long long)seed, number, outcome.hung ? "hangs" : "went wrong",
                    (unsigned)outcome.status, outcome.text);
    }
    tally_add(tally, &outcome);
}

int main(int argc, char **argv) {
    static tally_t tally;
    long children = stress_argument(argc, argv, 1, 40);
    uint64_t seed = (uint64_t)stress_argument(argc, argv, 2, (long)time(NULL) * 100000 + getpid());
    random_of_main = stress_mix(seed) | 1;
    stress_watchdog(60);
    run_jumping();
    // Under another malloc the second part proves nothing, and may well hang.
    if (dlsym(RTLD_DEFAULT, "hak_version") == NULL) {
        children = 0;
    }
    for (long i = 0; i < children; i++) {
        stress_watchdog(2 * OUTCOME_SECONDS);
        run_child(seed, i, &tally);
    }
    tally_print(&tally);
    printf("signals: seed %#llx, %d signals, %d jumps; handlers that allocate: %ld children ended "
           "well, %ld were stopped with a line: ok\n",
           (unsigned long long)seed, (int)signals_seen, (int)jumps_seen, tally.well,
           tally.stopped);
    return 0;
}
