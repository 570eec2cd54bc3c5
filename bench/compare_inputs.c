/* compare_inputs.c: the generated files that the real programs read.
 *
 * Owns:      every file in the scratch directory but the scripts (compare_scripts.c). All are made
 *            from constants, so that every machine measures the same work.
 * Knows not: allocators, results.
 * Threads:   one.
 */
#include "compare.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* ---- writing ---- */

FILE *compare_open_input(const compare_settings_t *settings, const char *name, char *why,
                         size_t why_size) {
    char path[PATH_MAX];
    compare_path(path, sizeof path, "%s/%s", settings->scratch_dir, name);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        compare_text(why, why_size, "cannot write %s: %s", path, strerror(errno));
    }
    return file;
}

bool compare_close_input(FILE *file, char *why, size_t why_size) {
    bool good = ferror(file) == 0;
    if (fclose(file) != 0 || !good) {
        compare_text(why, why_size, "cannot write the inputs: %s", strerror(errno));
        return false;
    }
    return true;
}

static uint32_t random_next(uint32_t *state) {
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    *state = x;
    return x;
}

/* ---- a C file for the compiler ---- */

static void write_function(FILE *file, int i) {
    fprintf(file,
            "struct item%d { int key; struct item%d *next; char name[%d]; };\n"
            "int find%d(const struct item%d *list, int key)\n{\n"
            "    int steps = 0;\n"
            "    for (; list; list = list->next, steps++) {\n"
            "        switch ((list->key ^ key) %% %d) {\n"
            "        case 0: return steps;\n"
            "        case 1: key += list->name[steps %% %d]; break;\n"
            "        case 2: key = key * %d + steps; break;\n"
            "        default: if (list->name[0] == %d) key--; break;\n"
            "        }\n"
            "    }\n"
            "    return key > %d ? find%d(0, key - 1) : -1;\n}\n",
            i, i, 8 + i % 50, i, i, 5 + i % 7, 8 + i % 50, 3 + i % 11, i % 128, i * 17,
            i > 0 ? i - 1 : 0);
}

bool compare_prepare_c_source(const compare_settings_t *settings, char *why, size_t why_size) {
    FILE *file = compare_open_input(settings, "source.c", why, why_size);
    if (file == NULL) {
        return false;
    }
    int functions = settings->quick ? 150 : 1500;
    for (int i = 0; i < functions; i++) {
        write_function(file, i);
    }
    return compare_close_input(file, why, why_size);
}

/* ---- a C++ file for the compiler ---- */

static const char cc_head[] = "#include <map>\n"
                              "#include <string>\n"
                              "#include <tuple>\n"
                              "#include <vector>\n"
                              "template <int N, typename T> struct Chain {\n"
                              "    using Inner = Chain<N - 1, std::tuple<T, Chain<N - 1, T>>>;\n"
                              "    static constexpr int depth = 1 + Inner::depth;\n"
                              "};\n"
                              "template <typename T> struct Chain<0, T> {\n"
                              "    static constexpr int depth = 0;\n"
                              "};\n";

/* Types of its own for each function, so that every template is instantiated anew. */
static void write_templates(FILE *file, int i) {
    fprintf(file,
            "struct Item%d { int key; std::string name; };\n"
            "using Table%d = std::map<std::string, std::vector<Item%d>>;\n"
            "int find%d(const Table%d &table, const std::string &name) {\n"
            "    auto at = table.find(name);\n"
            "    std::vector<Item%d> copy;\n"
            "    if (at != table.end()) copy = at->second;\n"
            "    copy.push_back(Item%d{%d, name});\n"
            "    return Chain<5, Item%d>::depth + static_cast<int>(copy.size());\n"
            "}\n",
            i, i, i, i, i, i, i, i, i);
}

bool compare_prepare_cc_source(const compare_settings_t *settings, char *why, size_t why_size) {
    FILE *file = compare_open_input(settings, "source.cc", why, why_size);
    if (file == NULL) {
        return false;
    }
    fputs(cc_head, file);
    int functions = settings->quick ? 8 : 130;
    for (int i = 0; i < functions; i++) {
        write_templates(file, i);
    }
    return compare_close_input(file, why, why_size);
}

/* ---- formulas to solve ---- */

/* A chain of equations between 16-bit words, for a solver that turns them into bits. */
bool compare_prepare_formulas(const compare_settings_t *settings, char *why, size_t why_size) {
    FILE *file = compare_open_input(settings, "formulas.smt2", why, why_size);
    if (file == NULL) {
        return false;
    }
    int words = settings->quick ? 200 : 700;
    fprintf(file, "(set-logic QF_BV)\n");
    for (int i = 0; i < words; i++) {
        fprintf(file, "(declare-const x%d (_ BitVec 16))\n", i);
    }
    for (int i = 0; i + 2 < words; i++) {
        fprintf(file, "(assert (= (bvadd (bvmul x%d #x%04x) x%d) (bvxor x%d #x%04x)))\n", i,
                (unsigned)(i * 7 + 3) & 0xffff, i + 1, i + 2, (unsigned)(i * 13) & 0xffff);
    }
    fprintf(file, "(assert (bvugt x0 #x0010))\n(check-sat)\n");
    return compare_close_input(file, why, why_size);
}

/* ---- statements for a database ---- */

