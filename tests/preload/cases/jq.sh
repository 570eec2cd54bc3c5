# jq on a generated document.
# needs: jq seq
seq 1 20000 | jq -c '{n: ., s: ("x" * (. % 30)), l: [range(. % 7)]}' >lines
jq -s 'length, (map(.n) | add), (group_by(.n % 5) | map(length)),
    (map(.s // "") | map(length) | add)' lines
jq -r 'select(.n % 4000 == 0) | @csv "\(.l)"' lines
