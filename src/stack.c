/* stack.c: see stack.h.
 *
 * Threads:   see stack.h.
 *
 * The unwinding is libgcc's, by glibc's backtrace(): it needs no frame pointers. Its first call
 * loads a library and allocates; later ones do neither. Files come from /proc/self/maps, not from
 * dladdr(), which takes a lock that the dying thread may hold.
 */
#include "stack.h"

#include <stdlib.h>
#include <sys/auxv.h>

#include "atomic.h"
#include "message.h"
#include "os.h"

/* So many frames may be hakmem's own. */
#define OWN_FRAMES 8U
#define NAME_BYTES 48U

/* Weak: a static program may be without it. */
extern int backtrace(void **frames, int most) __attribute__((weak));

static _Atomic bool is_on;           /* release in hak_stack_start(), acquire in hak_stack_take() */
static uintptr_t own_start, own_end; /* const once on: hakmem's code; none in a static program */

/* ---- Mappings ---------------------------------------------------------------------------------
 */

/* A line of /proc/self/maps: "start-end perms offset device inode path". */
typedef struct {
    uintptr_t start, end, offset;
    uintptr_t base; /* where the file's beginning is mapped */
    char name[NAME_BYTES];
} mapping_t;

typedef struct {
    mapping_t line;
    unsigned field; /* counted by the spaces and the dash in front of it */
    bool in_gap;
    size_t length; /* of the name: of the path's last part */
} parser_t;

enum { START, END, PERMISSIONS, OFFSET, DEVICE, INODE, PATH };

static void add_digit(uintptr_t *number, char c) {
    *number = *number * 16 + (uintptr_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void add_to_name(parser_t *parser, char c) {
    if (c == '/') {
        parser->length = 0;
    } else if (parser->length < NAME_BYTES - 1) {
        parser->line.name[parser->length++] = c;
    }
    parser->line.name[parser->length] = '\0';
}

static void parse_char(parser_t *parser, char c) {
    bool is_border = (c == ' ' && parser->field < PATH) || (c == '-' && parser->field == START);
    if (is_border) {
        parser->field += !parser->in_gap;
    } else if (parser->field == START) {
        add_digit(&parser->line.start, c);
    } else if (parser->field == END) {
        add_digit(&parser->line.end, c);
    } else if (parser->field == OFFSET) {
        add_digit(&parser->line.offset, c);
    } else if (parser->field == PATH) {
        add_to_name(parser, c);
    }
    parser->in_gap = is_border;
}

/* Calls visit for each mapping, with the base that the one of offset 0 before it had. */
static void each_mapping(void (*visit)(const mapping_t *mapping, void *context), void *context) {
    char text[512];
    size_t got;
    parser_t parser = {.field = START};
    int fd = hak_os_open_for_reading("/proc/self/maps");
    if (fd < 0) {
        return;
    }
    while ((got = hak_os_read(fd, text, sizeof text)) != 0) {
        for (size_t i = 0; i < got; i++) {
            if (text[i] != '\n') {
                parse_char(&parser, text[i]);
                continue;
            }
            uintptr_t base = parser.line.offset == 0 ? parser.line.start : parser.line.base;
            parser.line.base = base;
            visit(&parser.line, context);
            parser = (parser_t){.line.base = base};
        }
    }
    hak_os_close(fd);
}

/* ---- Taking ------------------------------------------------------------------------------------
 */

static void note_own(const mapping_t *mapping, void *unused) {
    (void)unused;
    uintptr_t here = (uintptr_t)hak_stack_take;
    uintptr_t program = (uintptr_t)getauxval(AT_ENTRY);
    if (here - mapping->start < mapping->end - mapping->start &&
        program - mapping->start >= mapping->end - mapping->start) {
        own_start = mapping->start;
        own_end = mapping->end;
    }
}

void hak_stack_start(void) {
    void *frames[4];
    if (backtrace != NULL && backtrace(frames, 4) > 0) {
        each_mapping(note_own, NULL);
        hak_store_release(&is_on, true);
    }
}

static bool is_own(const void *frame) {
    return (uintptr_t)frame - own_start < own_end - own_start;
}

void hak_stack_take(hak_stack_t *out) {
    void *frames[HAK_STACK_FRAMES + OWN_FRAMES];
    out->count = 0;
    if (!hak_load_acquire(&is_on)) {
        return;
    }
    int taken = backtrace(frames, (int)(HAK_STACK_FRAMES + OWN_FRAMES));
    unsigned count = taken > 0 ? (unsigned)taken : 0;
    unsigned first = 0;
    while (first < count && is_own(frames[first])) {
        first++;
    }
    for (; first < count && out->count < HAK_STACK_FRAMES; first++) {
        out->frames[out->count++] = frames[first];
    }
}

/* ---- Telling -----------------------------------------------------------------------------------
 */

typedef struct {
    const hak_stack_t *stack;
    mapping_t files[HAK_STACK_FRAMES]; /* of each frame; no name where none is known */
} told_t;

static void note_file(const mapping_t *mapping, void *context) {
    told_t *told = context;
    for (unsigned i = 0; i < told->stack->count; i++) {
        if ((uintptr_t)told->stack->frames[i] - mapping->start < mapping->end - mapping->start) {
            told->files[i] = *mapping;
        }
    }
}

void hak_stack_tell(const char *what, const hak_stack_t *stack) {
    static told_t told; /* the process ends; the stack may be a small one */
    if (stack->count == 0) {
        return;
    }
    told = (told_t){.stack = stack};
    each_mapping(note_file, &told);
    hak_message_trace("hakmem:   %s", what);
    for (unsigned i = 0; i < stack->count; i++) {
        const mapping_t *file = &told.files[i];
        uintptr_t frame = (uintptr_t)stack->frames[i];
        if (file->name[0] != '\0') {
            hak_message_trace("hakmem:     %p %s+0x%zx", stack->frames[i], file->name,
                              frame - file->base);
        } else {
            hak_message_trace("hakmem:     %p", stack->frames[i]);
        }
    }
}
