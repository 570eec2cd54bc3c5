/* trace.c: see trace.h. */
#include "trace.h"

#include <stdio.h>
#include <string.h>

#include "remote_queue.h"
#include "world.h"

#define TEXT 64

typedef enum { VALUE_NUMBER, VALUE_QUEUE, VALUE_SLAB, VALUE_HEAP, VALUE_STATE } value_t;

typedef struct {
    char name[TEXT];
    value_t values;
} label_t;

static const scenario_t *scenario;

static const char *thread_name(unsigned actor) {
    const char *name = actor < SCHED_THREADS ? scenario->threads[actor].name : NULL;
    return name != NULL ? name : actor == SCHED_GUEST ? "(guest)" : "absent";
}

/* ---- Names ------------------------------------------------------------------------------------- */

typedef struct {
    size_t offset;
    const char *name;
    value_t values;
} field_t;

static const field_t heap_fields[] = {
    {offsetof(hak_heap_t, lock), "lock", VALUE_NUMBER},
    {offsetof(hak_heap_t, state), "state", VALUE_STATE},
    {offsetof(hak_heap_t, ready), "ready", VALUE_SLAB},
    {offsetof(hak_heap_t, ready_count), "ready_count", VALUE_NUMBER},
};
static const field_t slab_fields[] = {
    {offsetof(hak_slab_t, owner), "owner", VALUE_HEAP},
    {offsetof(hak_slab_t, carved), "carved", VALUE_NUMBER},
    {offsetof(hak_slab_t, remote), "remote", VALUE_QUEUE},
    {offsetof(hak_slab_t, ready_next), "ready_next", VALUE_SLAB},
};
#define FIELDS(array) (sizeof(array) / sizeof((array)[0]))

static bool label_field(label_t *label, const field_t *fields, size_t count, size_t offset,
                        const char *of) {
    for (size_t i = 0; i < count; i++) {
        if (fields[i].offset == offset) {
            (void)snprintf(label->name, TEXT, "%s.%s", of, fields[i].name);
            label->values = fields[i].values;
            return true;
        }
    }
    return false;
}

static bool label_heap(label_t *label, uintptr_t address) {
    char of[TEXT / 2];
    for (unsigned i = 0; i < world_heap_count(); i++) {
        size_t offset = address - (uintptr_t)world_heap(i);
        if (offset < sizeof(hak_heap_t)) {
            (void)snprintf(of, sizeof of, "%s", thread_name(world_heap_actor(world_heap(i))));
            return label_field(label, heap_fields, FIELDS(heap_fields), offset, of);
        }
    }
    return false;
}

static hak_superslab_t *superslab_of(uintptr_t address) {
    for (size_t unit = 0; unit < hak_map.unit_count; unit++) {
        hak_superslab_t *ss = hak_load_relaxed(&hak_map.records[unit]);
        if (ss != NULL && address - (uintptr_t)ss < sizeof *ss) {
            return ss;
        }
    }
    return NULL;
}

static bool label_slab(label_t *label, uintptr_t address) {
    char of[TEXT / 2];
    hak_superslab_t *ss = superslab_of(address);
    if (ss == NULL) {
        return false;
    }
    size_t offset = address - (uintptr_t)ss->slabs;
    (void)snprintf(of, sizeof of, "slab %zu", offset / sizeof(hak_slab_t));
    return label_field(label, slab_fields, FIELDS(slab_fields), offset % sizeof(hak_slab_t), of);
}

static label_t label_of(const variable_t *v) {
    label_t label = {.values = VALUE_NUMBER};
    size_t tag = v->address - (uintptr_t)hak_map.tags;
    if (label_heap(&label, v->address) || label_slab(&label, v->address)) {
        return label;
    }
    if (tag < hak_map.slot_count) {
        (void)snprintf(label.name, TEXT, "tag of slot %zu", tag % HAK_SLOTS);
    } else if (v->name != NULL) {
        const char *name = v->name + strspn(v->name, "(&");
        (void)snprintf(label.name, TEXT, "%.*s", (int)strcspn(name, ")"), name);
    } else {
        (void)snprintf(label.name, TEXT, "%#zx", (size_t)v->address);
    }
    return label;
}

