#!/usr/bin/env bash
# The table of options in the README has to say what the library says of itself with HAKMEM_HELP=1.
#
# usage: check-options.sh LIB README
set -u
lib=$(realpath "$1")
readme=$2

# NAME (LOW to HIGH) HELP, one a line; the value is the default, as no option but HAKMEM_HELP is set.
# shellcheck disable=SC2016 # the backticks are the README's
said=$(env -i HAKMEM_HELP=1 "LD_PRELOAD=$lib" /bin/true 2>&1 | sed -nE \
    's/^(HAKMEM_[A-Z_]+) +([0-9]+) +\(([0-9]+ to [0-9]+)\) (.*)$/| `\1` | \2 | \3 | \4 |/p' |
    sed 's/^| `HAKMEM_HELP` | 1 /| `HAKMEM_HELP` | 0 /')
written=$(sed -n '/^<!-- options -->$/,/^<!-- \/options -->$/p' "$readme" | grep -E '\| [0-9]+ to [0-9]+ \|')
if [[ -z $said || $said != "$written" ]]; then
    echo "check-options: the library (<) and $readme (>) differ" >&2
    diff <(echo "$said") <(echo "$written") >&2
    exit 1
fi
echo "$(wc -l <<<"$said") options agree with $readme"