bool compare_prepare_sql(const compare_settings_t *settings, char *why, size_t why_size) {
    FILE *file = compare_open_input(settings, "database.sql", why, why_size);
    if (file == NULL) {
        return false;
    }
    int records = settings->quick ? 100000 : 800000;
    fprintf(file,
            "create table item (id integer primary key, name text, amount integer, note text);\n"
            "insert into item\n"
            "  with recursive n(i) as (select 1 union all select i + 1 from n where i < %d)\n"
            "  select i, printf('name %%08d', (i * 7919) %% %d), i %% 1000,\n"
            "    substr('abcdefghijklmnopqrstuvwxyz', i %% 20 + 1) from n;\n"
            "create index by_name on item (name);\n"
            "create index by_amount on item (amount, name);\n"
            "update item set note = note || name where id %% 3 = 0;\n"
            "delete from item where id %% 5 = 0;\n"
            "select count(*), sum(length(note)) from item;\n"
            "select amount, group_concat(name) from item group by amount having amount < 5;\n"
            "select count(*) from item a join item b on a.name = b.name\n"
            "  where a.amount < b.amount + 1;\n",
            records, records);
    return compare_close_input(file, why, why_size);
}

/* ---- lines to sort ---- */

bool compare_prepare_lines(const compare_settings_t *settings, char *why, size_t why_size) {
    FILE *file = compare_open_input(settings, "lines.txt", why, why_size);
    if (file == NULL) {
        return false;
    }
    int lines = settings->quick ? 200000 : 1500000;
    uint32_t random = 2463534242u;
    for (int i = 0; i < lines; i++) {
        uint32_t first = random_next(&random);
        fprintf(file, "%08" PRIx32 " %" PRIu32 " line %d\n", first, random_next(&random), i);
    }
    return compare_close_input(file, why, why_size);
}

/* ---- a repository with a history ---- */

#define GIT_FILES 50
#define GIT_LINES 120

/* One commit: a file of which one line in eight differs from commit to commit. */
static void write_commit(FILE *stream, int number, uint32_t *random) {
    char text[GIT_LINES * 24];
    size_t length = 0;
    for (int line = 0; line < GIT_LINES; line++) {
        uint32_t changing = random_next(random);
        unsigned word = changing % 8 == 0 ? changing % 100000 : (unsigned)line * 7;
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "line %d word %u\n", line, word);
    }
    fprintf(stream,
            "commit refs/heads/main\n"
            "committer bench <bench@example.org> %d +0000\n"
            "data <<end\nChange number %d\nend\n"
            "M 100644 inline dir%d/file%d.txt\n"
            "data %zu\n%s\n",
            1700000000 + number * 60, number, number % 5, number % GIT_FILES, length, text);
}

static bool run_git(const compare_settings_t *settings, char *const *argv, const char *input,
                    char *why, size_t why_size) {
    static const char *const environment[] = {"GIT_CONFIG_GLOBAL=/dev/null", NULL};
    compare_command_t command = {.argv = argv,
                                 .environment = environment,
                                 .directory = settings->scratch_dir,
                                 .input = input};
    compare_sample_t unused;
    return compare_run(&command, &unused, why, why_size);
}

bool compare_prepare_git(const compare_settings_t *settings, char *why, size_t why_size) {
    FILE *stream = compare_open_input(settings, "history.stream", why, why_size);
    if (stream == NULL) {
        return false;
    }
    int commits = settings->quick ? 1500 : 6000;
    uint32_t random = 2463534242u;
    for (int i = 0; i < commits; i++) {
        write_commit(stream, i, &random);
    }
    if (!compare_close_input(stream, why, why_size)) {
        return false;
    }
    char git[PATH_MAX];
    compare_find_in_path("git", git, sizeof git);
    char *const create[] = {git, "init", "-q", "--bare", "-b", "main", "history.git", NULL};
    char *const import[] = {git, "--git-dir=history.git", "fast-import", "--quiet", NULL};
    return run_git(settings, create, NULL, why, why_size) &&
           run_git(settings, import, "history.stream", why, why_size);
}

/* ---- inputs that belong to the programs of --bench-dir ---- */

/* Links `name` in the scratch directory to the program's input file. Where --bench-inputs is not
 * given, the file is looked for beside the program, and where mimalloc-bench has it, as seen from
 * its out/bench. */
static bool link_input(const compare_settings_t *settings, const char *program, const char *file,
                       const char *name, char *why, size_t why_size) {
    char link[PATH_MAX];
    char path[PATH_MAX];
    compare_path(link, sizeof link, "%s/%s", settings->scratch_dir, name);
    if (settings->bench_inputs != NULL) {
        compare_path(path, sizeof path, "%s/%s/%s", settings->bench_inputs, program, file);
    } else {
        compare_path(path, sizeof path, "%s/%s", settings->bench_dir, file);
        if (access(path, R_OK) != 0) {
            compare_path(path, sizeof path, "%s/../../bench/%s/%s", settings->bench_dir, program,
                         file);
        }
    }
    if (access(path, R_OK) == 0 && symlink(path, link) == 0) {
        return true;
    }
    compare_text(why, why_size, "no %s: see --bench-inputs", path);
    return false;
}

bool compare_prepare_barnes(const compare_settings_t *settings, char *why, size_t why_size) {
    return link_input(settings, "barnes", "input", "barnes.input", why, why_size);
}

bool compare_prepare_espresso(const compare_settings_t *settings, char *why, size_t why_size) {
    return link_input(settings, "espresso", "largest.espresso", "largest.espresso", why, why_size);
}
