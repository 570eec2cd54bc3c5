#!/usr/bin/env bash
# The table of options in the README is made of src/options.def.
#
# usage: options.sh CC DEF README [--write]      without --write: fails when they differ
set -u
cc=$1
def=$2
readme=$3

# The preprocessor joins strings that go over several lines; sed takes the quotes away.
rows() {
    printf '%s\n' '#define OPTION(name, variable, standard, low, high, help) ROW variable @ standard @ low @ high @ help' \
        "#include \"$PWD/$def\"" | "$cc" -E -P -x c - |
        sed -n 's/" *"//g; s/^ROW "\(.*\)" @ \(.*\) @ \(.*\) @ \(.*\) @ "\(.*\)"$/| `\1` | \2 | \3 to \4 | \5 |/p'
}

table() {
    echo '| Variable | Default | Range | Meaning |'
    echo '|---|---|---|---|'
    rows
    # shellcheck disable=SC2016 # Markdown
    echo '| `HAKMEM_STATS_FILE` | not set | a path of at most 255 bytes | statistics and leaks go to this file instead of stderr (`.json`: as JSON, `%p`: process id) |'
}

if [[ $(rows | wc -l) -ne $(grep -c '^OPTION(' "$def") ]]; then
    echo "FAIL options: not every line of $def was understood"
    exit 1
fi
wanted=$(table)
made=$(awk -v file=<(echo "$wanted") '
    /^<!-- options -->$/ {print; while ((getline line < file) > 0) print line; off = 1}
    /^<!-- \/options -->$/ {off = 0}
    !off' "$readme")
if [[ ${4:-} == --write ]]; then
    echo "$made" >"$readme"
elif ! diff <(echo "$made") "$readme"; then
    echo "FAIL options: the table in $readme is not that of $def; make options writes it"
    exit 1
fi
echo "options: $(rows | wc -l) of $def, as in $readme"
