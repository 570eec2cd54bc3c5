#!/usr/bin/env bash
# In which order the linker places the library, so that a program maps little of it.
#
# usage: layout.sh script LIST OBJECTS LINK...   the linker's script for LINK of OBJECTS (one word)
#        layout.sh list LIB LIST PROGRAM...     writes LIST: what the programs (command lines) run
#        layout.sh check LIB PROGRAM...         how much of it programs map that run for a while, with
#                                               what the loader binds; fails above 96 KiB
#
# The kernel maps a file's pages in windows of 64 KiB: at the first touch all of a window that is
# cached. So the functions of LIST, those of ordinary programs, stand at the end of the code, in a
# window that ends with them; what lies in front, reports, the hardened mode, is not resident before
# somebody needs it. Constants lie with the headers, but for those of functions that LIST does not
# have, mostly what they may have to say: these come behind the code. The segments are aligned to
# windows; loaders since glibc 2.35 see to that, older ones lose some of the effect.
#
# What is written to costs a page each: small variables stand together, the tables of the hardened mode
# and the buffers of reports behind them; and of what the loader binds, what is all zero comes first.
#
# Where the linker has no script of its own to show, or one that is not like GNU ld's, `script` says
# nothing, and the linker's own order will do. A function of LIST that is gone from the library does
# no harm; one that is not in it is mapped with the rest, 64 KiB of it.
set -euo pipefail

window=65536
mapped_kib_most=96
small_variable=1024
# Ordinary too: programs use some operators, or ways to ask for aligned blocks, or others; and under
# callgrind, where one thread runs at a time, nobody waits for a lock, and few blocks move from thread
# to thread.
also_listed='^(_Z.*|new_.*|(posix_)?memalign|aligned_alloc|hak_(aligned_alloc|alloc_aligned|class_of_aligned)|(find_)?dlopen'
also_listed+='|hak_(un)?lock_slow|os_wait|os_wake_one|hak_home_move_out_locked)$'
written_by_all='*(.bss.hak_pool)' # larger, but every program writes to it

# Nothing where there is no such tool, or objects are not what the linker will see (LTO).
sections() {
    # shellcheck disable=SC2086 # names of files, a list
    { size -A -d $1 2>/dev/null || true; } | awk '$1 ~ /^\.(text|rodata|bss)\../ {print $1, $2}'
}

# Lines `listed` or `other` and a section of code, by whether its function is listed. A function stands
# with its part that gcc thinks runs seldom: that often is the way of a miss. Lines `constants` and a
# section of constants, unless its function is `other`; where compilers name no function, all.
place_sections() {
    sections "$2" | awk -v list="$1" '
        BEGIN {
            while ((getline name < list) > 0) {
                is_listed[name]
            }
        }
        /^\.text\./ {
            parts = split($1, part, ".")
            place = "other"
            for (i = 3; i <= parts && place == "other"; i++) {
                if (part[i] in is_listed) {
                    place = "listed"
                }
            }
            if (place == "other") {
                others[part[3] == "unlikely" ? part[4] : part[3]]
            }
            print place, $1
        }
        /^\.rodata\./ {constants[++count] = $1}
        END {
            for (i = 1; i <= count; i++) {
                split(constants[i], part, ".")
                if (!(part[3] in others)) {
                    print "constants", constants[i]
                }
            }
        }'
}

small_variables() {
    sections "$1" | awk -v most=$small_variable '/^\.bss\./ && $2 <= most {printf "*(%s) ", $1}'
}

# Each of the changes must come to pass, or there is no script at all.
print_script() {
    local code variables
    code=$(place_sections "$1" "$2")
    variables="$(small_variables "$2") $written_by_all"
    { "${@:3}" -Wl,--verbose -o /dev/null 2>/dev/null || true; } |
        code=$code variables=$variables awk -v window=$window '
        BEGIN {
            lines = split(ENVIRON["code"], line, "\n")
            for (i = 1; i <= lines; i++) {
                split(line[i], word, " ")
                sections[word[1]] = sections[word[1]] "    *(" word[2] ")\n"
            }
        }
        function put(text) {script = script text "\n"}
        /^=====/ {inside = !inside; next}
        !inside {next}
        /^  \.rodata +:/ {
            took_constants++
            sub(/\.rodata/, ".rodata.other")
        }
        /^  \.(init|fini) +:/ || /^ *\.plt(\.got|\.sec)? +:/ {
            took_ends++
            ends = ends $0 "\n"
            while ($0 !~ /}/ && (getline) > 0) {
                ends = ends $0 "\n"
            }
            next
        }
        /^  PROVIDE \(__etext/ {
            put_ends++
            put(ends)
        }
        /^  \. = ALIGN\(CONSTANT \(MAXPAGESIZE\)\);/ && !put_constants {
            put_constants++
            put("  .rodata :\n  {\n    *(.rodata)\n" sections["constants"] "  }")
        }
        /^  \.text +:/ {
            put_code++
            put($0)
            getline
            put($0)
            put(sections["other"] "    . = ALIGN(" window ");")
            put(sections["listed"])
            put("    *libgcc.a:*(.text .text.*) *libc_nonshared.a:*(.text .text.*)")
            put("    *crti.o(.text) *crtbegin*.o(.text)")
            next
        }
        /^  \.tdata[ \t]+:/ {
            put_bound++
            put("  .data.rel.ro.first : { *(.data.rel.ro.*hak_no_heaps) }")
        }
        /^   \*\(\.dynbss\)/ {
            put_variables++
            put($0)
            put("   " ENVIRON["variables"])
            next
        }
        {put($0)}
        END {
            if (sections["listed"] != "" && took_constants == 1 && took_ends >= 3 && put_ends == 1 &&
                put_constants == 1 && put_code == 1 && put_bound == 1 && put_variables == 1) {
                printf "%s", script
            }
        }'
}

