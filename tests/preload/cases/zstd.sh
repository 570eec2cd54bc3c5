# zstd at low, high and long-window levels, with threads, with a dictionary, and back.
# needs: zstd seq
seq 1 400000 >data
for options in -1 -9 -19 '-3 -T4' '-5 --long=24'; do
    # shellcheck disable=SC2086 # a list of options
    zstd -q -f $options data -o data.zst
    zstd -q -dc --long=24 data.zst | cmp - data && echo "$options same"
done
mkdir parts
split -l 500 data parts/p
zstd -q --train parts/* -o dictionary --maxdict=8192
zstd -q -D dictionary -c parts/paa | zstd -q -dc -D dictionary | cmp - parts/paa && echo trained
