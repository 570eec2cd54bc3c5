/* scenarios.c: see scenarios.h.
 *
 * A set-up ends with all threads in existence, each with a heap, but those called newcomers.
 * Threads have the numbers of their places in the scenario's list; an orphan is what a thread that
 * had no part in the run, the absent one, left behind. What must hold at every end is
 * world.h's; a check here adds what only this scenario can promise.
 */
#include "scenarios.h"

#include "alloc.h"
#include "heap_search.h"
#include "stats.h"
#include "world.h"

/* Restored before each run, like everything here. */
static unsigned b[8];

/* ---- Parts of set-ups --------------------------------------------------------------------------- */

static void have_heaps(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        model_become(i);
        (void)hak_heap_get();
    }
}

/* The thread owns one slab, all eight blocks of which are live. */
static void fill_slab(unsigned thread) {
    model_become(thread);
    for (unsigned i = 0; i < 8; i++) {
        b[i] = world_alloc();
    }
}

static void bring_home(unsigned first, unsigned last) {
    for (unsigned i = first; i <= last; i++) {
        world_free(b[i]);
    }
    world_send_home();
}

static void full_slab(void) {
    have_heaps(3);
    fill_slab(0);
}

static void full_slab_four(void) {
    have_heaps(4);
    fill_slab(0);
}

static void full_slab_newcomer_four(void) {
    have_heaps(3);
    fill_slab(0);
}

static void full_slab_newcomer(void) {
    have_heaps(2);
    fill_slab(0);
}

/* Thread 1 holds a block of the owner's slab in a bin that it has not touched since it last needed
 * a slab; the next time it does, the bin goes home. */
static void idle_bin(void) {
    full_slab();
    model_become(1);
    world_free(b[0]);
    for (unsigned i = 0; i < hak_class_info[hak_class_of(WORLD_OTHER)].capacity; i++) {
        (void)world_alloc_size(WORLD_OTHER);
    }
}

static void slab_of_six(void) {
    have_heaps(3);
    fill_slab(0);
    bring_home(6, 7);
}

static void slab_of_two(void) {
    have_heaps(3);
    fill_slab(0);
    bring_home(2, 7);
}

/* Its heap is made before the others', so that they do not take it over. */
static void orphan_of(unsigned live, unsigned heaps) {
    fill_slab(SCHED_ABSENT);
    have_heaps(heaps);
    model_become(SCHED_ABSENT);
    bring_home(live, 7);
    model_exit_thread();
}

static void orphan_of_seven(void) {
    orphan_of(7, 3);
}

static void orphan_of_seven_four(void) {
    orphan_of(7, 4);
}

static void orphan_of_seven_newcomer(void) {
    orphan_of(7, 2);
}

static void orphan_of_seven_fork(void) {
    orphan_of(7, 1);
    world_may_lose(1);
}

static void orphan_of_two(void) {
    orphan_of(2, 3);
}

static void full_slab_fork(void) {
    full_slab();
    world_may_lose(2);
}

/* The owner is not the one that forks, and its ready list is not empty. */
static void full_slab_of_another(void) {
    have_heaps(2);
    fill_slab(SCHED_ABSENT);
    model_become(1);
    world_free_home(b[7]);
    world_may_lose(2);
}

/* A refill of another class took the owner's slab off the ready list, and left its queue alone. */
static void let_it_wait(unsigned owner) {
    model_become(owner);
    (void)world_alloc_size(WORLD_OTHER); /* so that there is a slab with room */
    model_become(1);
    world_free_home(b[7]);
    model_become(owner);
    (void)world_alloc_size(WORLD_OTHER);
    if (hak_tls_heap->waiting_slots == 0) {
        model_fail("no slab waits");
    }
}

static void slab_waits(void) {
    full_slab();
    let_it_wait(0);
}

static void slab_of_another_waits(void) {
    have_heaps(2);
    fill_slab(SCHED_ABSENT);
    let_it_wait(SCHED_ABSENT);
    world_may_lose(2);
}

static void slab_and_reserve(void) {
    have_heaps(3);
    fill_slab(0);
    world_free(b[7]);
    world_set_apart();
}

static void slab_and_reserve_fork(void) {
    slab_and_reserve();
    world_may_lose(1);
}

