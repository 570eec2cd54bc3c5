#!/usr/bin/env bash
# Runs the stress of the core under the address, undefined and thread sanitizers.
#
# usage: sanitize.sh BUILDDIR SECONDS
set -u
build=$1
seconds=$2
passed=0
failed=0
run() {
    local name=$1
    shift
    if output=$("$@" 2>&1) && ! grep -qE 'runtime error|WARNING: ThreadSanitizer|ERROR: ' \
        <<<"$output"; then
        echo "ok $name: $(tail -n 1 <<<"$output")"
        passed=$((passed + 1))
    else
        echo "$output" | head -n 60
        echo "FAIL $name"
        failed=$((failed + 1))
    fi
}
run address "$build/stress-address" --threads 4 --seconds "$seconds" --churn
run undefined "$build/stress-undefined" --threads 4 --seconds "$seconds" --churn
# Fixed addresses: the thread sanitizer's shadow does not cope with every random layout.
run thread setarch -R "$build/stress-thread" --threads 4 --seconds "$seconds" --churn
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
