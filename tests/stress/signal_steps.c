// A signal handler that allocates, before any single instruction of malloc and free.
//
// usage: signal_steps [CHILDREN] [SEED]     (1,200, a moment each, drawn at random; 0: all moments)
//
// A fixed course of allocations and frees is run once, one instruction at a time, to learn which
// instructions each operation runs. A moment is an operation, one of its instructions, what
// the handler does there, and how long what it allocated lives. A child does the operation, goes on
// with the course, and then uses and gives back much memory. It has to end well with every payload
// intact, or to be stopped with a line: see signals.c.
#include <dlfcn.h>
#include <malloc.h>
#include <sys/mman.h>

#include "outcome.h"
#include "payload.h"
#include "steps.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { WAVE = 200, COURSE = 900, PLACES = 300, AFTER = 400, MANY = 600 };
enum { MOST_STEPS = 1 << 20, MOST_MOMENTS = 1 << 16, SHORT_PATH = 60 };
enum { SHORT_WEIGHT = 8, KINDS = 4 };
enum { PRESSURE_BLOCKS = 1500, PRESSURE_BYTES = 1 << 20 };

typedef enum { OP_MALLOC, OP_FREE, OP_REALLOC, OP_CALLOC } op_kind_t;

typedef struct {
    op_kind_t kind;
    size_t place;
    size_t size; // of the new block; of the old one, if it is freed
} op_t;

// What was learned, in memory that the child that learns shares.
typedef struct {
    size_t used;
    size_t starts[COURSE + 1]; // of each operation's steps
    uintptr_t steps[MOST_STEPS]; // addresses of instructions
} lesson_t;

// The first step at which the course comes to an instruction in an operation of a kind.
typedef struct {
    size_t op, step;
} moment_t;

typedef enum { FATE_AT_ONCE, FATE_IN_BETWEEN, FATE_AT_THE_END, FATES } fate_t;

static const size_t sizes[] = {64, 1000, 16, 3000, 12000, 30000, 100000, 100};

static op_t course[COURSE];
static payload_t places[PLACES];
static payload_t given[COUNT_OF(sizes)][MANY]; // for the handler to free
static payload_t kept[2 * MANY + 8];           // what the handler allocated
static size_t kept_count;
static uint64_t random_of_handler = 99;
static lesson_t *lesson;
static moment_t moments[MOST_MOMENTS];
static size_t moment_count;

// The moment, for the child.
static const op_t *op_now;
static size_t act_now;
static fate_t fate_now;
static uintptr_t break_now;
static long visits_now;

// ---- the course

// Waves, in which bins overflow and run dry; then a random mixture.
static void plan_course(void) {
    static size_t size_at[PLACES]; // 0: no block
    uint64_t random = 12345;
    for (size_t n = 0; n < COURSE; n++) {
        size_t place = n < 2 * WAVE ? n % WAVE : stress_below(&random, PLACES);
        size_t dice = n < 2 * WAVE ? 1 : stress_below(&random, 8);
        size_t mixed = stress_below(&random, 3) != 0 ? 0 : stress_below(&random, COUNT_OF(sizes));
        size_t size = sizes[n < 2 * WAVE ? n % 3 : mixed];
        if (stress_is_hardened() && size > 100) { // all bytes of a block are filled and looked at
            size = 100;
        }
        op_kind_t kind = size_at[place] == 0 ? OP_MALLOC : OP_FREE;
        if (dice == 0 && size <= 1000) { // clearing and copying are many steps that teach nothing
            kind = kind == OP_MALLOC ? OP_CALLOC : OP_REALLOC;
        }
        course[n] = (op_t){kind, place, kind == OP_FREE ? size_at[place] : size};
        size_at[place] = kind == OP_FREE ? 0 : size;
    }
}

static size_t given_of(size_t size) {
    return size <= 64 ? MANY : size <= 1000 ? MANY / 2 : 20;
}

