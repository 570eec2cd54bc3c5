# grep with fixed strings, many patterns, extended and back-referring expressions.
# needs: grep seq
seq 1 200000 >numbers
grep -c 7 numbers
grep -E -c '^(1[0-9]*2|3.*4)$' numbers
grep -E '^(..)\1$' numbers | sed -n 1,5p
seq 5 50 4000 >patterns
grep -F -x -c -f patterns numbers
grep -v -n -w 5 numbers | tail -n 2
grep -r 19999 . | sort