# Compilers name a part or a copy of a function f f.cold, f.part.0, f.constprop.0.
functions_run() {
    callgrind_annotate --threshold=100 "$1" |
        sed -nE "s/.*:([a-zA-Z_][a-zA-Z_0-9]*)[^ ]* \[.*$(basename "$2")\]\$/\1/p" | sort -u
}

# LIB PROGRAM...: into $profiles/list, the functions that run.
profile() {
    local lib out
    lib=$(realpath "$1")
    profiles=$(mktemp -d) # for the trap: not local
    trap 'rm -rf "$profiles"' EXIT
    for command in "${@:2}"; do
        echo "  RUN  $command"
        # shellcheck disable=SC2086 # a command line is split
        LD_PRELOAD=$lib valgrind --tool=callgrind --demangle=no \
            --callgrind-out-file="$profiles/out.%p" $command >"$profiles/log" 2>&1 ||
            { cat "$profiles/log" >&2; return 1; }
    done
    for out in "$profiles"/out.*; do # a child that forked has its own
        functions_run "$out" "$lib" >>"$profiles/list"
    done
    nm "$1" | awk -v names="$also_listed" '{sub(/\..*/, "", $3)} $2 ~ /[tTW]/ && $3 ~ names {print $3}' \
        >>"$profiles/list"
    sort -u -o "$profiles/list" "$profiles/list"
}

write_list() {
    profile "$1" "${@:3}"
    cp "$profiles/list" "$2"
    echo "$2: $(wc -l <"$2") functions"
}

# KiB of code and constants of the library that the program maps while it runs.
mapped_kib() {
    local pid i
    # shellcheck disable=SC2086 # a command line is split
    env -i PATH="$PATH" LD_PRELOAD="$(realpath "$1")" $2 >/dev/null &
    pid=$!
    for ((i = 0; i < 100; i++)); do # a busy machine takes its time
        sleep 0.1
        grep -q "$(basename "$1")" "/proc/$pid/maps" && break
    done
    sleep 0.3
    sed -n "/$(basename "$1")/,/^Rss/p" "/proc/$pid/smaps" |
        awk '/^[0-9a-f]+-/ {mode = $2} /^Rss/ && mode != "rw-p" {kib += $2} END {print kib + 0}'
    kill $pid
    wait $pid 2>/dev/null || true
}

# Why it cannot be said of this library and machine.
cannot_be_checked() {
    local sections libc
    sections=$(readelf -SW "$1")
    libc=$(getconf GNU_LIBC_VERSION 2>/dev/null || true)
    if [[ $(uname -m) != x86_64 ]]; then
        echo "only x86-64 is known"
    elif [[ $sections != *data.rel.ro.first* ]]; then
        echo "the linker's own order"
    elif ! printf '%s\n' "glibc 2.35" "$libc" | sort -VC; then
        echo "the loader of ${libc:-this libc} aligns no segments"
    fi
}

check_mapped() {
    local kib why
    why=$(cannot_be_checked "$1")
    if [[ -n $why ]]; then
        echo "check-layout: $why, skipped"
        return
    fi
    for program in "${@:2}"; do
        kib=$(mapped_kib "$1" "$program")
        echo "check-layout: $kib KiB of code and constants resident in: $program"
        if ((kib == 0)); then
            echo "FAIL $1: not loaded"
            return 1
        elif ((kib > mapped_kib_most)); then
            echo "FAIL $1: more than $mapped_kib_most KiB. Is src/layout.txt old (make layout)," \
                "or is what it lists more than a window?"
            return 1
        fi
    done
}

case ${1-} in
script) print_script "${@:2}" ;;
list) write_list "${@:2}" ;;
check) check_mapped "${@:2}" ;;
*) sed -n 's/^# //; 4,7p' "$0" >&2; exit 2 ;;
esac
