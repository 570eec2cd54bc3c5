#!/usr/bin/env bash
# Runs the stress programs under the library, each in several ways.
#
# usage: run.sh LIB PROGDIR [SECONDS]     LIB may be "none"; SECONDS for each stress run (5)
#
# Every *.c beside this script is a program, PROGDIR/<name>. stress.c runs in the ways listed below,
# the others once with their defaults. STRESS_ONLY="NAME ..." runs those programs only. A run passes when it exits 0 and its last line ends in `ok`.
set -u
export LC_ALL=C

if [[ $# -lt 2 || $# -gt 3 || ! ( -f $1 || $1 == none ) || ! -d $2 ]]; then
    echo "usage: $0 LIB PROGDIR [SECONDS]" >&2
    exit 2
fi
lib=
[[ $1 == none ]] || lib=$(realpath "$1")
progdir=$(realpath "$2")
seconds=${3:-5}
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

passed=0
failed=0

# run_case NAME PROGRAM [ARGUMENT...]
run_case() {
    local name=$1 program=$2 status last
    shift 2
    if [[ ! -x $progdir/$program ]]; then
        echo "FAIL $name: not built"
        failed=$((failed + 1))
        return
    fi
    timeout $((seconds + 600)) env ${lib:+"LD_PRELOAD=$lib"} "$progdir/$program" "$@" \
        >"$work/out" 2>"$work/err"
    status=$?
    last=$(tail -n 1 "$work/out")
    if [[ $status -eq 0 && $last == *": ok" ]]; then
        echo "ok $name: ${last#*: }"
        passed=$((passed + 1))
    else
        echo "FAIL $name: exit status $status; $(head -n 1 "$work/err") ${last:-no verdict}"
        failed=$((failed + 1))
    fi
}

run_stress() {
    local name=$1
    shift
    run_case "$name" stress --seconds "$seconds" "$@" 2>/dev/null
}

shopt -s nullglob
for source in "$here"/*.c; do
    name=$(basename "${source%.c}")
    [[ -z ${STRESS_ONLY:-} || " $STRESS_ONLY " == *" $name "* ]] || continue
    if [[ $name == stress ]]; then
        run_stress stress_one_thread --threads 1
        run_stress stress_four_threads --threads 4
        run_stress stress_many_threads --threads 64
        run_stress stress_churn --threads 8 --churn
        run_stress stress_fork --threads 4 --fork
        run_stress stress_fork_and_churn --threads 8 --fork --churn
    else
        run_case "$name" "$name" 2>/dev/null
    fi
done

echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