static void value_text(char *text, value_t kind, uint64_t value) {
    const void *p = (const void *)value;
    if (kind == VALUE_STATE) {
        (void)snprintf(text, TEXT, "%s", value == HAK_HEAP_ORPHAN ? "ORPHAN" : "OWNED");
    } else if (kind == VALUE_QUEUE) {
        (void)snprintf(text, TEXT, "%u blocks", hak_remote_count(value));
    } else if (kind == VALUE_NUMBER) {
        (void)snprintf(text, TEXT, "%llu", (unsigned long long)value);
    } else if (value == 0) {
        (void)snprintf(text, TEXT, "none");
    } else if (kind == VALUE_HEAP) {
        (void)snprintf(text, TEXT, "%s's", thread_name(world_heap_actor(p)));
    } else if (kind == VALUE_SLAB) {
        (void)snprintf(text, TEXT, "slab %u", ((const hak_slab_t *)p)->index);
    } else {
        (void)snprintf(text, TEXT, "%p", p);
    }
}

/* ---- Lines ------------------------------------------------------------------------------------- */

static void operation_text(char *text, size_t room, const trace_line_t *line) {
    label_t label = label_of(line->operation.variable);
    const char *name = label.name;
    char before[TEXT];
    char after[TEXT];
    value_text(before, label.values, line->before);
    value_text(after, label.values, line->after);
    bool is_try = strcmp(line->operation.func, "hak_lock_try") == 0;
    switch (line->operation.kind) {
    case POINT_LOCK:
        (void)snprintf(text, room, "lock    %s", name);
        break;
    case POINT_UNLOCK:
        (void)snprintf(text, room, "unlock  %s", name);
        break;
    case POINT_LOAD:
        (void)snprintf(text, room, "load    %s: %s", name, after);
        break;
    case POINT_STORE:
        (void)snprintf(text, room, "store   %s: %s -> %s", name, before, after);
        break;
    case POINT_CAS:
        if (is_try) {
            (void)snprintf(text, room, "try     %s: %s", name, line->wrote ? "taken" : "is held");
        } else if (line->wrote) {
            (void)snprintf(text, room, "swap    %s: %s -> %s", name, before, after);
        } else {
            (void)snprintf(text, room, "no swap %s: %s", name, before);
        }
        break;
    case POINT_FORK:
    case POINT_FENCE:
        (void)snprintf(text, room, "%s",
                       line->operation.kind == POINT_FORK ? "fork" : "between two own stores");
        break;
    case POINT_SLEEP:
    case POINT_AWAKE:
    case POINT_WAKE:
        (void)snprintf(text, room, "%s %s",
                       line->operation.kind == POINT_SLEEP   ? "sleep on"
                       : line->operation.kind == POINT_AWAKE ? "woken by"
                                                             : "wake on",
                       name);
        break;
    default:
        (void)snprintf(text, room, "update  %s: %s -> %s", name, before, after);
    }
}

void trace_print(const scenario_t *of) {
    int last = -1;
    scenario = of;
    for (unsigned i = 0; i < sched_line_count(); i++) {
        const trace_line_t *line = sched_line(i);
        const char *thread = thread_name(line->thread);
        char text[4 * TEXT];
        const char *func = "";
        if (line->operation.kind == POINT_NOTE) {
            (void)snprintf(text, sizeof text, "%s", line->note);
        } else {
            operation_text(text, sizeof text, line);
            func = line->operation.func;
        }
        (void)printf("    %-9s %-54s %s\n", last == line->thread ? "" : thread, text, func);
        last = line->thread;
    }
    (void)printf("    %s\n", sched_failure());
}
