# The assembler, archiver, linker and their readers.
# needs: as ar ld nm objdump readelf strip gcc
for i in $(seq 1 80); do
    echo "int value$i = $i; int get$i(void) { return value$i; }" >"part$i.c"
done
gcc -c part*.c
ar rcs libparts.a part*.o
nm libparts.a | grep -c ' T '
echo 'int get7(void); int main(void) { return get7(); }' >main.c
gcc main.c -L. -lparts -o program
status=0
./program || status=$?
echo "exit $status"
objdump -d program | grep -c '<get7>'
readelf -Ws program | grep -c FUNC
strip program
readelf -S program | grep -c debug || true
ld -r part1.o part2.o -o both.o
nm both.o
