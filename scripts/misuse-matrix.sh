#!/usr/bin/env bash
# Which misuse of the heap ends a program, under each allocator: tests/misuse/matrix, cell by cell.
#
# usage: misuse-matrix.sh MATRIX LIB [--runs N] [--markdown FILE]    a table; PEERS=dir of NAME.so
#        misuse-matrix.sh MATRIX LIB --check FILE                    fails where LIB catches less
#        misuse-matrix.sh MATRIX LIB --write FILE                    writes what LIB catches
#
# Caught is what ends by SIGABRT, SIGSEGV, SIGBUS, SIGTRAP or SIGILL, or, for sizes that no block can
# have, what is refused; in each of the runs (3), since allocators place blocks at random. A
# program that hangs is not caught. Marks: X caught, . not, ~ in some of the runs, H it hung.
set -u
export LC_ALL=C
self=$(realpath "$0")
ulimit -c 0

usage() {
    sed -n 's/^# \{0,1\}//; 4,6p' "$self" >&2
    exit 2
}

# ---- One cell -----------------------------------------------------------------------------------

# caught, passed or hung: a run of "CELL SIZE" under the library ("" for none) and the mode.
run_once() {
    local output status
    # shellcheck disable=SC2086 # a cell is two words
    output=$(timeout -s KILL 10 env ${2:+LD_PRELOAD="$2"} $3 "$1" $4 2>/dev/null)
    status=$?
    case $status in
    132 | 133 | 134 | 135 | 139) echo caught ;;
    137 | 124) echo hung ;;
    0) [[ ${output##*$'\n'} == refused ]] && echo caught || echo passed ;;
    *) echo "error $status" ;;
    esac
}

# run_cell MATRIX LIB MODE RUNS "CELL SIZE": "CELL SIZE MARK". MODE: environment, or "".
run_cell() {
    local matrix=$1 lib=$2 mode=$3 runs=$4 cell=$5 caught=0 mark verdict
    for ((i = 0; i < runs; i++)); do
        verdict=$(run_once "$matrix" "$lib" "$mode" "$cell" 2>/dev/null)
        case $verdict in
        caught) caught=$((caught + 1)) ;;
        hung) mark=H ;;
        passed) ;;
        *)
            echo "misuse-matrix: $cell under ${lib:-glibc}: $verdict" >&2
            exit 1
            ;;
        esac
    done
    if [[ $caught -eq $runs ]]; then
        mark=X
    elif [[ -z ${mark:-} ]]; then
        mark=$([[ $caught -eq 0 ]] && echo . || echo '~')
    fi
    echo "$cell $mark"
}

if [[ ${1:-} == --cell ]]; then
    shift
    run_cell "$@"
    exit
fi

# ---- All cells ----------------------------------------------------------------------------------

