# clang compiles a generated C program and a C++ one; both run.
# needs: clang clang++
for i in $(seq 1 300); do
    echo "int f$i(int x) { return x * $i + (x >> ($i % 13)); }"
done >functions.h
{
    echo '#include <stdio.h>'
    echo '#include "functions.h"'
    echo 'int main(void) { unsigned r = 1;'
    for i in $(seq 1 300); do echo "r += (unsigned)f$i((int)(r % 1000));"; done
    printf '%s\n' 'printf("%u\n", r); return 0; }'
} >program.c
clang -O0 program.c -o program
./program
clang -O2 program.c -o program
./program
cat >program.cc <<'END'
#include <cstdio>
#include <map>
#include <string>
int main()
{
    std::map<std::string, int> m;
    for (int i = 0; i < 9000; i++) {
        m[std::to_string(i * 31 % 4001)] += i;
    }
    long total = 0;
    for (auto &e : m) {
        total = total * 3 + e.second;
    }
    std::printf("%zu %ld\n", m.size(), total % 1000003);
}
END
clang++ -std=c++17 -O1 program.cc -o program
./program
