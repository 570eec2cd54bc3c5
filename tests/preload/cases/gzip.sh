# gzip at all levels and back.
# needs: gzip seq
seq 1 300000 >data
for level in 1 6 9; do
    gzip -n -c -$level data >data.gz
    cksum <data.gz
    gzip -dc data.gz | cmp - data && echo "level $level same"
done
zcat data.gz | tail -n 1
