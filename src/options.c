/* options.c: see options.h.
 *
 * Threads:   start-up only.
 */
#include "options.h"

#include <string.h>

#include "message.h"
#include "os.h"

#define OPTION(name, variable, standard, low, high, help) .name = (standard),
hak_options_t hak_options = {
#include "options.def"
};
#undef OPTION

typedef struct {
    const char *variable;
    unsigned *value;
    unsigned standard, low, high;
    const char *help;
} entry_t;

#define OPTION(name, variable, standard, low, high, help)                                          \
    {(variable), &hak_options.name, (standard), (low), (high), (help)},
static const entry_t table[] = {
#include "options.def"
};
#undef OPTION

#define TABLE_LENGTH (sizeof table / sizeof table[0])

/* Words that an option of the given range takes beside numbers. */
static bool read_word(const char *text, const entry_t *entry, unsigned *out) {
    static const struct {
        const char *word;
        unsigned value, high;
        const unsigned *only; /* NULL: any of that range */
    } words[] = {{"no", 0, 1, NULL},
                 {"yes", 1, 1, NULL},
                 {"off", 0, 1, NULL},
                 {"on", 1, 1, NULL},
                 {"off", 0, 2, NULL},
                 {"on", 1, 2, NULL},
                 {"auto", 2, 2, &hak_options.thp},
                 {"warn", 2, 2, &hak_options.harden}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        bool takes = words[i].only == NULL || words[i].only == entry->value;
        if (takes && entry->high == words[i].high && strcmp(text, words[i].word) == 0) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

static bool read_number(const char *text, unsigned *out) {
    uint64_t n = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || n > UINT32_MAX) {
            return false;
        }
        n = n * 10 + (unsigned)(*text - '0');
    }
    *out = (unsigned)hak_min(n, UINT32_MAX);
    return n <= UINT32_MAX;
}

static void set(const entry_t *entry, const char *text) {
    unsigned value = 0;
    if ((read_word(text, entry, &value) || read_number(text, &value)) && value >= entry->low &&
        value <= entry->high) {
        *entry->value = value;
        return;
    }
    hak_message_warn("%s=%s is not a number from %u to %u; using %u", entry->variable, text,
                     entry->low, entry->high, entry->standard);
}

static void set_stats_file(const char *path) {
    size_t length = strlen(path);
    if (length >= sizeof hak_options.stats_file) {
        hak_message_warn("HAKMEM_STATS_FILE is longer than %zu bytes; not used",
                         sizeof hak_options.stats_file - 1);
        return;
    }
    /* The program may leave its working directory before the end. */
    size_t prefix = 0;
    if (path[0] != '/' && path[0] != '\0') {
        prefix = hak_os_working_directory(hak_options.stats_file, sizeof hak_options.stats_file);
        if (prefix + 1 + length >= sizeof hak_options.stats_file) {
            prefix = 0;
        }
        if (prefix != 0) {
            hak_options.stats_file[prefix++] = '/';
        }
    }
    memcpy(hak_options.stats_file + prefix, path, length + 1);
}

static void visit(const char *text) {
    static const char prefix[] = "HAKMEM_";
    static const char stats_file[] = "HAKMEM_STATS_FILE";
    if (strncmp(text, prefix, sizeof prefix - 1) != 0) {
        return;
    }
    const char *equals = strchr(text, '=');
    if (equals == NULL) {
        return;
    }
    size_t length = (size_t)(equals - text);
    for (size_t i = 0; i < TABLE_LENGTH; i++) {
        if (strlen(table[i].variable) == length && memcmp(text, table[i].variable, length) == 0) {
            set(&table[i], equals + 1);
            return;
        }
    }
    if (length == sizeof stats_file - 1 && memcmp(text, stats_file, length) == 0) {
        set_stats_file(equals + 1);
        return;
    }
    hak_message_warn("%s is not an option; HAKMEM_HELP=1 lists them", text);
}

void hak_options_read(bool secure) {
    if (!secure) {
        hak_os_each_env(visit);
    }
}

void hak_options_print(int fd) {
    char line[256];
    for (size_t i = 0; i < TABLE_LENGTH; i++) {
        hak_text_t out = {line, 0, sizeof line};
        hak_text_add(&out, "%-28s %8u  (%u to %u) %s\n", table[i].variable, *table[i].value,
                     table[i].low, table[i].high, table[i].help);
        hak_os.write(fd, line, out.used);
    }
    hak_text_t out = {line, 0, sizeof line};
    hak_text_add(&out, "%-28s %8s  statistics go to this file (.json: as JSON, %%p: process id)\n",
                 "HAKMEM_STATS_FILE", hak_options.stats_file[0] ? "set" : "-");
    hak_os.write(fd, line, out.used);
}
