#!/usr/bin/env bash
# Counts instructions per malloc+free pair with callgrind, which repeats exactly.
#
# usage: count.sh COUNT_LOOPS LIB [NAME=PATH.so ...]
#
# Each loop runs with two lengths; the difference leaves start-up out. `loop` is the same program
# with empty functions in place of malloc and free. Fails when LIB needs more than 40 instructions
# for a pair in waves or random replace.
set -u
loops=$1
lib=$(realpath "$2")
shift 2
budget=40
short=100000
long=300000

instructions() {
    LD_PRELOAD=$1 valgrind --tool=callgrind --callgrind-out-file=/dev/null "$loops" "${@:2}" 2>&1 |
        awk '/Collected/ {print $4}'
}

per_pair() {
    local a b
    a=$(instructions "$1" "$2" $short ${3:-})
    b=$(instructions "$1" "$2" $long ${3:-})
    awk -v a="${a:-0}" -v b="${b:-0}" -v n=$((long - short)) 'BEGIN {printf "%.2f", (b - a) / n}'
}

over=0
base=()
printf '%-10s' "net (whole)"
for mode in single waves replace; do
    base+=("$(per_pair "$lib" $mode none)")
    printf '%18s' $mode
done
printf '%10s\n' "a pair"
for pair in "hakmem=$lib" "$@"; do
    printf '%-11s' "${pair%%=*}"
    i=0
    for mode in single waves replace; do
        whole=$(per_pair "${pair#*=}" $mode)
        net=$(awk -v w="$whole" -v b="${base[$i]}" 'BEGIN {printf "%.2f", w - b}')
        printf '%9s (%6s)' "$net" "$whole"
        if [[ ${pair%%=*} == hakmem && $mode != single ]] &&
            ! awk -v n="$net" -v w="$whole" -v b=$budget 'BEGIN {exit !(w > 0 && n <= b)}'; then
            over=1
        fi
        i=$((i + 1))
    done
    echo
done
printf '%-11s' "loop alone"
printf '%18s' "${base[@]}"
echo
if [[ $over -ne 0 ]]; then
    echo "FAIL count: more than $budget instructions a pair"
    exit 1
fi