static void make_given(void) {
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (size_t k = 0; k < given_of(sizes[i]); k++) {
            payload_allocate(&given[i][k], sizes[i], &random_of_handler);
        }
    }
}

typedef enum { PLAIN, LEARNING, BREAKING } way_t;

static void note_step(uintptr_t address) {
    if (lesson->used < MOST_STEPS) {
        lesson->steps[lesson->used++] = address;
    }
}

static void act(void);

// The call and no more is what is learned, or broken into.
static unsigned char *call(const op_t *op, unsigned char *old, way_t way) {
    unsigned char *p = NULL;
    if (way == LEARNING) {
        steps_learn(note_step);
    } else if (way == BREAKING) {
        (void)steps_break(break_now, visits_now, act);
    }
    switch (op->kind) {
    case OP_MALLOC:
        p = malloc(op->size);
        break;
    case OP_CALLOC:
        p = calloc(op->size, 1);
        break;
    case OP_REALLOC:
        p = realloc(old, op->size);
        break;
    default:
        free(old);
    }
    if (way == LEARNING) {
        steps_learned();
    } else if (way == BREAKING) {
        steps_unbreak();
    }
    return p;
}

static void operate(const op_t *op, way_t way) {
    payload_t *block = &places[op->place];
    payload_t old = *block;
    if (old.p != NULL) {
        payload_verify(block, "main's block");
    }
    *block = (payload_t){call(op, old.p, way), op->size, (unsigned char)(op - course)};
    if (op->kind == OP_FREE) {
        return;
    }
    if (block->p == NULL) {
        STRESS_FAIL("signal_steps: no memory\n");
    }
    if (op->kind == OP_REALLOC) {
        old.p = block->p;
        old.size = old.size < block->size ? old.size : block->size;
        payload_verify(&old, "main's block");
    }
    payload_fill(block);
}

// ---- what the handler does

static size_t index_of_size(void) {
    size_t i = 0;
    while (sizes[i] != op_now->size) {
        i++;
    }
    return i;
}

static payload_t *take(size_t size) {
    payload_t *block = &kept[kept_count++];
    payload_allocate(block, size, &random_of_handler);
    return block;
}

static void give_back(payload_t *block) {
    if (block->p != NULL) {
        payload_release(block, "the handler's block");
    }
}

static void give(size_t k) {
    give_back(&given[index_of_size()][k]);
}

static void act_take(void) {
    take(op_now->size);
}

static void act_take_two(void) {
    take(op_now->size);
    take(op_now->size);
}

static void act_take_many(void) {
    for (size_t i = 0; i < given_of(op_now->size); i++) {
        take(op_now->size);
    }
}

static void act_come_and_go(void) {
    give_back(take(op_now->size));
}

static void act_give_back_the_first(void) {
    payload_t *first = take(op_now->size);
    take(op_now->size);
    give_back(first);
}

static void act_give_back_both_crosswise(void) {
    payload_t *first = take(op_now->size);
    payload_t *second = take(op_now->size);
    give_back(first);
    give_back(second);
}

static void act_give(void) {
    give(kept_count % 8);
}

static void act_give_and_take(void) {
    give(0);
    take(op_now->size);
}

static void act_take_and_give(void) {
    take(op_now->size);
    give(0);
}

static void act_give_many(void) {
    for (size_t i = 0; i < given_of(op_now->size); i++) {
        give(i);
    }
}

static void act_resize(void) {
    payload_t *block = &given[index_of_size()][0];
    if (block->p != NULL) {
        payload_resize(block, op_now->size * 2, "the handler's block");
    }
}

static void act_take_others(void) {
    take(200);
    take(op_now->size * 4);
    take(100000);
}

static void act_trim(void) {
    malloc_trim(0);
}

static const struct {
    const char *name;
    void (*run)(void);
} acts[] = {
    {"take", act_take},
    {"take two", act_take_two},
    {"take many", act_take_many},
    {"come and go", act_come_and_go},
    {"take two, give back the first", act_give_back_the_first},
    {"take two, give back both crosswise", act_give_back_both_crosswise},
    {"give", act_give},
    {"give and take", act_give_and_take},
    {"take and give", act_take_and_give},
    {"give many", act_give_many},
    {"resize", act_resize},
    {"take others", act_take_others},
    {"trim", act_trim},
};