[[ $# -ge 2 && -x $1 && -e $2 ]] || usage
matrix=$(realpath "$1")
lib=$(realpath "$2")
shift 2
runs=3
markdown='' check='' write=''
while [[ $# -gt 0 ]]; do
    [[ $# -ge 2 ]] || usage
    case $1 in
    --runs) runs=$2 ;;
    --markdown) markdown=$2 ;;
    --check) check=$2 ;;
    --write) write=$2 ;;
    *) usage ;;
    esac
    shift 2
done
[[ $runs =~ ^[1-9][0-9]*$ ]] || usage
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$matrix" --list >"$work/cells" || exit 1
if [[ ! -s $work/cells ]]; then
    echo "FAIL misuse-matrix: no cells" >&2
    exit 1
fi

# sweep NAME LIB MODE: the marks of all cells, in their order, into $work/NAME.
sweep() {
    local name=$1
    if [[ -n $2 ]] && LD_PRELOAD=$2 /bin/true 2>&1 | grep -q .; then
        echo "misuse-matrix: $2 cannot be preloaded" >&2
        exit 1
    fi
    xargs -P 2 -d '\n' -n 1 "$self" --cell "$matrix" "$2" "$3" "$runs" <"$work/cells" \
        >"$work/$name.any" || exit 1
    awk 'NR == FNR {mark[$1 " " $2] = $3; next} {print mark[$1 " " $2]}' \
        "$work/$name.any" "$work/cells" >"$work/$name"
    if [[ $(grep -c . "$work/$name") -ne $(wc -l <"$work/cells") ]]; then
        echo "misuse-matrix: not every cell ran under $name" >&2
        exit 1
    fi
}

knows_hardening() {
    HAKMEM_HELP=1 LD_PRELOAD=$lib /bin/true 2>&1 | grep -q HAKMEM_HARDEN
}

sweep_hakmem() {
    sweep hakmem "$lib" ''
    if knows_hardening; then
        sweep hardened "$lib" HAKMEM_HARDEN=1
    fi
}

# ---- The list of what must be caught --------------------------------------------------------------

# Where chance places blocks, a cell that is caught in 98 of 100 runs fails one check of three runs in
# seventeen. So many runs, and so many at least that are caught, tell 98 from 70 of 100.
chance_runs=40
chance_least=34

# Lines "CELL SIZE DEFAULT HARDENED": X caught, . not, ? not known; ~, put there by hand: nearly
# always caught.
write_list() {
    local hardened=$work/hardened
    touch "$write"
    cp "$write" "$work/before"
    sweep_hakmem
    [[ -e $hardened ]] || sed 's/.*/?/' "$work/cells" >"$hardened"
    {
        echo "# What hakmem catches of the misuse matrix, by default and with HAKMEM_HARDEN=1: X in each run,"
        echo "# else a dot; ? where there was no such mode; ~ (by hand; it stays) where chance decides, and"
        echo "# $chance_least of $chance_runs runs must be caught. \`make matrix\` fails when it catches less;"
        echo "# \`make matrix-list\` writes this file."
        paste -d ' ' "$work/cells" "$work/hakmem" "$hardened" | awk '
            FILENAME == ARGV[1] { if ($4 == "~") by_chance[$1 " " $2] = 1; next }
            { kept = by_chance[$1 " " $2] && $4 ~ /[X~]/
              for (i = 3; i <= 4; i++) sub(/[~H]/, ".", $i)
              if (kept) $4 = "~"
              print }' "$work/before" -
    } >"$write"
    echo "$write: $(grep -c X "$work/hakmem") of $(wc -l <"$work/cells") cells by default"
}

# check_column COLUMN NAME: the cells that the list has and the sweep has not.
check_column() {
    awk -v column="$1" -v name="$2" '
        FILENAME != ARGV[1] {
            if (got[$1 " " $2] == "") { print "FAIL matrix: no such cell: " $1 " " $2; failed++ }
            else if ($column == "X" && got[$1 " " $2] != "X") {
                print "FAIL matrix: " name " no longer catches " $1 " " $2 " (" got[$1 " " $2] ")"
                failed++
            } else if ($column == "X") passed++
            else if ($column == "~") next
            else if (got[$1 " " $2] == "X") print "new: " name " catches " $1 " " $2
            next
        }
        { got[$1 " " $2] = $3 }
        END { print name ": " passed + 0 " cells caught as before, " failed + 0 " not"
              exit failed > 0 || passed == 0 }
    ' "$work/$2.any" <(grep -v '^#' "$check")
}

# check_chance: the cells of the hardened mode that the list marks so.
check_chance() {
    local cell size hardened caught i status=0
    while read -r cell size _ hardened; do
        [[ $hardened == '~' ]] || continue
        caught=0
        for ((i = 0; i < chance_runs; i++)); do
            [[ $(run_once "$matrix" "$lib" HAKMEM_HARDEN=1 "$cell $size" 2>/dev/null) != caught ]] ||
                caught=$((caught + 1))
        done
        echo "hardened: $cell $size caught in $caught of $chance_runs runs"
        if [[ $caught -lt $chance_least ]]; then
            echo "FAIL matrix: hardened catches $cell $size in less than $chance_least"
            status=1
        fi
    done < <(grep -v '^#' "$check")
    return $status
}

check_list() {
    local status=0
    sweep_hakmem
    check_column 3 hakmem || status=1
    if [[ -e $work/hardened ]] && awk '!/^#/ && $4 != "?" {known = 1} END {exit !known}' "$check"; then
        check_column 4 hardened || status=1
        check_chance || status=1
    fi
    return $status
}

# ---- The table ----------------------------------------------------------------------------------

names=()
add() {
    names+=("$1")
    sweep "$@"
}

# print_table FORMAT: plain or markdown.
print_table() {
    {
        echo "cell size ${names[*]}"
        paste -d ' ' "$work/cells" "${names[@]/#/$work/}"
        printf 'caught %s' "$(wc -l <"$work/cells")"
        for name in "${names[@]}"; do
            printf ' %s' "$(grep -c X "$work/$name")"
        done
        echo
    } | awk -v format="$1" '
        { for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
        END {
            for (row = 1; row <= NR; row++) {
                line = format == "markdown" ? "|" : ""
                for (i = 1; i <= NF; i++) {
                    if (format == "markdown") line = line " " cell[row, i] " |"
                    else line = line sprintf("%" (i < 3 ? "-" : "") width[i] "s  ", cell[row, i])
                }
                sub(/ +$/, "", line)
                print line
                if (row == 1 && format == "markdown") {
                    line = "|---|---|"
                    for (i = 3; i <= NF; i++) line = line ":-:|"
                    print line
                }
            }
        }'
}

table() {
    add hakmem "$lib" ''
    if knows_hardening; then
        add hardened "$lib" HAKMEM_HARDEN=1
    fi
    add glibc '' ''
    if [[ -n ${PEERS:-} ]]; then
        for peer in "$PEERS"/*.so; do
            [[ -e $peer ]] && add "$(basename "$peer" .so)" "$(realpath "$peer")" ''
        done
    fi
    print_table plain
    if [[ -n $markdown ]]; then
        print_table markdown >"$markdown"
    fi
}

if [[ -n $write ]]; then
    write_list
elif [[ -n $check ]]; then
    check_list
else
    table
fi
