#!/usr/bin/env bash
# Plants a bug in a copy of the sources, and compiles what it changed.
#
# usage: mutate.sh MUTANT SOURCEDIR OBJECTDIR TARGETDIR COMPILER FLAGS...
#
# A mutant's first line says in words what is wrong; then, as often as need be:
#   --- old
#   lines as they stand in a source
#   --- new
#   lines to put in their place
# The old text must be found exactly once in all sources, wherever it stands. TARGETDIR gets the
# objects of OBJECTDIR, those anew that the mutant changed.
set -u
mutant=$1
sources=$2
objects=$3
target=$4
shift 4

plant() { # old new
    local file content rest found=0
    for file in $(grep -lF -- "${1%%$'\n'*}" "$target"/src/*.[ch]); do
        content=$(<"$file")
        if [[ $content == *"$1"* ]]; then
            rest=${content#*"$1"}
            [[ $rest == *"$1"* ]] && found=$((found + 1))
            found=$((found + 1))
            printf '%s\n' "${content/"$1"/"$2"}" >"$file"
        fi
    done
    if [[ $found -ne 1 ]]; then
        echo "$mutant: this text stands in $sources $found times, and must once:" >&2
        echo "$1" >&2
        exit 1
    fi
}

plant_all() {
    local line part='' old='' new='' count=0
    while IFS= read -r line; do
        if [[ $line == "--- old" ]]; then
            [[ $part == new ]] && plant "$old" "$new"
            part=old old='' new=''
            count=$((count + 1))
        elif [[ $line == "--- new" ]]; then
            part=new
        elif [[ $part == old ]]; then
            old+=$line$'\n'
        elif [[ $part == new ]]; then
            new+=$line$'\n'
        fi
    done <"$mutant"
    [[ $part == new ]] && plant "$old" "$new"
    if [[ $count -eq 0 ]]; then
        echo "$mutant: nothing to plant" >&2
        exit 1
    fi
}

rm -rf "$target"
mkdir -p "$target/src"
cp "$objects"/*.o "$target" && cp "$sources"/*.[ch] "$sources"/*.def "$target/src" || exit 1
plant_all

header_changed=false
for header in "$target"/src/*.h; do
    cmp -s "$header" "$sources/$(basename "$header")" || header_changed=true
done
for object in "$target"/*.o; do
    name=$(basename "$object" .o)
    if $header_changed || ! cmp -s "$target/src/$name.c" "$sources/$name.c"; then
        "$@" -I"$target/src" -c "$target/src/$name.c" -o "$object" || exit 1
    fi
done
