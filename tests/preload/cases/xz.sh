# xz with one and several threads, and back.
# needs: xz seq
seq 1 400000 >data
xz -k -c -6 data >one.xz
xz -k -c -3 -T 4 --block-size=500000 data >many.xz
cksum one.xz many.xz
xz -dc one.xz | cmp - data && xz -dc -T 4 many.xz | cmp - data && echo same