/* Two slabs, the remote queues of both filled; a further block of each. */
static void two_ready_slabs(void) {
    have_heaps(3);
    fill_slab(0);
    unsigned first = b[0];
    unsigned second = b[1];
    fill_slab(0);
    model_become(1);
    world_free_home(first);
    world_free_home(b[7]);
    b[0] = second;
}

/* The owner's ready list is two slabs short of HAK_ASLEEP_SLOTS. */
static void long_ready_list(void) {
    have_heaps(3);
    model_become(0);
    world_alloc_many(8 * HAK_ASLEEP_SLOTS);
    model_become(1);
    for (unsigned i = 0; i < HAK_ASLEEP_SLOTS; i++) {
        b[i] = 8 * i;
        if (i >= 2) {
            world_free_home(b[i]);
        }
    }
}

/* Thread 1 frees blocks of two slabs in turn. */
static void two_slabs_scattered(void) {
    have_heaps(3);
    fill_slab(0);
    unsigned first = b[0];
    fill_slab(0);
    b[0] = first;
    model_become(1);
    world_scatter();
}

/* ---- What threads do --------------------------------------------------------------------------- */

static void frees_0(void) {
    world_free_home(b[0]);
}

static void frees_1(void) {
    world_free_home(b[1]);
}

static void frees_0_1(void) {
    world_free_home(b[0]);
    world_free_home(b[1]);
}

static void frees_0_1_at_once(void) {
    world_free(b[0]);
    world_free(b[1]);
}

static void frees_1_allocates(void) {
    world_free_home(b[1]);
    (void)world_alloc();
}

static void frees_1_exits(void) {
    world_free(b[1]);
    model_exit_thread();
}

static void allocates(void) {
    (void)world_alloc();
}

static void allocates_two(void) {
    world_alloc_many(2);
}

static void allocates_three(void) {
    world_alloc_many(3);
}

static void allocates_other(void) {
    (void)world_alloc_size(WORLD_OTHER);
}

static void allocates_exits(void) {
    (void)world_alloc();
    model_exit_thread();
}

static void frees_0_exits(void) {
    world_free(b[0]);
    model_exit_thread();
}

static void exits(void) {
    model_exit_thread();
}

static void exits_frees_1_allocates(void) {
    model_exit_thread();
    world_free(b[1]);
    (void)world_alloc();
}

static void turns_reserve_over(void) {
    (void)world_alloc();
    world_free(b[0]);
    world_set_apart();
    (void)world_alloc();
}

static void sets_apart_twice(void) {
    world_free(b[0]);
    world_set_apart();
    world_free(b[1]);
    world_set_apart();
}

static void exits_frees_1(void) {
    model_exit_thread();
    world_free(b[1]);
}

/* Takes every lock there is, and lets go of them. */
static void searches(void) {
    (void)hak_heap_block_is_free(world_block(b[2]), hak_class_of(WORLD_SIZE));
}

static void trims(void) {
    (void)hak_trim_all();
}

static void forks(void) {
    model_fork();
}

static void forks_allocates(void) {
    model_fork();
    (void)world_alloc();
}


/* ---- What only one scenario can promise ---------------------------------------------------------- */

static void two_are_home(void) {
    const hak_slab_t *slab = world_heap(0)->shelves[hak_class_of(WORLD_SIZE)].slabs;
    if (slab == NULL || slab->free_count != 2) {
        model_fail("two blocks of the orphan did not come home");
    }
}

static void slab_is_gone(void) {
    if (hak_counters.released_slabs != 1 || world_slabs_active() != 0) {
        model_fail("the slab was released %u times", (unsigned)hak_counters.released_slabs);
    }
}

/* ---- The table ----------------------------------------------------------------------------------- */

