# cp, mv, ls, find, xargs and rm on a tree of some thousand files.
# needs: cp mv ls find xargs rm
for d in 1 2 3 4 5 6 7 8; do
    mkdir -p "tree/$d/deep/er"
    for i in $(seq 1 60); do
        echo "$d $i" >"tree/$d/f$i"
        echo "$i" >"tree/$d/deep/er/g$i"
    done
done
cp -r tree copy
ls -R copy | cksum
find copy -type f -name 'f*' -size -2 | sort | tail -n 3
find copy -type f -print0 | xargs -0 -n 50 -P 4 cat | sort | cksum
mv copy/1 copy/moved
ls copy
rm -rf copy
ls
