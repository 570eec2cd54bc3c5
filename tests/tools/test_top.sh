# shellcheck shell=bash disable=SC2154 # sourced by run.sh
# Running programs: HAKMEM_LIVE=1 and scripts/hakmem-top.

top=$scripts/hakmem-top

# start ACTION...: a guest that goes on until the file end is there. Its process id: $started.
start() {
    HAKMEM_LIVE=1 "$hakmem" "$guest" "$@" touch=ready wait=end &
    started=$!
    wait_for test -e ready
    wait_for test -s "/dev/shm/hakmem.$started"
}

stop() {
    touch end
    wait "$started"
}

# published_more_than BYTES: they are live.
published_more_than() {
    "$top" --raw "$started" | awk -v n="$1" '$1 == "live_bytes" {exit !($2 > n)}'
}

case_top_shows_a_running_program() {
    start hold=5000000 churn=5
    wait_for published_more_than 5000000
    run "$top" --once "$started"
    stop
    expect_status 0
    expect_in out "^guest, process $started, hakmem "
    expect_in out '^  live +[0-9.]+ MiB +live blocks +[1-9]'
    expect_in out '^  on top +[0-9.]+ '
    expect_in out '^ +1040 +[0-9]+ '
}

case_top_file_is_private_and_goes_away() {
    start
    [[ $(stat -c %a "/dev/shm/hakmem.$started") == 600 ]] || fails "$(ls -l /dev/shm)"
    stop
    [[ ! -e /dev/shm/hakmem.$started ]] || fails "the file stays"
}

case_top_says_when_the_process_is_gone() {
    start
    kill -KILL "$started"
    wait "$started" 2>/dev/null
    run "$top" --once "$started"
    rm -f "/dev/shm/hakmem.$started"
    expect_status 1
    expect_line "hakmem-top: process $started is gone"
}

case_top_ends_with_the_process() {
    start
    "$top" --interval 0.1 "$started" >shown 2>err &
    local shower=$!
    wait_for grep -q "guest, process" shown
    stop
    wait $shower
    [[ $? -eq 1 ]] || fails "status not 1"
    expect_line "hakmem-top: process $started is gone"
}

case_top_says_when_nothing_is_published() {
    run "$top" --once $$
    expect_status 1
    expect_line "hakmem-top: process $$ publishes nothing: start it under hakmem with HAKMEM_LIVE=1"
    echo old >"/dev/shm/hakmem.$BASHPID"
    run "$top" --once "$BASHPID"
    rm "/dev/shm/hakmem.$BASHPID"
    expect_status 1
    [[ $(wc -l <err) -eq 1 ]] || fails "$(cat err)"
}

case_top_wrong_calls_are_2() {
    local arguments
    for arguments in "" "x" "--nonsense 1" "--interval x 1" "1 2" "0"; do
        # shellcheck disable=SC2086 # words are wanted
        run "$top" $arguments
        expect_status 2
        [[ $(wc -l <err) -eq 1 ]] || fails "not one line for '$arguments'"
    done
}

# Pages that are written all the time are read whole: the parts of each are of one moment.
case_top_pages_are_whole_while_they_are_written() {
    local tries
    export HAKMEM_STATS_INTERVAL_MS=1
    start
    unset HAKMEM_STATS_INTERVAL_MS
    for ((tries = 0; tries < 150; tries++)); do
        run "$top" --raw "$started"
        expect_status 0
        awk '{v[$1] = $2} END {
            parts = v["bin_bytes"] + v["queued_bytes"] + v["free_bytes"] + v["uncarved_bytes"]
            parts += v["retained_bytes"] + v["metadata_bytes"]
            exit !(v["process"] > 0 && parts > 0 && v["waste_bytes"] == parts && v["end"] == v["published_ms"])
        }' out || fails "parts of two moments"
    done
    stop
}

case_live_child_of_a_fork_has_a_file_of_its_own() {
    HAKMEM_LIVE=1 "$hakmem" "$guest" churn=1 fork=child touch=ready wait=end &
    started=$!
    wait_for test -e ready
    wait_for test -s child
    local child
    child=$(cat child)
    wait_for test -s "/dev/shm/hakmem.$child"
    wait_for "$top" --once "$child" >/dev/null 2>&1
    run "$top" --once "$started"
    expect_status 0
    expect_in out "process $started,"
    stop
    [[ ! -e /dev/shm/hakmem.$child && ! -e /dev/shm/hakmem.$started ]] || fails "files stay"
}

case_live_replaces_what_is_in_the_way_and_follows_no_link() {
    echo precious >precious
    # The shell becomes the guest: so its process id is known before.
    # shellcheck disable=SC2016 # for that shell
    HAKMEM_LIVE=1 bash -c 'ln -s "$PWD/precious" /dev/shm/hakmem.$$; exec "$@"' bash \
        "$hakmem" "$guest" touch=ready wait=end &
    started=$!
    wait_for test -e ready
    wait_for test -f "/dev/shm/hakmem.$started"
    [[ ! -L /dev/shm/hakmem.$started && $(cat precious) == precious ]] || fails "the link was followed"
    stop
}

case_live_is_not_the_default() {
    "$hakmem" "$guest" touch=ready wait=end &
    started=$!
    wait_for test -e ready
    [[ ! -e /dev/shm/hakmem.$started ]] || fails "published unasked"
    stop
}
