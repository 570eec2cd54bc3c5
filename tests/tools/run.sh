#!/usr/bin/env bash
# Runs the cases of the tools in scripts/: every function case_* of the files test_*.sh beside this.
#
# usage: run.sh LIB PROGDIR [CASE...]      all cases, or those named, without case_
#
# A case runs in a shell and an empty directory of its own. It ends with status 0, with 77 and a line
# that says why it is skipped, or else it fails with what it wrote.
set -u
export LC_ALL=C

if [[ $# -lt 2 || ! -f $1 || ! -d $2 ]]; then
    echo "usage: $0 LIB PROGDIR [CASE...]" >&2
    exit 2
fi
# shellcheck disable=SC2034 # for the cases
lib=$(realpath "$1") progdir=$(realpath "$2")
shift 2
wanted=" $* "
here=$(dirname "$(realpath "$0")")
scripts=$(realpath "$here/../../scripts")
# shellcheck disable=SC2034 # for the cases
hakmem=$scripts/hakmem guest=$progdir/guest
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ulimit -c 0
unset "${!HAKMEM_@}" LD_PRELOAD

# ---- For the cases -------------------------------------------------------------------------------

# fails TEXT...: the case ends here.
fails() {
    echo "$*"
    exit 1
}

skips() {
    echo "$*"
    exit 77
}

# run COMMAND...: its output is in the files out and err, its status in $status.
run() {
    "$@" >out 2>err </dev/null
    status=$?
}

expect_status() {
    [[ $status -eq $1 ]] || fails "status $status, want $1; stderr: $(head -n 3 err)"
}

# The only line of stderr is this one.
expect_line() {
    [[ $(cat err) == "$1" ]] || fails "stderr '$(head -n 3 err)', want '$1'"
}

# expect_in FILE REGEX: a line matches.
expect_in() {
    grep -Eq -- "$2" "$1" || fails "no line of $1 matches '$2': $(head -n 5 "$1")"
}

# wait_for COMMAND...: until it succeeds, for a minute at most.
wait_for() {
    local tries
    for ((tries = 0; tries < 1200; tries++)); do
        "$@" && return
        sleep 0.05
    done
    fails "waited in vain for: $*"
}

# ---- Running them --------------------------------------------------------------------------------

passed=0
failed=0

run_case() {
    local name=$1 status output
    mkdir "$work/$name"
    output=$(cd "$work/$name" && "case_$name" 2>&1)
    status=$?
    case $status in
    0)
        echo "ok $name"
        passed=$((passed + 1))
        ;;
    77) echo "skip $name: $output" ;;
    *)
        echo "FAIL $name: ${output:-status $status}"
        failed=$((failed + 1))
        ;;
    esac
    rm -rf "${work:?}/$name"
}

shopt -s nullglob
for file in "$here"/test_*.sh; do
    # shellcheck disable=SC1090 # found by wildcard
    source "$file"
done
for name in $(declare -F | sed -n 's/^declare -f case_//p'); do
    if [[ -z ${wanted// /} || $wanted == *" $name "* ]]; then
        run_case "$name"
    fi
done

echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
