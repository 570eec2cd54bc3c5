#!/usr/bin/env bash
# Compiles every source with clang, warnings as errors; skipped with a note where clang is missing.
#
# usage: clang-build.sh CLANG FLAGS SOURCE...
set -u
clang=$1
flags=$2
shift 2
if ! command -v "$clang" >/dev/null; then
    echo "clang-build: $clang is not installed, skipped"
    exit 0
fi
for source in "$@"; do
    # shellcheck disable=SC2086
    "$clang" $flags -fsyntax-only "$source" || exit 1
done
echo "clang-build: $# sources, no warnings"
