/* memory.c: replays the phases of a program's life and records live bytes and resident memory
 *
 * Owns:      THREADS tables of blocks.
 * Threads:   all go through the same steps, with a barrier after each. A table belongs to one
 *            thread during a phase; the barrier at its end may hand it to another. The main thread
 *            is worker 0, and takes a sample after each step, while the others wait.
 *
 * What is live after each step follows from the arguments alone: samples of different allocators
 * can be laid over each other. Blocks are written from end to end, so that resident memory is what
 * a program would really use.
 *
 * Scenarios:
 *   replay     grow; churn while sizes drift to their double, beginning with blocks of another
 *              thread; shrink to a sixteenth; idle; grow again; free all; idle
 *   burst      allocate, free all, idle
 *   handover   the same, but each thread frees what another one allocated
 *   survivors  allocate blocks of 512 bytes, free all but every sixteenth, idle, free these, idle
 */
#include "samples.h"

#include <pthread.h>

static const char usage[] = "memory SCENARIO THREADS PEAK_KIB SEED [SAMPLES_FILE]";

/* ---- scenarios ---- */

typedef enum { GROW, CHURN, SHRINK, SIEVE, IDLE } action_t;

typedef struct {
    const char *name;
    action_t action;
    unsigned sixteenths; /* GROW, SHRINK: how much of the peak lives at the end */
    unsigned shift;      /* worker i is at work on table i + shift */
} phase_t;

typedef struct {
    const char *name;
    size_t fixed_size; /* 0: a mix of sizes */
    phase_t phases[8]; /* ended by one without a name */
} scenario_t;

static const scenario_t scenarios[] = {
    {"replay",
     0,
     {{"grow", GROW, 16, 0},
      {"churn", CHURN, 16, 1},
      {"shrink", SHRINK, 1, 1},
      {"idle", IDLE, 0, 0},
      {"regrow", GROW, 16, 1},
      {"free", SHRINK, 0, 1},
      {"idle-end", IDLE, 0, 0}}},
    {"burst", 0, {{"grow", GROW, 16, 0}, {"free", SHRINK, 0, 0}, {"idle", IDLE, 0, 0}}},
    {"handover", 0, {{"grow", GROW, 16, 0}, {"free", SHRINK, 0, 1}, {"idle", IDLE, 0, 0}}},
    {"survivors",
     512,
     {{"grow", GROW, 16, 0},
      {"free 15/16", SIEVE, 0, 0},
      {"idle", IDLE, 0, 0},
      {"free", SHRINK, 0, 0},
      {"idle-end", IDLE, 0, 0}}},
};

#define STEPS 32      /* a phase; one sample each */
#define CHURN_TURNS 4 /* how often the churn replaces what lives */
#define SURVIVOR_ONE_IN 16

/* ---- tables of blocks ---- */

/* Larger than what is ever needed: blocks average 400 bytes. */
#define BYTES_PER_ENTRY 128
#define MIN_ENTRIES 4096

typedef struct {
    unsigned char *bytes;
    uint32_t size;
    uint32_t owner; /* in the sense of the seal */
} entry_t;

typedef struct {
    _Alignas(BENCH_CACHE_LINE) entry_t *entries;
    uint64_t capacity;
    uint64_t count;
    uint64_t live_bytes;
    uint64_t sieved; /* SIEVE: entries looked at so far, in this order of places: kept, not yet */
    uint64_t kept;
    uint32_t next_owner;
    bench_random_t random;
} table_t;

#define MAX_THREADS 64
#define MIN_PEAK_KIB 1024
#define MAX_PEAK_KIB (8 << 20)

/* Const once the threads run. */
static const scenario_t *scenario;
static uint64_t thread_count;
static uint64_t share_bytes; /* of one table at the peak */

static table_t tables[MAX_THREADS];
static pthread_barrier_t barrier;

/* ---- sizes ---- */

/* Out of 4,096 blocks, for each range; inside it, every doubling is as likely as the next. By bytes
 * about two fifths are below 1 KiB, two fifths below 32 KiB, one fifth above. */
static const struct {
    unsigned share;
    unsigned min_size;
    unsigned doublings;
} ranges[] = {{2900, 16, 3}, {1120, 128, 3}, {74, 1024, 5}, {2, 32768, 4}};

static uint64_t mixed_size(uint64_t bits) {
    unsigned draw = bits % 4096;
    unsigned range = 0;
    while (draw >= ranges[range].share) {
        draw -= ranges[range].share;
        range++;
    }
    uint64_t min_size = (uint64_t)ranges[range].min_size
                        << bench_scale(bits >> 12, ranges[range].doublings);
    return min_size + bench_scale(bits >> 24, min_size);
}

/* ---- blocks ---- */

/* `drift` out of STEPS: 0 leaves the size as it is, STEPS doubles it. */
static void add_block(table_t *table, uint64_t drift) {
    if (table->count == table->capacity) {
        bench_die("the table of blocks is full", NULL);
    }
    uint64_t size = scenario->fixed_size;
    if (size == 0) {
        size = mixed_size(bench_random_next(&table->random));
        size += size * drift / STEPS;
    }
    entry_t *entry = &table->entries[table->count++];
    entry->size = (uint32_t)size;
    entry->owner = table->next_owner++;
    entry->bytes = malloc(size);
    if (entry->bytes == NULL) {
        bench_die("malloc returned NULL", NULL);
    }
    memset(entry->bytes, (int)(entry->owner % 255) + 1, size);
    bench_seal(entry->bytes, size, entry->owner);
    table->live_bytes += size;
}

