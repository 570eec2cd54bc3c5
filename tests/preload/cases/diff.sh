# diff of large files and patch back.
# needs: diff patch seq sed
seq 1 40000 >old
sed -e '/7$/d' -e 's/33/thirty-three/' old >new
diff -u --label old --label new old new >change || true
cksum change
patch -s old change
cmp old new && echo same
diff -y --suppress-common-lines <(seq 1 3000) <(seq 2 3001) || true
