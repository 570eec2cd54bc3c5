#!/usr/bin/env bash
# Measures beside every allocator found: those of Debian's packages, and PEERS/NAME.so.
#
# usage: PEERS=dir BENCH=dir bench.sh COMPARE [ARGUMENT of compare...]
set -u
compare=$1
shift
arguments=(--lib "hakmem=$PWD/libhakmem.so")
if [[ -n ${PEERS:-} ]]; then
    for lib in "$PEERS"/*.so; do
        [[ -e $lib ]] && arguments+=(--lib "$(basename "$lib" .so)=$lib")
    done
else
    for name in mimalloc jemalloc tcmalloc_minimal tbbmalloc_proxy; do
        for lib in /usr/lib/*/lib$name.so.*; do
            [[ -e $lib ]] && arguments+=(--lib "$name=$lib") && break
        done
    done
fi
[[ -n ${BENCH:-} ]] && arguments+=(--bench-dir "$BENCH")
exec "$compare" "${arguments[@]}" "$@"
