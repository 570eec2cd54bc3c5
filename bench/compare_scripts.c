/* compare_scripts.c: the scripts that real programs run.
 *
 * Owns:      the scripts' texts and files. How much each does is an argument in the table of
 *            workloads.
 * Knows not: allocators, results.
 * Threads:   one.
 */
#include "compare.h"

static const struct {
    const char *name;
    const char *text;
} scripts[] = {
    {"startup.sh", "program=$(type -P true)\n"
                   "for ((i = 0; i < $1; i++)); do \"$program\" || exit 1; done\n"},
    {"loop.sh", "declare -A table\n"
                "sum=0\n"
                "for ((i = 0; i < $1; i++)); do\n"
                "    key=\"key$((i % 5000))\"\n"
                "    table[$key]=\"${table[$key]:0:20}$i\"\n"
                "    words=(one two \"$key\" \"${table[$key]}\")\n"
                "    ((sum += ${#words[3]}))\n"
                "done\n"
                "echo $sum\n"},
    {"hash.pl", "my $count = shift;\n"
                "my (%table, $sum);\n"
                "for my $i (1 .. $count) {\n"
                "    $table{\"key$i\"} = [$i, 'v' x ($i % 40)];\n"
                "}\n"
                "for my $i (1 .. $count) {\n"
                "    delete $table{\"key$i\"} if $i % 3 == 0;\n"
                "}\n"
                "for my $key (sort keys %table) {\n"
                "    $sum += $table{$key}[0] + length $table{$key}[1];\n"
                "}\n"
                "print \"$sum\\n\";\n"},
    {"objects.py", "import sys\n"
                   "class Node:\n"
                   "    def __init__(self, index):\n"
                   "        self.index = index\n"
                   "        self.name = 'node %d' % index\n"
                   "        self.near = [index, index + 1, 'n' * (index % 50)]\n"
                   "count = int(sys.argv[1])\n"
                   "nodes = {i: Node(i) for i in range(count)}\n"
                   "for i in range(0, count, 3):\n"
                   "    del nodes[i]\n"
                   "words = ' '.join(node.name for node in nodes.values()).split()\n"
                   "print(len(words), sum(len(node.near[2]) for node in nodes.values()))\n"},
    {"tables.lua", "local count = tonumber(arg[1])\n"
                   "local objects = {}\n"
                   "for i = 1, count do\n"
                   "    objects[i] = {index = i, name = 'object ' .. i, near = {i, i + 1}}\n"
                   "end\n"
                   "for i = 1, count, 3 do\n"
                   "    objects[i] = nil\n"
                   "end\n"
                   "local by_name = {}\n"
                   "for _, object in pairs(objects) do\n"
                   "    by_name[object.name] = object\n"
                   "end\n"
                   "local sum = 0\n"
                   "for name, object in pairs(by_name) do\n"
                   "    sum = sum + #name + object.near[2]\n"
                   "end\n"
                   "print(sum)\n"},
    {"hashes.rb",
     "count = ARGV[0].to_i\n"
     "table = {}\n"
     "count.times do |i|\n"
     "  table[\"key #{i}\"] = { index: i, text: 'x' * (i % 100), list: (i..i + 3).to_a }\n"
     "end\n"
     "count.times { |i| table.delete(\"key #{i}\") if i % 3 == 0 }\n"
     "words = table.map { |key, value| \"#{key} #{value[:text]} #{value[:list].join(',')}\" }\n"
     "puts words.sum(&:length)\n"},
    {"buffers.js", "const zlib = require('zlib');\n"
                   "const count = Number(process.argv[2]);\n"
                   "const held = [];\n"
                   "let sum = 0;\n"
                   "for (let i = 0; i < count; i++) {\n"
                   "    const item = { index: i, name: 'n'.repeat(i % 9000), near: [i, i + 1] };\n"
                   "    held[i % 2000] = Buffer.from(JSON.stringify(item));\n"
                   "    if (i % 10 === 0) {\n"
                   "        const packed = zlib.deflateRawSync(held[i % 2000], { level: 1 });\n"
                   "        sum += zlib.inflateRawSync(packed).length;\n"
                   "    }\n"
                   "}\n"
                   "console.log(sum);\n"},
    {"pages.ps",
     "%!PS\n"
     "/Helvetica findfont 9 scalefont setfont\n"
     "1 1 pages {\n"
     "    /page exch def\n"
     "    1 1 60 {\n"
     "        /line exch def\n"
     "        40 780 line 12 mul sub moveto\n"
     "        (page ) show page 10 string cvs show ( line ) show line 10 string cvs show\n"
     "        ( and some more words that fill it) show\n"
     "    } for\n"
     "    1 1 200 {\n"
     "        /k exch def\n"
     "        newpath 300 k add 400 moveto\n"
     "        k page mul 37 mod 200 add k 13 mul 300 mod 300 add 250 k 500 250 k add 600 curveto\n"
     "        k 256 div setgray stroke\n"
     "    } for\n"
     "    0 setgray\n"
     "    /table 200 dict def\n"
     "    1 1 400 { /k exch def table k 20 string cvs cvn k array put } for\n"
     "    showpage\n"
     "} for\n"},
    {"redis.sh",
     "server=$(type -P redis-server)\n"
     "# Debian's server has jemalloc linked; without another allocator, measure the system's.\n"
     "export LD_PRELOAD=${LD_PRELOAD:-libc.so.6}\n"
     "# Nobody waits for the client, so its CPU time is not counted. It ends the server.\n"
     "(\n"
     "    unset LD_PRELOAD\n"
     "    (\n"
     "        until [[ -S redis.socket ]]; do sleep 0.01; done\n"
     "        redis-benchmark -s redis.socket -q -n \"$1\" -r 100000 -d 100 -P 32 \\\n"
     "            -t set,get,incr,lpush,lpop,sadd,hset,zadd || kill -KILL $$\n"
     "        redis-cli -s redis.socket shutdown nosave\n"
     "    ) >/dev/null 2>&1 &\n"
     ")\n"
     "exec \"$server\" --port 0 --unixsocket redis.socket --save '' --loglevel warning\n"},
};

bool compare_prepare_scripts(const compare_settings_t *settings, char *why, size_t why_size) {
    for (size_t i = 0; i < COMPARE_COUNT(scripts); i++) {
        FILE *file = compare_open_input(settings, scripts[i].name, why, why_size);
        if (file == NULL) {
            return false;
        }
        fputs(scripts[i].text, file);
        if (!compare_close_input(file, why, why_size)) {
            return false;
        }
    }
    return true;
}

bool compare_prepare_redis(const compare_settings_t *settings, char *why, size_t why_size) {
    static const char *const programs[] = {"redis-server", "redis-benchmark", "redis-cli"};
    for (size_t i = 0; i < COMPARE_COUNT(programs); i++) {
        char path[PATH_MAX];
        if (!compare_find_in_path(programs[i], path, sizeof path)) {
            compare_text(why, why_size, "no program %s", programs[i]);
            return false;
        }
    }
    return compare_prepare_scripts(settings, why, why_size);
}