static void act(void) {
    acts[act_now].run();
}

// ---- a child

static void give_back_kept(void) {
    for (size_t i = 0; i < kept_count; i++) {
        give_back(&kept[i]);
    }
}

// Much memory of the size comes and goes: whatever is wrong with a list has its chance to show.
static void press(void) {
    static payload_t blocks[PRESSURE_BLOCKS];
    size_t fitting = PRESSURE_BYTES / op_now->size;
    size_t n = fitting < PRESSURE_BLOCKS ? fitting : PRESSURE_BLOCKS;
    for (size_t i = 0; i < n; i++) {
        payload_allocate(&blocks[i], op_now->size, &random_of_handler);
    }
    for (size_t i = 0; i < n; i++) {
        payload_release(&blocks[i], "main's block");
    }
}

static void give_back_all(void) {
    for (size_t i = 0; i < PLACES; i++) {
        give_back(&places[i]);
    }
    for (size_t i = 0; i < COUNT_OF(sizes) * MANY; i++) {
        give_back(&given[i / MANY][i % MANY]);
    }
    give_back_kept();
}

static void child_of_moment(void) {
    size_t op = (size_t)(op_now - course);
    size_t end = op + AFTER < COURSE ? op + AFTER : COURSE;
    operate(op_now, BREAKING);
    for (size_t n = op + 1; n < end; n++) {
        if (fate_now == FATE_AT_ONCE || (fate_now == FATE_IN_BETWEEN && n == op + AFTER / 4)) {
            give_back_kept();
        }
        operate(&course[n], PLAIN);
    }
    press();
    give_back_all();
    malloc_trim(0);
    press();
}

static void child_that_learns(void) {
    for (size_t n = 0; n < COURSE; n++) {
        lesson->starts[n] = lesson->used;
        operate(&course[n], LEARNING);
    }
    lesson->starts[COURSE] = lesson->used;
}

// ---- main

// Whether no operation of the kind came to the instruction before.
static bool is_new(op_kind_t kind, uintptr_t address) {
    static uintptr_t seen[4 * MOST_MOMENTS];
    uintptr_t key = address * KINDS + (uintptr_t)kind;
    size_t i = stress_mix(key) % COUNT_OF(seen);
    while (seen[i] != 0 && seen[i] != key) {
        i = (i + 1) % COUNT_OF(seen);
    }
    bool found = seen[i] == key;
    seen[i] = key;
    return !found;
}

// Not libc's: the handler itself may need that before it takes its breakpoint away.
static bool is_of_hakmem(uintptr_t address) {
    Dl_info info;
    return dladdr((void *)address, &info) != 0 && info.dli_fname != NULL &&
           strstr(info.dli_fname, "hakmem") != NULL;
}

