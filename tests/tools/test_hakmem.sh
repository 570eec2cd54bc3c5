# shellcheck shell=bash disable=SC2154 # sourced by run.sh
# The runner: scripts/hakmem.



case_hakmem_preloads_the_library() {
    run "$hakmem" "$guest" env=LD_PRELOAD
    expect_status 0
    expect_in out "^LD_PRELOAD=$lib$"
}

case_hakmem_prepends_to_other_preloads() {
    cp "$lib" other.so
    run env LD_PRELOAD="$PWD/other.so" "$hakmem" "$guest" env=LD_PRELOAD
    expect_status 0
    expect_in out "^LD_PRELOAD=$lib:$PWD/other.so$"
}

case_hakmem_takes_the_library_that_it_is_told() {
    cp "$lib" other.so
    run "$hakmem" --lib other.so "$guest" env=LD_PRELOAD
    expect_in out "^LD_PRELOAD=$PWD/other.so$"
    run "$hakmem" --lib none.so "$guest"
    expect_status 2
    expect_line "hakmem: --lib: none.so is not to be found"
}

case_hakmem_keeps_arguments_and_their_spaces() {
    run "$hakmem" "$guest" args 'a b' '' -x '*'
    printf '<%s>\n' "$guest" args 'a b' '' -x '*' | cmp -s - out || fails "arguments: $(cat out)"
}

case_hakmem_keeps_the_exit_status() {
    local want
    for want in 0 1 2 42 126 127 130 255; do
        run "$hakmem" "$guest" exit=$want
        expect_status $want
    done
}

case_hakmem_keeps_the_signal() {
    # A shell says 128 + n of a program that a signal ended; python tells that from an exit status.
    local signal
    for signal in 6 9 11 15; do
        run python3 -c 'import subprocess, sys; print(subprocess.call(sys.argv[1:]))' \
            "$hakmem" "$guest" raise=$signal
        [[ $(cat out) == -$signal ]] || fails "signal $signal: $(cat out)"
    done
}

case_hakmem_passes_signals_on() {
    "$hakmem" "$guest" touch=started wait=never &
    local runner=$!
    wait_for test -e started
    kill -TERM $runner
    wait $runner
    [[ $? -eq 143 ]] || fails "the runner does not end by SIGTERM"
}

case_hakmem_program_not_found_is_127() {
    run "$hakmem" no-such-program
    expect_status 127
    expect_line "hakmem: no-such-program: not found"
    run "$hakmem" ./no-such-program
    expect_status 127
    expect_line "hakmem: ./no-such-program: not found"
}

case_hakmem_not_executable_is_126() {
    echo text >file
    run "$hakmem" ./file
    expect_status 126
    expect_line "hakmem: ./file: is not executable"
    run "$hakmem" /
    expect_status 126
    expect_line "hakmem: /: is a directory"
}

case_hakmem_static_program_is_named() {
    ${CC:-gcc} -static -o still "$here/guest.c" 2>/dev/null || skips "no static libc"
    run "$hakmem" ./still
    expect_status 126
    expect_line "hakmem: ./still is a static program, so nothing can be preloaded; link it with libhakmem.a"
}

case_hakmem_static_pie_is_named() {
    ${CC:-gcc} -static-pie -fPIE -o still "$here/guest.c" 2>/dev/null || skips "no static libc"
    run "$hakmem" ./still
    expect_status 126
    expect_in err "^hakmem: ./still is a static program"
}

case_hakmem_setuid_program_is_named() {
    cp "$guest" other
    if [[ $(id -u) -ne 0 ]]; then
        skips "only root can make one of another user"
    fi
    chown nobody other
    chmod u+s other
    run "$hakmem" ./other
    expect_status 126
    expect_line "hakmem: ./other is setuid, so nothing can be preloaded"
    chmod u-s,g+s other
    chgrp nogroup other
    chmod g+s other
    run "$hakmem" ./other
    expect_status 126
    expect_line "hakmem: ./other is setgid, so nothing can be preloaded"
}

case_hakmem_own_setuid_program_runs() {
    cp "$guest" own
    chmod u+s own
    run "$hakmem" ./own env=LD_PRELOAD
    expect_status 0
    expect_in out "^LD_PRELOAD=$lib$"
}

