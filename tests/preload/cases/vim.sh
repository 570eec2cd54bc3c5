# vim in silent mode: substitutions, sorting, folds, undo, and script functions.
# needs: vim seq
seq 1 20000 >text
cat >script.vim <<'END'
%s/\(\d\)\(\d\)/\2\1/g
g/77/d
sort n
undo
redo
let d = {}
for i in range(20000)
    let d['k' . (i * 7919 % 3001)] = repeat('v', i % 40)
endfor
call append(0, ['keys ' . len(d), join(sort(keys(d))[0:3], ',')])
wq
END
vim -N -u NONE -i NONE -n -es -S script.vim text </dev/null || true
head -n 5 text
cksum <text
