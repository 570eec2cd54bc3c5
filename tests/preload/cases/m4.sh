# m4 with recursive macros.
# needs: m4
cat >script.m4 <<'END'
define(`count', `ifelse($1, 0, `', `$1 count(decr($1))')')dnl
count(400)
define(`fib', `ifelse(eval($1 < 2), 1, $1, `eval(fib(decr($1)) + fib(eval($1 - 2)))')')dnl
fib(15)
translit(`hakmem', `a-z', `A-Z')
END
m4 -L 5000 script.m4
