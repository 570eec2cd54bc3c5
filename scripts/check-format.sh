#!/usr/bin/env bash
# Formatting by .clang-format. Other versions of the tool format otherwise, so only one is asked.
#
# usage: check-format.sh FILE...
set -eu
wanted=14
version=$({ clang-format --version 2>/dev/null || true; } | sed -n 's/.*version \([0-9]*\).*/\1/p')
if [[ $# -eq 0 ]]; then
    echo "check-format: no files" >&2
    exit 1
fi
if [[ $version != "$wanted" ]]; then
    echo "check-format: skipped, clang-format $wanted is not here (${version:-none})"
    exit 0
fi
clang-format --dry-run -Werror "$@"
echo "check-format: $# files"