static void find_moments(void) {
    lesson = mmap(NULL, sizeof *lesson, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (lesson == MAP_FAILED) {
        STRESS_FAIL("signal_steps: no memory\n");
    }
    outcome_t outcome = outcome_of(child_that_learns);
    if (outcome.kind != OUTCOME_WELL) {
        STRESS_FAIL("signal_steps: the course alone: status %#x: %s\n", (unsigned)outcome.status,
                    outcome.text);
    }
    for (size_t op = 0; op < COURSE; op++) {
        for (size_t step = lesson->starts[op]; step < lesson->starts[op + 1]; step++) {
            if (moment_count < MOST_MOMENTS && is_new(course[op].kind, lesson->steps[step]) &&
                is_of_hakmem(lesson->steps[step])) {
                moments[moment_count++] = (moment_t){op, step};
            }
        }
    }
}

static bool is_on_short_path(const moment_t *moment) {
    return lesson->starts[moment->op + 1] - lesson->starts[moment->op] <= SHORT_PATH;
}

static void fail(const moment_t *moment, const outcome_t *outcome) {
    static const char *const kinds[] = {"malloc", "free", "realloc", "calloc"};
    Dl_info info = {0};
    uintptr_t address = lesson->steps[moment->step];
    (void)dladdr((void *)address, &info); // for addr2line
    STRESS_FAIL("signal_steps: operation %zu, %s of %zu bytes, \"%s\" at step %zu of %zu (visit "
                "%ld; %#zx of %s), fate %d: %s, status %#x: %s\n",
                moment->op, kinds[op_now->kind], op_now->size, acts[act_now].name,
                moment->step - lesson->starts[moment->op],
                lesson->starts[moment->op + 1] - lesson->starts[moment->op], visits_now,
                address - (uintptr_t)info.dli_fbase, info.dli_fname, (int)fate_now,
                outcome->hung ? "hangs" : "went wrong", (unsigned)outcome->status, outcome->text);
}

static void run_moment(const moment_t *moment, tally_t *tally) {
    op_now = &course[moment->op];
    break_now = lesson->steps[moment->step];
    stress_watchdog(2 * OUTCOME_SECONDS);
    outcome_t outcome = outcome_of(child_of_moment);
    if (outcome.kind == OUTCOME_WRONG) {
        fail(moment, &outcome);
    }
    tally_add(tally, &outcome);
}

static void run_at_random(const moment_t *moment, long times, uint64_t *random, tally_t *tally) {
    for (long i = 0; i < times; i++) {
        visits_now = stress_below(random, 4) != 0 ? 1 : 1 + (long)stress_below(random, 4);
        act_now = stress_below(random, COUNT_OF(acts));
        fate_now = (fate_t)stress_below(random, FATES);
        run_moment(moment, tally);
    }
}

static void run_every_way(const moment_t *moment, tally_t *tally) {
    visits_now = 1;
    for (size_t i = 0; i < COUNT_OF(acts) * FATES; i++) {
        act_now = i / FATES;
        fate_now = (fate_t)(i % FATES);
        run_moment(moment, tally);
    }
}

// Short paths are run most, and their moments are few: they get more than their share.
static void run_moments(long children, uint64_t *random, tally_t *tally) {
    double weights = 0;
    size_t done = 0;
    for (size_t i = 0; i < moment_count; i++) {
        weights += is_on_short_path(&moments[i]) ? SHORT_WEIGHT : 1;
    }
    for (size_t i = 0; i < moment_count; i++) {
        double weight = is_on_short_path(&moments[i]) ? SHORT_WEIGHT : 1;
        double share = (double)children * weight / weights;
        double luck = (double)stress_below(random, 1000) / 1000;
        for (; done < moments[i].op; done++) {
            operate(&course[done], PLAIN);
        }
        if (children == 0) {
            run_every_way(&moments[i], tally);
        } else {
            run_at_random(&moments[i], (long)(share + luck), random, tally);
        }
    }
}

int main(int argc, char **argv) {
    static tally_t tally;
    bool all = argc > 1 && strcmp(argv[1], "0") == 0;
    long children = all ? 0 : stress_argument(argc, argv, 1, 1200);
    uint64_t seed = (uint64_t)stress_argument(argc, argv, 2, (long)time(NULL) * 100000 + getpid());
    uint64_t random = stress_mix(seed) | 1;
    if (!STEPS_KNOWN || dlsym(RTLD_DEFAULT, "hak_version") == NULL) {
        printf("signal_steps: not for this processor, or not under this malloc: ok\n");
        return 0;
    }
    steps_install();
    plan_course();
    make_given();
    find_moments();
    run_moments(children, &random, &tally);
    tally_print(&tally);
    printf("signal_steps: seed %#llx, %zu instructions; %ld children ended well, %ld were stopped "
           "with a line: ok\n",
           (unsigned long long)seed, moment_count, tally.well, tally.stopped);
    return 0;
}
