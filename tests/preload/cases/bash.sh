# bash itself: arrays, string work, subshells, here-documents and functions of a script.
# needs: bash
cat >script <<'END'
declare -A seen
declare -a list
for ((i = 0; i < 3000; i++)); do
    key="k$((i * 7919 % 1000))"
    seen[$key]=$((${seen[$key]:-0} + 1))
    list+=("$key-${#list[@]}")
done
echo "${#seen[@]} ${#list[@]} ${list[1234]}"
text=
for ((i = 0; i < 2000; i++)); do text+="line $i;"; done
echo "${#text} ${text//line /L}" | cksum
fib() { (($1 < 2)) && echo "$1" || echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); }
fib 9
while read -r a b; do echo "$b $a"; done <<<$'one two\nthree four'
for i in 1 2 3; do (exit "$i") || echo "status $?"; done
printf '%s\n' {1..500} | while read -r n; do ((n % 100 == 0)) && echo "$n"; done
exit 7
END
status=0
bash script || status=$?
echo "exit $status"
