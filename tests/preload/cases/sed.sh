# sed scripts with hold space, substitutions and in-place edits.
# needs: sed seq
seq 1 50000 >numbers
sed -E 's/([0-9])([0-9])/\2\1/g; /9$/d' numbers | cksum
sed -n '$!{h;d};H;x;p' numbers
sed '1!G;h;$!d' numbers | sed -n 1,100p | cksum
sed -i 's/^1/one/' numbers
grep -c one numbers