const scenario_t scenarios[] = {
    {.name = "two producers, owner refills",
     .set_up = full_slab,
     .finish = world_finish,
     .threads = {{"owner", allocates_two}, {"producer", frees_0}, {"second", frees_1}}},
    {.name = "refill beside the remote queue",
     .set_up = slab_of_six,
     .finish = world_finish,
     .threads = {{"owner", allocates_three}, {"producer", frees_0_1}}},
    {.name = "refill, two producers",
     .set_up = slab_of_six,
     .finish = world_finish,
     .threads = {{"owner", allocates_three}, {"producer", frees_0}, {"second", frees_1}}},
    {.name = "sleeper's long ready list",
     .set_up = long_ready_list,
     .finish = world_finish,
     .threads = {{"owner", allocates}, {"producer", frees_0}, {"second", frees_1}}},
    {.name = "scattered frees, owner refills",
     .set_up = two_slabs_scattered,
     .finish = world_finish,
     .threads = {{"owner", allocates_two}, {"taker", frees_0_1_at_once}}},
    {.name = "scattered frees, owner exits",
     .set_up = two_slabs_scattered,
     .finish = world_finish,
     .threads = {{"owner", exits}, {"taker", frees_0_1_at_once}}},
    {.name = "owner exits, producer",
     .set_up = full_slab,
     .finish = world_finish,
     .threads = {{"owner", exits}, {"producer", frees_0_1}},
     .check = two_are_home},
    {.name = "owner exits, two producers",
     .set_up = full_slab,
     .finish = world_finish,
     .threads = {{"owner", exits}, {"producer", frees_0}, {"second", frees_1}},
     .check = two_are_home},
    {.name = "owner exits, idle bin goes home",
     .set_up = idle_bin,
     .finish = world_finish,
     .threads = {{"owner", exits}, {"producer", allocates_other}, {"second", frees_1}}},
    {.name = "adopted on the way",
     .set_up = orphan_of_seven,
     .finish = world_finish,
     .threads = {{"producer", frees_0}, {"adopter", allocates_two}}},
    {.name = "adopted, and its owner exits",
     .set_up = orphan_of_seven,
     .finish = world_finish,
     .threads = {{"producer", frees_0}, {"adopter", allocates_exits}}},
    {.name = "two adopters on the way",
     .set_up = orphan_of_seven,
     .finish = world_finish,
     .threads = {{"producer", frees_0},
                 {"adopter", allocates},
                 {"second", allocates}}},
    {.name = "adopted or taken over whole",
     .set_up = orphan_of_seven_newcomer,
     .finish = world_finish,
     .threads = {{"producer", frees_0},
                 {"adopter", allocates},
                 {"newcomer", allocates}}},
    {.name = "exits, taken over whole",
     .set_up = full_slab_newcomer,
     .finish = world_finish,
     .threads = {{"owner", exits}, {"producer", frees_0}, {"newcomer", allocates}}},
    {.name = "two exits, adopter",
     .set_up = full_slab,
     .finish = world_finish,
     .threads = {{"owner", exits}, {"producer", frees_0_exits}, {"adopter", allocates_exits}}},
    {.name = "last block of an orphan",
     .set_up = orphan_of_two,
     .finish = world_finish,
     .threads = {{"producer", frees_0}, {"second", frees_1}},
     .check = slab_is_gone},
    {.name = "last block, adopter",
     .set_up = orphan_of_two,
     .finish = world_finish,
     .threads = {{"producer", frees_0},
                 {"second", frees_1},
                 {"adopter", allocates}}},
    {.name = "release on the way",
     .set_up = slab_of_two,
     .finish = world_finish,
     .threads = {{"owner", frees_1_allocates}, {"producer", frees_0}, {"taker", allocates_other}}},
    {.name = "two slabs on the ready list",
     .set_up = two_ready_slabs,
     .finish = world_finish,
     .threads = {{"owner", allocates}, {"producer", frees_0}, {"second", frees_1}}},
    {.name = "slab waits, owner refills",
     .set_up = slab_waits,
     .finish = world_finish,
     .threads = {{"owner", allocates_two}, {"producer", frees_0}, {"second", frees_1}}},
    {.name = "slab waits, owner exits",
     .set_up = slab_waits,
     .finish = world_finish,
     .threads = {{"owner", exits}, {"producer", frees_0}, {"adopter", allocates}}},
    {.name = "slab waits, trim",
     .set_up = slab_waits,
     .finish = world_finish,
     .threads = {{"owner", allocates}, {"trimmer", trims}, {"producer", frees_0}}},
    {.name = "slab waits, fork beside a producer",
     .set_up = slab_of_another_waits,
     .finish = world_finish,
     .threads = {{"forker", forks}, {"producer", frees_0}},
     .forks = true},
    {.name = "trim of an orphan, producer",
     .set_up = orphan_of_seven,
     .finish = world_finish,
     .threads = {{"trimmer", trims}, {"producer", frees_0}}},
    {.name = "trim, reserve taken back",
     .set_up = slab_and_reserve,
     .finish = world_finish,
     .threads = {{"owner", turns_reserve_over}, {"trimmer", trims}, {"producer", frees_1}}},
    {.name = "trim, reserve set apart",
     .set_up = slab_and_reserve,
     .finish = world_finish,
     .threads = {{"owner", sets_apart_twice}, {"trimmer", trims}, {"second", trims}}},
    {.name = "trim, producer, exit",
     .set_up = slab_of_two,
     .finish = world_finish,
     .threads = {{"trimmer", trims}, {"producer", frees_0}, {"second", frees_1_exits}}},
    {.name = "trim, exit, newcomer",
     .set_up = full_slab_newcomer,
     .finish = world_finish,
     .threads = {{"owner", frees_1_exits}, {"trimmer", trims}, {"newcomer", allocates}}},
    {.name = "all locks taken, producer",
     .set_up = orphan_of_seven,
     .finish = world_finish,
     .threads = {{"searcher", searches}, {"producer", frees_0}}},
    {.name = "late in the owner's life",
     .set_up = full_slab,
     .finish = world_finish,
     .threads = {{"owner", exits_frees_1_allocates}, {"producer", frees_0}}},
    {.name = "fork beside a producer",
     .set_up = full_slab_of_another,
     .finish = world_finish,
     .threads = {{"forker", forks}, {"producer", frees_0}},
     .forks = true},
    {.name = "fork beside a newcomer",
     .set_up = orphan_of_seven_fork,
     .finish = world_finish,
     .threads = {{"forker", forks_allocates}, {"newcomer", allocates}},
     .forks = true},
    {.name = "fork beside a late allocation",
     .set_up = full_slab_fork,
     .finish = world_finish,
     .threads = {{"late", exits_frees_1_allocates}, {"forker", forks}},
     .forks = true},
    {.name = "fork beside an exit",
     .set_up = full_slab_fork,
     .finish = world_finish,
     .threads = {{"forker", forks_allocates}, {"second", frees_1_exits}},
     .forks = true},
    {.name = "fork beside a late free",
     .set_up = full_slab_fork,
     .finish = world_finish,
     .threads = {{"forker", forks_allocates}, {"late", exits_frees_1}},
     .forks = true},
    {.name = "fork beside a reserve",
     .set_up = slab_and_reserve_fork,
     .finish = world_finish,
     .threads = {{"owner", turns_reserve_over}, {"forker", forks_allocates}},
     .forks = true},
    {.name = "fork, producer, exit",
     .set_up = full_slab_fork,
     .finish = world_finish,
     .threads = {{"forker", forks_allocates}, {"producer", frees_0}, {"second", frees_1_exits}},
     .forks = true},
    {.name = "late, adopter, producer",
     .set_up = full_slab,
     .finish = world_finish,
     .threads = {{"owner", exits_frees_1_allocates},
                 {"producer", frees_0},
                 {"adopter", allocates_exits}},
     .large = true},
    {.name = "late, newcomer, producer",
     .set_up = full_slab_newcomer,
     .finish = world_finish,
     .threads = {{"owner", exits_frees_1_allocates},
                 {"producer", frees_0},
                 {"newcomer", allocates_exits}},
     .large = true},
    {.name = "exit, newcomer, two producers",
     .set_up = full_slab_newcomer_four,
     .finish = world_finish,
     .threads = {{"owner", exits},
                 {"producer", frees_0},
                 {"second", frees_1},
                 {"newcomer", allocates}},
     .large = true},
    {.name = "exit, newcomer, adopter, producer",
     .set_up = full_slab_newcomer_four,
     .finish = world_finish,
     .threads = {{"owner", frees_1_exits},
                 {"producer", frees_0},
                 {"adopter", allocates_exits},
                 {"newcomer", allocates}},
     .large = true},
    {.name = "two adopters, two producers",
     .set_up = orphan_of_seven_four,
     .finish = world_finish,
     .threads = {{"producer", frees_0},
                 {"second", frees_1},
                 {"adopter", allocates_exits},
                 {"third", allocates_exits}},
     .large = true},
    {.name = "exit, trim, adopter, producer",
     .set_up = full_slab_four,
     .finish = world_finish,
     .threads = {{"owner", frees_1_exits},
                 {"producer", frees_0},
                 {"adopter", allocates_exits},
                 {"trimmer", trims}},
     .large = true},
};
const unsigned scenario_count = sizeof scenarios / sizeof scenarios[0];
