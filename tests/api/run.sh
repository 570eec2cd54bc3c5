#!/usr/bin/env bash
# Runs every API test under the library and prints a line for each of their cases.
#
# usage: run.sh LIB PROGDIR      LIB may be "none": libc's malloc, to try the tests themselves
#
# Every test_*.c and test_*.cc beside this script is a test; its program is PROGDIR/<name>, linked
# with -Wl,-rpath,$ORIGIN; every lib_*.c is a library of theirs, PROGDIR/<name>.so. A test counts
# its cases in a last line, `done N`: without it, or with lines lost, it fails. API_SKIP="NAME ..."
# leaves tests out.
set -u
export LC_ALL=C

if [[ $# -ne 2 || ! ( -f $1 || $1 == none ) || ! -d $2 ]]; then
    echo "usage: $0 LIB PROGDIR" >&2
    exit 2
fi
lib=
[[ $1 == none ]] || lib=$(realpath "$1")
progdir=$(realpath "$2")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

passed=0
failed=0

ok() {
    echo "ok $1"
    passed=$((passed + 1))
}

fail() {
    echo "FAIL $1: $2"
    failed=$((failed + 1))
}

run_test() {
    local source=$1 name status cases=0 done_line='' kind rest
    name=$(basename "${source%.*}")
    if [[ ! -x $progdir/$name ]]; then
        fail "$name" "not built"
        return
    fi
    timeout 180 env ${lib:+"LD_PRELOAD=$lib"} "$progdir/$name" >"$work/out" 2>"$work/err"
    status=$?
    while read -r kind rest; do
        case $kind in
        ok)
            ok "$name/$rest"
            cases=$((cases + 1))
            ;;
        skip)
            echo "skip $name/$rest"
            cases=$((cases + 1))
            ;;
        done)
            done_line=$rest
            ;;
        esac
    done <"$work/out"
    if [[ $status -eq 124 ]]; then
        fail "$name" "hangs after case $cases"
    elif [[ $status -ne 0 ]]; then
        fail "$name" "exit status $status after case $cases: $(head -n 1 "$work/err")"
    elif [[ $done_line != "$cases" || $cases -eq 0 ]]; then
        fail "$name" "no verdict: $cases cases, the program says '${done_line:-nothing}'"
    fi
}

# Runs a command under a limit of the address space in KiB; its output must be the plain run's.
run_limited() {
    local name=$1 limit=$2 expected actual
    shift 2
    if ! command -v "$1" >/dev/null; then
        echo "skip $name: $1 not installed"
        return
    fi
    expected=$("$@" 2>&1)
    actual=$(
        ulimit -v "$limit" && LD_PRELOAD=$lib exec "$@" 2>&1
    )
    # shellcheck disable=SC2181 # the status of the limited run is the point
    if [[ $? -ne 0 ]]; then
        fail "$name" "status not 0: $(head -n 1 <<<"$actual")"
    elif [[ $actual != "$expected" ]]; then
        fail "$name" "output differs from the plain run's"
    else
        ok "$name"
    fi
}

shopt -s nullglob
for source in "$here"/test_*.c "$here"/test_*.cc; do
    [[ " ${API_SKIP:-} " != *" $(basename "${source%.*}") "* ]] || continue
    run_test "$source" 2>/dev/null
done

run_limited ulimit_v_32_mib_true_runs 32768 /bin/true
run_limited ulimit_v_16_mib_true_runs 16384 /bin/true
run_limited ulimit_v_32_mib_ls_runs 32768 /bin/ls -l /usr/bin
# shellcheck disable=SC2016 # the inner shell expands it
run_limited ulimit_v_32_mib_shell_runs 32768 /bin/sh -c 'for i in 1 2 3; do /bin/echo $i; done'
run_limited ulimit_v_64_mib_sort_runs 65536 /usr/bin/sort -S 1M "$0"
run_limited ulimit_v_32_mib_sort_runs 32768 /usr/bin/sort "$0"
# shellcheck disable=SC2016 # for awk and perl
run_limited ulimit_v_32_mib_awk_runs 32768 awk '{ n[$1]++; s = s $0 } END { print length(n), length(s) }' "$0"
run_limited ulimit_v_32_mib_python3_runs 32768 /usr/bin/python3 -c \
    'print(sum(len(str(i)) for i in list(range(50000))))'
# shellcheck disable=SC2016
run_limited ulimit_v_32_mib_perl_runs 32768 perl -e \
    'my %h = map { $_ => "x" x ($_ % 100) } 1 .. 10000; print length join ",", sort values %h'
run_limited ulimit_v_32_mib_cpp_program_runs 32768 "$progdir/test_lifetimes_cpp"

echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