case_hakmem_other_machine_is_named() {
    cp "$guest" other
    printf '\x08' | dd of=other bs=1 seek=18 conv=notrunc status=none # EM_MIPS
    run "$hakmem" ./other
    expect_status 126
    expect_line "hakmem: ./other is for another architecture than $lib, so it cannot be preloaded"
    cp "$guest" other
    printf '\x01' | dd of=other bs=1 seek=4 conv=notrunc status=none # 32 bits
    run "$hakmem" ./other
    expect_status 126
}

case_hakmem_script_runs_and_its_interpreter_is_looked_at() {
    # shellcheck disable=SC2016 # for the script
    printf '#!/bin/sh\necho "$LD_PRELOAD"\n' >script
    chmod +x script
    run "$hakmem" ./script
    expect_status 0
    expect_in out "^$lib$"
    ${CC:-gcc} -static -o still "$here/guest.c" 2>/dev/null || return 0
    printf '#!%s\n' "$PWD/still" >script
    run "$hakmem" ./script
    expect_status 126
    expect_in err "^hakmem: ./script: its interpreter $PWD/still is a static program"
}

case_hakmem_stats_are_printed_at_exit() {
    run "$hakmem" --stats "$guest" hold=100
    expect_status 0
    expect_in err '^live_bytes +[1-9]'
}

case_hakmem_stats_file_gets_them() {
    run "$hakmem" --stats-file 'a b.%p' "$guest" hold=100
    expect_status 0
    [[ ! -s err ]] || fails "stderr: $(cat err)"
    cat "a b".* >all
    expect_in all '^live_bytes +[1-9]'
}

case_hakmem_trace_prints_the_events_asked_for() {
    run "$hakmem" --trace acquire,free,lru,drain "$guest" churn=20
    expect_status 0
    expect_in err '^\[SP_ACQUIRE_STAGE3\] class=[0-9]+ new SuperSlab \(ss=0x[0-9a-f]+ from_lru=0\)$'
    expect_in err '^\[SP_SLOT_RELEASE\] ss=0x[0-9a-f]+ slab_idx=[0-9]+ class=[0-9]+ used=0 \(marking EMPTY\)$'
    expect_in err '^\[TLS_SLL_DRAIN\] '
    run "$hakmem" --trace acquire "$guest" churn=20
    if grep -qv '^\[SP_ACQUIRE_STAGE[123]\] ' err; then
        fails "more than what was asked for: $(grep -v ACQUIRE err | head -n 1)"
    fi
}

case_hakmem_wrong_calls_are_2_and_a_line() {
    local arguments
    for arguments in "" "--nonsense true" "--trace boom true" "--trace" "--stats-file" "--stats" \
        "--report x --stats-file y true"; do
        # shellcheck disable=SC2086 # words are wanted
        run "$hakmem" $arguments
        expect_status 2
        [[ $(wc -l <err) -eq 1 ]] || fails "not one line for '$arguments': $(cat err)"
    done
}

case_hakmem_help_names_every_option() {
    local option
    run "$hakmem" --help
    expect_status 0
    for option in stats stats-file report leaks trace lib; do
        expect_in out "^  --$option "
    done
}

case_hakmem_installed_finds_its_library() {
    mkdir -p prefix/bin prefix/lib
    cp "$hakmem" prefix/bin/
    cp "$lib" prefix/lib/
    run prefix/bin/hakmem "$guest" env=LD_PRELOAD
    expect_status 0
    expect_in out "^LD_PRELOAD=$PWD/prefix/lib/libhakmem.so$"
    rm prefix/lib/libhakmem.so
    run prefix/bin/hakmem "$guest"
    expect_status 2
    expect_in err '^hakmem: libhakmem.so is not to be found'
}

case_hakmem_leaks_are_printed_at_exit() {
    run "$hakmem" --leaks "$guest" hold=100 hold=100 hold=99999
    expect_status 0
    expect_in err '^leak_large +102400 +1 +102400  # '
    expect_in err '^leak_class_6 +112 +2 +224  # '
    expect_in err '^leaks_total +3 +102624  # '
}

case_hakmem_leaks_go_into_the_stats_file() {
    run "$hakmem" --leaks --stats-file s.json "$guest" hold=99999
    python3 -c 'import json; s = json.load(open("s.json")); l = s["leaks"]
assert l[0] == {"class": -1, "size": 102400, "blocks": 1, "bytes": 102400}, l
assert sum(x["bytes"] for x in l) == s["live_bytes"], s' || fails "leaks in JSON"
}
