#!/usr/bin/env bash
# Runs unmodified programs with and without the library: stdout and exit status have to be the same.
#
# usage: run.sh LIB [CASE...]      all cases, or those named
#
# Every cases/*.sh is a case, a bash script run twice in an empty directory of the same name. Its
# line `# needs: A B|C` lists programs; a case without them is skipped. The plain run has to succeed
# and to print something. In the other run LD_PRELOAD is set for the programs of the script, not for
# the shell that reads it, and a process has to leave its statistics: so the library was there.
set -u
export LC_ALL=C TZ=UTC

if [[ $# -lt 1 || ! -f $1 ]]; then
    echo "usage: $0 LIB [CASE...]" >&2
    exit 2
fi
lib=$(realpath "$1")
shift
wanted=" $* "
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

passed=0
failed=0

fail() {
    echo "FAIL $1: $2"
    failed=$((failed + 1))
}

# Prints the first program that case $1 needs and the machine lacks.
missing_program() {
    local need choice found
    # shellcheck disable=SC2013 # words are wanted
    for need in $(sed -n 's/^# needs: //p' "$1"); do
        found=
        for choice in ${need//|/ }; do
            command -v "$choice" >/dev/null && found=1
        done
        if [[ -z $found ]]; then
            echo "$need"
            return
        fi
    done
}

# run_script SOURCE OUTPUT [NAME=VALUE...]: runs a case with these variables for its programs.
run_script() {
    local source=$1 output=$2
    shift 2
    rm -rf "$work/run"
    mkdir "$work/run"
    (
        cd "$work/run" || exit 125
        # shellcheck disable=SC2016 # expanded by the inner shell
        timeout 300 bash -eu -o pipefail -c '
            source=$1
            shift
            for variable in "$@"; do export "${variable?}"; done
            . "$source"' bash "$source" "$@"
    ) >"$output" 2>"$output.err" </dev/null
}

run_case() {
    local source=$1 name lacking plain loaded
    name=$(basename "${source%.sh}")
    lacking=$(missing_program "$source")
    if [[ -n $lacking ]]; then
        echo "skip $name: $lacking not installed"
        return
    fi
    run_script "$source" "$work/plain"
    plain=$?
    if [[ $plain -ne 0 || ! -s $work/plain ]]; then
        fail "$name" "the plain run ends with $plain: $(tail -n 1 "$work/plain.err")"
        return
    fi
    rm -f "$work/stats"
    run_script "$source" "$work/loaded" "LD_PRELOAD=$lib" HAKMEM_STATS=1 \
        "HAKMEM_STATS_FILE=$work/stats"
    loaded=$?
    if [[ $loaded -ne 0 ]]; then
        fail "$name" "ends with $loaded under the library: $(tail -n 1 "$work/loaded.err")"
    elif ! cmp -s "$work/plain" "$work/loaded"; then
        fail "$name" "other output: $(diff "$work/plain" "$work/loaded" | sed -n 2,3p | paste -s)"
    elif ! grep -Eq '^[a-z][a-z0-9_.]* +[0-9]' "$work/stats" 2>/dev/null; then
        fail "$name" "no process wrote statistics: was the library loaded?"
    else
        echo "ok $name"
        passed=$((passed + 1))
    fi
}

shopt -s nullglob
for source in "$here"/cases/*.sh; do
    if [[ -z ${wanted// /} || $wanted == *" $(basename "${source%.sh}") "* ]]; then
        run_case "$source" 2>/dev/null
    fi
done

echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
