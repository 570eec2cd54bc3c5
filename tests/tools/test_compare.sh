# shellcheck shell=bash disable=SC2154 # sourced by run.sh
# build/bench/compare, which `make bench` runs.

compare=$progdir/../../bench/compare

# begins ARGUMENT...: a comparison of two rows in the background, $pid; ends_after PROGRESS: by a signal.
begins() {
    "$compare" --quick --only fixed-64 --only waves-64 --csv table.csv --html page.html \
        --lib "hakmem=$lib" "$@" >out 2>progress &
    pid=$!
}

ends_after() {
    local status=0
    for ((i = 0; i < 600; i++)); do
        grep -q "$1" progress && break
        sleep 0.05
    done
    kill -TERM $pid
    wait $pid || status=$?
    [[ $status -eq 143 ]] || fails "status $status: $(tail -3 progress)"
    grep -q "ended early by signal 15" out || fails "$(<out)"
    grep -q "ended early" page.html || fails "the page says nothing of it"
    grep -q ',"signal' table.csv && fails "a run that was broken off counts: $(<table.csv)"
    grep -q "FAILED" out && fails "$(<out)"
    return 0
}

# runs_of ROW: as many with each allocator.
runs_of() {
    local runs
    runs=$(sed -nE "s/^$1,[a-z]+,operations,([0-9]+),.*/\\1/p" table.csv | sort -u)
    [[ $runs =~ ^[0-9]+$ ]] || fails "$1: runs $runs: $(<table.csv)"
    echo "$runs"
}

case_compare_told_to_end_shows_whole_rounds() {
    local runs
    begins --rounds 99
    ends_after "round 3 of 99, row 2"
    grep -q "geometric mean" out || fails "no table: $(<out)"
    for row in fixed-64 waves-64; do
        runs=$(runs_of $row) || fails "$runs"
        ((runs >= 2 && runs < 99)) || fails "$row: $runs runs"
    done
}

case_compare_told_to_end_before_a_round_names_the_rows() {
    begins --rounds 1
    ends_after "round 1 of 1, row 1"
    grep -q "skipped: waves-64 (the run ended before its first round did)" out || fails "$(<out)"
}

case_compare_told_to_end_among_statistics_loses_nothing() {
    local runs
    begins --rounds 1
    ends_after "statistics: fixed-64"
    runs=$(runs_of waves-64) || fails "$runs"
    ((runs == 1)) || fails "$runs runs"
}
