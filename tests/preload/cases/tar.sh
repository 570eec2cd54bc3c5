# tar with gzip, xz and zstd where they are there.
# needs: tar gzip
mkdir tree
for i in $(seq 1 300); do seq 1 $((i * 5)) >"tree/file$i"; done
for filter in gzip bzip2 xz zstd; do
    command -v "$filter" >/dev/null || continue
    tar --sort=name --mtime=@0 --owner=0 --group=0 -c --use-compress-program="$filter" -f a.tar tree
    mkdir out
    tar -x --use-compress-program="$filter" -f a.tar -C out
    diff -r tree out/tree && echo "$filter same"
    tar -t --use-compress-program="$filter" -f a.tar | cksum
    rm -rf out
done
