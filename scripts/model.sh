#!/usr/bin/env bash
# The model: the core as it is must pass, and each planted bug must be found.
#
# usage: model.sh BUILDDIR [ARGUMENTS OF THE MODEL...]
#
# BUILDDIR holds one directory with a program "model" for the core and for each mutant.
set -u
build=$1
shift
mutants=tests/model/mutants
passed=0
failed=0
rows=()

if "$build/core/model" "$@"; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
fi

field() { # name, from the line "found: ...; preemptions: ...; schedules: ..."
    grep '^found: ' <<<"$output" | tr ';' '\n' | sed -n "s/^ *$1: //p"
}

for mutant in "$mutants"/*; do
    name=$(basename "$mutant")
    echo
    echo "$name: $(head -n 1 "$mutant")"
    output=$("$build/$name/model" --mutant "$@" 2>&1)
    status=$?
    grep -v '^found: ' <<<"$output"
    if [[ $status -eq 0 && -n $(field found) ]]; then
        passed=$((passed + 1))
        rows+=("$(printf '%-30s %-34s %11s %9s' "$name" "$(field found)" "$(field preemptions)" \
            "$(field schedules)")")
    else
        failed=$((failed + 1))
        rows+=("$(printf '%-30s %s' "$name" "NOT FOUND")")
    fi
done

echo
printf '%-30s %-34s %11s %9s\n' "planted bug" "found in" preemptions schedules
printf '%s\n' "${rows[@]}"
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && ${#rows[@]} -gt 0 ]]
