# gdb in batch mode: expressions, its own python where built in, and the symbols of a program.
# needs: gdb gcc
cat >program.c <<'END'
struct pair { int a; struct pair *next; } pairs[3];
static int twice(int x) { return 2 * x; }
int main(void) { return twice(pairs[1].a); }
END
gcc -g -O0 program.c -o program
gdb -nx -batch -ex 'print 6 * 7' -ex 'print sizeof(long) * 3' 2>&1
gdb -nx -batch -ex 'info functions twice' -ex 'ptype struct pair' -ex 'list main' \
    -ex 'info address pairs' -ex 'disassemble twice' program 2>&1
gdb -nx -batch -ex 'python print(sum(len(str(i)) for i in range(20000)))' 2>&1
