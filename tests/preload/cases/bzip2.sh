# bzip2 and back.
# needs: bzip2 seq
seq 1 200000 >data
for level in 1 9; do
    bzip2 -k -c -$level data >data.bz2
    cksum <data.bz2
    bzip2 -dc data.bz2 | cmp - data && echo same
done
