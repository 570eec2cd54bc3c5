#!/usr/bin/env bash
# Installs what the tests need and the machine lacks: as root by apt-get, else prints the command.
set -u
missing=()
[[ -e /usr/include/cmocka.h ]] || missing+=(libcmocka-dev)
command -v valgrind >/dev/null || missing+=(valgrind)
command -v g++ >/dev/null || missing+=(g++)
command -v strace >/dev/null || missing+=(strace)
command -v python3 >/dev/null || missing+=(python3)
command -v objdump >/dev/null || missing+=(binutils)
if [[ ${#missing[@]} -eq 0 ]]; then
    exit 0
fi
install="apt-get install -y --no-install-recommends ${missing[*]}"
if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "The tests need: ${missing[*]}. As root, run: apt-get update && $install" >&2
    exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# Another installation may be under way on the machine: wait for it rather than fail.
apt-get update -qq && $install -qq -o DPkg::Lock::Timeout=300 >/dev/null
