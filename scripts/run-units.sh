#!/usr/bin/env bash
# Runs the unit test programs given; fails when one fails, or when no test was run at all.
set -u
passed=0
failed=0
for program in "$@"; do
    output=$("$program" 2>&1)
    status=$?
    ok=$(grep -c '^\[       OK \]' <<<"$output")
    if [[ $status -ne 0 || $ok -eq 0 ]]; then
        echo "$output"
        echo "FAIL $(basename "$program"): exit status $status, $ok tests passed"
        failed=$((failed + 1))
    else
        echo "ok $(basename "$program"): $ok tests"
    fi
    passed=$((passed + ok))
done
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
