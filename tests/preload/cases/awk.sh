# awk with large associative arrays, strings and functions.
# needs: awk seq
seq 1 200000 | awk '
function mix(x) { return (x * 16807 + 11) % 65537 }
{ count[mix($1) % 5000]++; text[mix($1) % 300] = substr(text[mix($1) % 300] $1, 1, 400) }
END {
    for (k in count) sum += count[k] * (k + 1)
    for (k in text) length_sum += length(text[k])
    print sum, length_sum, toupper(text[7])
    n = split(text[9], parts, "1"); print n, parts[2]
    printf "%s %d %.3f\n", sprintf("%05d", 42), 3.9, 22 / 7
}'
