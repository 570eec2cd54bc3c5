#!/usr/bin/env bash
# Checks that each source includes only its own header and headers of lower floors.
#
# usage: check-layers.sh LAYERS SRCDIR     LAYERS: lines "floor name name ...", # comments
set -u
declare -A floor
while read -r number names; do
    [[ -z $number || $number == \#* ]] && continue
    for name in $names; do
        floor[$name]=$number
    done
done <"$1"
bad=0
scanned=0
for path in "$2"/*.c "$2"/*.h "$2"/*.def; do
    file=$(basename "$path")
    own=${floor[$file]:-}
    if [[ -z $own ]]; then
        echo "FAIL $file: has no floor in $1"
        bad=$((bad + 1))
        continue
    fi
    scanned=$((scanned + 1))
    while read -r included; do
        [[ $included == hakmem.h || ${included%.*} == "${file%.*}" ]] && continue
        other=${floor[$included]:-}
        if [[ -z $other || $other -ge $own ]]; then
            echo "FAIL $file (floor $own) includes $included (floor ${other:-none})"
            bad=$((bad + 1))
        fi
    done < <(sed -n 's/^#include "\(.*\)"/\1/p' "$path")
done
echo "layers: $scanned files scanned, $bad violations"
[[ $scanned -gt 0 && $bad -eq 0 ]]
