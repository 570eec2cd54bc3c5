#!/usr/bin/env bash
# In which order the linker places the library, so that a program maps little of it.
#
# usage: layout.sh script LIST LINK...           the linker's script for LINK, with the order
#        layout.sh list LIB LIST PROGRAM...      writes LIST: what the programs (command lines) run
#
# The kernel maps a file's pages in windows of 64 KiB: at the first touch all of a window that is
# cached. So all constants lie in front, with the headers; the functions of LIST, those that most
# programs run first, follow; and the rest of the library, reports, the hardened mode, unwind tables,
# is not resident before somebody needs it. The segments are aligned to windows; loaders since
# glibc 2.35 see to that, older ones lose some of the effect.
#
# Where the linker has no script of its own to show, or one that is not like GNU ld's, `script` says
# nothing, and the linker's own order will do. A function of LIST that is gone from the library does
# no harm; one that is not in it is mapped with the rest.
set -euo pipefail

# Each of the four changes must come to pass, or there is no script at all.
print_script() {
    local list=$1
    { "${@:2}" -Wl,--verbose -o /dev/null 2>/dev/null || true; } | awk -v list="$list" '
        function put(text) {script = script text "\n"}
        /^=====/ {inside = !inside; next}
        !inside {next}
        /^  \.rodata +:/ {took_constants++; next}
        /^  \.fini +:/ {
            while ($0 !~ /}/ && (getline) > 0) {}
            took_end++
            next
        }
        /^  \. = ALIGN\(CONSTANT \(MAXPAGESIZE\)\);/ && !put_constants {
            put_constants++
            put("  .rodata : { *(.rodata .rodata.* .gnu.linkonce.r.*) }")
        }
        /^  \.text +:/ {
            put_code++
            put("  .fini : { KEEP (*(SORT_NONE(.fini))) }") # runs in every program, too
            put($0)
            getline
            put($0)
            put("    *libgcc.a:*(.text .text.*) *libc_nonshared.a:*(.text .text.*)")
            while ((getline name < list) > 0) {
                put(sprintf("    *(.text.%s .text.%s.* .text.*.%s)", name, name, name))
            }
            next
        }
        {put($0)}
        END {
            if (took_constants == 1 && took_end == 1 && put_constants == 1 && put_code == 1) {
                printf "%s", script
            }
        }'
}

# Compilers name a part or a copy of a function f f.cold, f.part.0, f.constprop.0.
functions_run() {
    callgrind_annotate --threshold=100 "$1" |
        sed -nE "s/.*:([a-zA-Z_][a-zA-Z_0-9]*)[^ ]* \[.*$(basename "$2")\]\$/\1/p" | sort -u
}

write_list() {
    local lib list
    lib=$(realpath "$1")
    list=$2
    profiles=$(mktemp -d) # for the trap: not local
    trap 'rm -rf "$profiles"' EXIT
    for command in "${@:3}"; do
        echo "  RUN  $command"
        # shellcheck disable=SC2086 # a command line is split
        LD_PRELOAD=$lib valgrind --tool=callgrind --demangle=no \
            --callgrind-out-file="$profiles/out" $command >"$profiles/log" 2>&1 ||
            { cat "$profiles/log" >&2; return 1; }
        functions_run "$profiles/out" "$lib" >>"$profiles/functions"
    done
    sort "$profiles/functions" | uniq -c | sort -k1,1nr -k2,2 | awk '{print $2}' >"$profiles/list"
    cp "$profiles/list" "$list"
    echo "$list: $(wc -l <"$list") functions"
}

case ${1-} in
script) print_script "${@:2}" ;;
list) write_list "${@:2}" ;;
*) sed -n 's/^# //; 4,5p' "$0" >&2; exit 2 ;;
esac
