# sort and uniq on 300,000 lines: in memory, by several threads, and through temporary files.
# needs: sort uniq awk cksum
awk 'BEGIN {
    x = 12345
    for (i = 0; i < 300000; i++) { x = (x * 16807) % 2147483647; print x % 90001, x }
}' >lines
sort lines | cksum
sort --parallel=4 -n -k2 lines | cksum
sort -S 1M -T . -u -k1,1n lines | cksum
sort -r lines | uniq -c -w 5 | sort -rn | sed -n 1,20p
