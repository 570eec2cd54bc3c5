#!/usr/bin/env bash
# Reads the hit paths in the built library: no stack frame, no lock prefix, no call; and whether what
# the loader binds can be written to later on.
#
# usage: check-object.sh LIB
#
# A hit path is one function's own body; what leaves it must be a jump (a tail call).
set -u
lib=$1
bad=0
seen=0
if [[ $(uname -m) != x86_64 ]]; then
    echo "check-object: only x86-64 is known, skipped"
    exit 0
fi

# Each name's body: from its address to the end of the symbol.
check() {
    local name=$1 start size body
    read -r start size < <(nm -D -S "$lib" | awk -v n="$name" '$4 == n {print $1, $2}')
    if [[ -z ${start:-} ]]; then
        echo "FAIL $name: not in $lib"
        bad=$((bad + 1))
        return
    fi
    body=$(objdump -d --no-show-raw-insn --start-address=0x$start \
        --stop-address=$((16#$start + 16#$size)) "$lib" | grep -P '^\s+[0-9a-f]+:')
    seen=$((seen + 1))
    if grep -qP '\b(call|push)\b|\block\b|sub +\$0x[0-9a-f]+,%rsp|xchg +%r.*\(' <<<"$body"; then
        echo "FAIL $name: a call, a frame or an atomic on the hit path"
        grep -P '\b(call|push)\b|\block\b|sub +\$0x[0-9a-f]+,%rsp|xchg +%r.*\(' <<<"$body"
        bad=$((bad + 1))
    fi
}

for name in malloc free cfree free_sized _Znwm _Znam _ZnwmRKSt9nothrow_t _ZdlPv _ZdaPv _ZdlPvm \
    _ZdaPvm; do
    check $name
done

# dlopen() must leave by a jump, or libc would take hakmem for the caller.
if ! objdump -d --no-show-raw-insn "$lib" | awk '/<dlopen>:/ {on = 1} /^$/ {on = 0} on' |
    grep -qP 'jmp +\*%r'; then
    echo "FAIL dlopen: no tail call"
    bad=$((bad + 1))
fi
# Full RELRO: no address of a function of another library may stay writable.
read -r relro_start relro_size < <(readelf -lW "$lib" | awk '$1 == "GNU_RELRO" {print $3, $6}')
relro_end=$((${relro_start:-0} + ${relro_size:-0}))
while read -r at; do
    if ((16#$at < ${relro_start:-0} || 16#$at >= relro_end)); then
        echo "FAIL relocation at 0x$at: stays writable"
        bad=$((bad + 1))
    fi
done < <(readelf -rW "$lib" | awk '/R_X86_64_(JUMP_SLOT|GLOB_DAT)/ {print $1}')
echo "check-object: $seen hit paths read, $bad violations"
[[ $seen -gt 0 && $bad -eq 0 ]]
