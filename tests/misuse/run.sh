#!/usr/bin/env bash
# Runs each misuse program under the library; demands SIGABRT and the expected line on stderr, behind
# which only lines of details may stand.
#
# usage: run.sh LIB PROGDIR
#
# Every *.c and *.cc beside this script is a case; its program is PROGDIR/<name>. The line
# `// expect: REGEX` of the source is an extended regex for the whole line; %P and %Q stand for the
# pointers that the program announced on stdout. `// env: NAME=value ...` sets variables for it,
# `// hardened: REGEX` is expected instead of a program without such a line where this script runs under
# HAKMEM_HARDEN=1.
set -u
export LC_ALL=C

if [[ $# -ne 2 || ! -f $1 || ! -d $2 ]]; then
    echo "usage: $0 LIB PROGDIR" >&2
    exit 2
fi
lib=$(realpath "$1")
progdir=$(realpath "$2")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ulimit -c 0

passed=0
failed=0

fail() {
    echo "FAIL $1: $2"
    failed=$((failed + 1))
}

# The regex of source $1 with the announced pointers of file $2 filled in.
expected_line() {
    local regex name value hardened
    regex=$(sed -n 's|^// expect: ||p' "$1")
    if [[ ${HAKMEM_HARDEN:-0} == 1 ]] && ! grep -q '^// env: ' "$1"; then
        hardened=$(sed -n 's|^// hardened: ||p' "$1")
        # Hardened blocks are as large as was asked for, and large ones are guarded.
        regex=${hardened:-$(sed -E -e 's/, [0-9]+ bytes/, [0-9]+ bytes/' \
            -e 's/\(large, /(guarded, /' -e 's/\((class|large)/(\1/' \
            -e 's/inside a large block \\\(block at ([^,]*), ([^)]*)\)/inside a block \\(guarded, \2, block at \1\\)/' <<<"$regex")}
    fi
    while read -r name value; do
        regex=${regex//%$name/$value}
    done <"$2"
    printf '%s' "$regex"
}

run_case() {
    local source=$1 name regex status lines line settings
    name=$(basename "${source%.*}")
    if [[ $(grep -c '^// expect: .' "$source") -ne 1 ]]; then
        fail "$name" "no single '// expect:' line in the source"
        return
    fi
    if [[ ! -x $progdir/$name ]]; then
        fail "$name" "not built"
        return
    fi
    # The inner shell keeps what `timeout` itself may print out of the program's stderr.
    read -ra settings < <(sed -n 's|^// env: |HAKMEM_HARDEN=0 |p' "$source")
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout 60 env "${settings[@]}" sh -c 'LD_PRELOAD=$1 exec "$2" >"$3" 2>"$4"' sh \
        "$lib" "$progdir/$name" "$work/out" "$work/err" 2>/dev/null
    status=$?
    regex=$(expected_line "$source" "$work/out")
    lines=$(wc -l <"$work/err")
    line=$(head -n 1 "$work/err")
    if [[ $status -ne 134 ]]; then
        fail "$name" "exit status $status, want 134 (SIGABRT); stderr: ${line:-empty}"
    elif [[ $lines -lt 1 ]] || tail -n +2 "$work/err" | grep -qv '^hakmem:   [^ ]\|^hakmem:     [^ ]'; then
        fail "$name" "lines behind the first that are no details of it: $(head -n 3 "$work/err")"
    elif [[ ! $line =~ ^($regex)$ ]]; then
        fail "$name" "stderr '$line' does not match '$regex'"
    else
        echo "ok $name"
        passed=$((passed + 1))
    fi
}

shopt -s nullglob
for source in "$here"/*.c "$here"/*.cc; do
    run_case "$source" 2>/dev/null
done

echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
