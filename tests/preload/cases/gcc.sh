# gcc compiles and links a generated C program at several levels; the program runs.
# needs: gcc awk
awk 'BEGIN {
    print "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>"
    for (i = 0; i < 250; i++) {
        printf "static long f%d(long x)\n{\n    char *s = malloc((size_t)x %% 500 + 16);\n", i
        printf "    long r = x * %d;\n    memset(s, (int)x, 16);\n", i + 3
        printf "    for (long k = 0; k < x %% 17; k++) r ^= k * s[k %% 16];\n    free(s);\n"
        printf "    return r;\n}\n"
    }
    print "int main(void)\n{\n    long r = 1;"
    for (i = 0; i < 250; i++) printf "    r += f%d(labs(r) %% 1000003);\n", i
    print "    printf(\"%ld\\n\", r);\n    return 0;\n}"
}' >program.c
for level in -O0 -O2 '-O3 -flto' '-O2 -g'; do
    # shellcheck disable=SC2086 # a list of options
    gcc $level program.c -o program
    ./program
done
gcc -O2 -S program.c -o program.s
grep -v '\.file' program.s | cksum
gcc -O2 -c broken.c 2>/dev/null || echo "refused with status $?"
