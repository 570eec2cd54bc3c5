# shellcheck shell=bash disable=SC2154 # sourced by run.sh
# Pages: scripts/hakmem-report, and what it reads.

needs_python() {
    command -v python3 >/dev/null || skips "no python3"
}

# The page closes what it opens and asks for nothing from elsewhere.
expect_page() {
    python3 - "$1" <<'PYTHON' || fails "$1 is no page"
import re, sys
from html.parser import HTMLParser
class Check(HTMLParser):
    stack = []
    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        assert not {"src", "href", "onload", "action"} & set(names), (tag, attrs)
        assert tag not in ("script", "link", "iframe", "img"), tag
        if tag not in ("meta",):
            self.stack.append(tag)
    def handle_startendtag(self, tag, attrs):
        pass
    def handle_endtag(self, tag):
        assert self.stack and self.stack.pop() == tag, tag
text = open(sys.argv[1], encoding="utf-8").read()
check = Check()
check.feed(text)
assert not check.stack, check.stack
assert "prefers-color-scheme: dark" in text and "url(" not in text and "@import" not in text
PYTHON
}

case_report_json_is_accepted_and_slots_add_up() {
    needs_python
    run "$hakmem" --stats-file s.json "$guest" churn=3 hold=100 hold=200000
    expect_status 0
    python3 - <<'PYTHON' || fails "s.json does not add up"
import json
s = json.load(open("s.json"))
active = sum(slab[1] for ss in s["superslabs"] for slab in ss["slabs"])
empty = sum(bin(ss["empty"]).count("1") for ss in s["superslabs"])
assert len(s["superslabs"]) == s["superslabs_now"] and active == s["slots_active"], s
assert empty == s["slots_empty"] and active > 10, (empty, active)
by_class = {}
for ss in s["superslabs"]:
    for first, slots, cls, carved, free in ss["slabs"]:
        row = by_class.setdefault(cls, [0, 0, 0])
        row[0] += 1
        row[1] += carved
        row[2] += free
for c in s["classes"]:
    assert by_class.pop(c["class"]) == [c["slabs"], c["carved"], c["free"]], c
    assert c["live"] + c["cached"] + c["queued"] + c["free"] == c["carved"], c
assert not by_class
PYTHON
}

case_report_of_many_superslabs_is_whole() {
    needs_python
    local many=()
    for _ in $(seq 3000); do many+=(hold=30000); done
    run "$hakmem" --stats-file s.json "$guest" "${many[@]}"
    expect_status 0
    python3 -c 'import json; s = json.load(open("s.json"))
assert len(s["superslabs"]) == s["superslabs_now"] > 40, s["superslabs_now"]
assert len({x["address"] for x in s["superslabs"]}) == s["superslabs_now"]' || fails "slot map"
    run "$scripts/hakmem-report" s.json
    expect_status 0
    expect_page out
}

case_report_page_shows_map_and_time() {
    needs_python
    run env HAKMEM_STATS_INTERVAL_MS=1 "$hakmem" --leaks --stats-file s.json "$guest" churn=200 hold=77
    expect_status 0
    [[ $(wc -l <s.json.samples) -ge 3 ]] || fails "samples: $(wc -l <s.json.samples)"
    run "$scripts/hakmem-report" s.json
    expect_status 0
    expect_page out
    expect_in out 'Live bytes and RSS over time'
    expect_in out '<title>slot 0'
    expect_in out 'Still allocated'
    run "$scripts/hakmem-report" -o page.html s.json
    cmp -s page.html <("$scripts/hakmem-report" s.json) || fails "-o writes another page"
}

case_report_refuses_what_is_no_statistics() {
    needs_python
    echo '{"version": 1}' >a.json
    echo 'text' >b.json
    local file
    for file in a.json b.json none.json; do
        run "$scripts/hakmem-report" $file
        expect_status 1
        [[ $(wc -l <err) -eq 1 && ! -s out ]] || fails "$file: $(cat err)"
    done
}

case_report_runner_makes_a_page_and_ends_as_the_program() {
    needs_python
    run "$hakmem" --report page.html "$guest" churn=50 exit=7
    expect_status 7
    expect_page page.html
    expect_in page.html '<h1>guest</h1>'
    run python3 -c 'import subprocess, sys; print(subprocess.call(sys.argv[1:]))' \
        "$hakmem" --report none.html "$guest" raise=15
    [[ $(cat out) == -15 ]] || fails "signal 15: $(cat out)"
    expect_in err 'left no statistics'
    [[ ! -e none.html ]] || fails "a page of nothing"
}

case_report_runner_page_is_of_the_program_not_of_its_children() {
    needs_python
    run "$hakmem" --report page.html bash -c "$guest exit=0; $guest exit=0; exit 5"
    expect_status 5
    expect_in page.html '<h1>bash</h1>'
}

case_report_runner_passes_signals_on() {
    needs_python
    "$hakmem" --report page.html "$guest" touch=started wait=never &
    local runner=$!
    wait_for test -e started
    kill -TERM $runner
    wait $runner
    [[ $? -eq 143 ]] || fails "the program outlived its SIGTERM"
}

case_samples_are_lines_of_json_that_grow_in_time() {
    needs_python
    mkdir elsewhere
    run env HAKMEM_STATS_INTERVAL_MS=2 "$hakmem" --stats-file 's.%p' bash -c 'cd elsewhere; for ((i = 0; i < 30000; i++)); do x+=abc; done; exit 0'
    expect_status 0
    [[ -z $(ls elsewhere) ]] || fails "the file went with the working directory"
    python3 - s.*.samples <<'PYTHON' || fails "samples: $(head -n 3 s.*.samples)"
import json, sys
samples = [json.loads(line) for line in open(sys.argv[1])]
assert len(samples) > 3
assert all(a["ms"] <= b["ms"] for a, b in zip(samples, samples[1:]))
assert all(s["rss_bytes"] > s["live_bytes"] > 0 for s in samples)
PYTHON
}

case_samples_without_a_file_are_warned() {
    run env HAKMEM_STATS_INTERVAL_MS=2 "$hakmem" "$guest" churn=10
    expect_status 0
    expect_line "hakmem: warning: HAKMEM_STATS_INTERVAL_MS needs HAKMEM_STATS_FILE, or HAKMEM_LIVE=1"
    run env HAKMEM_STATS_INTERVAL_MS=2 HAKMEM_STATS_FILE=/nonexistent/x "$hakmem" "$guest" churn=10
    expect_line "hakmem: warning: no samples: /nonexistent/x.samples cannot be written"
}

case_malloc_info_is_accepted_by_an_xml_parser() {
    needs_python
    run "$hakmem" python3 -c 'import ctypes
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
stream = libc.fdopen(1, b"w")
libc.malloc_info(0, ctypes.c_void_p(stream))
libc.fflush(ctypes.c_void_p(stream))'
    expect_status 0
    python3 -c 'import xml.etree.ElementTree as e
root = e.parse("out").getroot()
assert root.tag == "malloc" and root.find("heap/sizes/size") is not None' || fails "$(head -n 5 out)"
}