static void drop_block(table_t *table, const entry_t *entry) {
    table->live_bytes -= entry->size;
    bench_drop(entry->bytes, entry->size, entry->owner);
}

static void drop_random_block(table_t *table) {
    uint64_t at = bench_scale(bench_random_next(&table->random), table->count);
    drop_block(table, &table->entries[at]);
    table->entries[at] = table->entries[--table->count];
}

/* ---- one step of a phase ---- */

/* What lives after this step, on the straight line from `from` to `to`. */
static uint64_t step_target(uint64_t from, uint64_t to, uint64_t step) {
    return from < to ? from + (to - from) * (step + 1) / STEPS
                     : from - (from - to) * (step + 1) / STEPS;
}

static void grow(table_t *table, const phase_t *phase, uint64_t start_bytes, uint64_t step) {
    uint64_t target = step_target(start_bytes, share_bytes * phase->sixteenths / 16, step);
    while (table->live_bytes < target) {
        add_block(table, 0);
    }
}

static void shrink(table_t *table, const phase_t *phase, uint64_t start_bytes, uint64_t step) {
    uint64_t target = step_target(start_bytes, share_bytes * phase->sixteenths / 16, step);
    while (table->live_bytes > target) {
        drop_random_block(table);
    }
}

static void churn(table_t *table, uint64_t step) {
    uint64_t left = share_bytes * CHURN_TURNS / STEPS;
    while (left > 0) {
        uint64_t before = table->live_bytes;
        drop_random_block(table);
        uint64_t dropped = before - table->live_bytes;
        left -= dropped < left ? dropped : left;
        while (table->live_bytes < share_bytes) {
            add_block(table, step + 1);
        }
    }
}

/* Frees in the order of allocation all but every sixteenth block. */
static void sieve(table_t *table, uint64_t step) {
    uint64_t end = table->count * (step + 1) / STEPS;
    for (; table->sieved < end; table->sieved++) {
        entry_t *entry = &table->entries[table->sieved];
        if (table->sieved % SURVIVOR_ONE_IN == 0) {
            table->entries[table->kept++] = *entry;
        } else {
            drop_block(table, entry);
        }
    }
    if (step + 1 == STEPS) {
        table->count = table->kept;
    }
}

static void do_step(table_t *table, const phase_t *phase, uint64_t start_bytes, uint64_t step) {
    switch (phase->action) {
    case GROW:
        grow(table, phase, start_bytes, step);
        break;
    case CHURN:
        churn(table, step);
        break;
    case SHRINK:
        shrink(table, phase, start_bytes, step);
        break;
    case SIEVE:
        sieve(table, step);
        break;
    case IDLE:
        break;
    }
}

/* ---- threads ---- */

static uint64_t live_bytes(void) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < thread_count; i++) {
        sum += tables[i].live_bytes;
    }
    return sum;
}

static void work_through(const phase_t *phase, uint64_t worker, table_t *table) {
    uint64_t start_bytes = table->live_bytes;
    for (uint64_t step = 0; step < STEPS; step++) {
        do_step(table, phase, start_bytes, step);
        pthread_barrier_wait(&barrier); /* all have done the step */
        if (worker == 0) {
            samples_take(phase->name, live_bytes());
        }
        pthread_barrier_wait(&barrier); /* the sample is taken */
    }
}

static void live(uint64_t worker) {
    for (uint64_t i = 0; scenario->phases[i].name != NULL; i++) {
        const phase_t *phase = &scenario->phases[i];
        if (phase->action != IDLE) {
            work_through(phase, worker, &tables[(worker + phase->shift) % thread_count]);
        } else if (worker == 0) {
            samples_idle(phase->name, live_bytes());
        }
        pthread_barrier_wait(&barrier);
    }
}

static void *run_worker(void *argument) {
    live((uint64_t)((table_t *)argument - tables));
    return NULL;
}

static void run_all(void) {
    pthread_t threads[MAX_THREADS];
    pthread_barrier_init(&barrier, NULL, (unsigned)thread_count);
    for (uint64_t i = 1; i < thread_count; i++) {
        if (pthread_create(&threads[i], NULL, run_worker, &tables[i]) != 0) {
            bench_die("cannot create a thread", NULL);
        }
    }
    live(0);
    for (uint64_t i = 1; i < thread_count; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void open_tables(uint64_t seed) {
    for (uint64_t i = 0; i < thread_count; i++) {
        tables[i].capacity = share_bytes / BYTES_PER_ENTRY + MIN_ENTRIES;
        tables[i].entries = samples_exclude(tables[i].capacity * sizeof(entry_t));
        tables[i].random = bench_random_start(seed, i);
        tables[i].next_owner = (uint32_t)(i << 26);
    }
}

int main(int argc, char **argv) {
    if (argc != 5 && argc != 6) {
        bench_usage(usage);
    }
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (strcmp(argv[1], scenarios[i].name) == 0) {
            scenario = &scenarios[i];
        }
    }
    if (scenario == NULL) {
        fputs("the scenarios are replay, burst, handover and survivors\n", stderr);
        bench_usage(usage);
    }
    thread_count = bench_arg(argv[2], 1, MAX_THREADS, usage);
    uint64_t peak_kib = bench_arg(argv[3], MIN_PEAK_KIB, MAX_PEAK_KIB, usage);
    uint64_t seed = bench_arg(argv[4], 0, UINT64_MAX, usage);
    share_bytes = (peak_kib << 10) / thread_count;

    samples_start();
    open_tables(seed);
    samples_take("start", 0);
    run_all();
    samples_print();
    if (argc == 6) {
        samples_write(argv[5]);
    }
    return 0;
}
