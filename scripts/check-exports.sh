#!/usr/bin/env bash
# Compares the names that the library defines with those of the export list.
#
# usage: check-exports.sh LIB MAP
set -u
built=$(nm -D --defined-only "$1" | awk '{print $3}' | sed 's/@.*//' | sort -u)
listed=$(sed -e 's|/\*.*||' -e '/^[^;]*\*\//d' "$2" | tr ';' '\n' |
    sed -n 's/^[[:space:]]*\([A-Za-z_][A-Za-z0-9_]*\)[[:space:]]*$/\1/p' | sort -u)
difference=$(diff <(echo "$listed") <(echo "$built"))
if [[ -z $built || -n $difference ]]; then
    echo "FAIL exports of $1 differ from $2 (<: only listed, >: only built)"
    echo "$difference"
    exit 1
fi
echo "exports: $(wc -l <<<"$built") names, as listed"
