# shellcheck shell=bash disable=SC2154 # sourced by run.sh
# build/bench/compare, which `make bench` runs.

compare=$(dirname "$lib")/build/bench/compare

# Two rows, more rounds than there is time for, and a signal after the first whole one of a row.
case_compare_told_to_end_shows_what_it_has() {
    local pid runs status=0
    "$compare" --quick --rounds 99 --only fixed-64 --only waves-64 --csv table.csv \
        --lib "hakmem=$lib" >out 2>progress &
    pid=$!
    for ((i = 0; i < 600; i++)); do
        grep -q "round 3 of 99, row 2" progress && break
        sleep 0.1
    done
    kill -TERM $pid
    wait $pid || status=$?
    [[ $status -eq 143 ]] || fails "status $status: $(tail -3 progress)"
    grep -q "ended early by signal 15" out || fails "$(<out)"
    grep -q "geometric mean" out || fails "no table: $(<out)"
    for row in fixed-64,system fixed-64,hakmem waves-64,system waves-64,hakmem; do
        runs=$(sed -nE "s/^$row,operations,([0-9]+),.*/\\1/p" table.csv)
        ((${runs:-0} >= 2 && runs < 99)) || fails "$row has ${runs:-no} runs: $(<table.csv)"
    done
    grep -q ",signal" table.csv && fails "a run that was broken off counts: $(<table.csv)"
    return 0
}
