# cmake: its version, a script with lists and strings, and a small project built with make.
# needs: cmake make gcc
cmake --version | sed -n 1p
cat >script.cmake <<'END'
set(list "")
foreach(i RANGE 1 2000)
    math(EXPR value "${i} * 7919 % 1009")
    list(APPEND list ${value})
endforeach()
list(SORT list COMPARE NATURAL)
list(REMOVE_DUPLICATES list)
list(LENGTH list length)
string(SHA256 hash "${list}")
message(NOTICE "${length} ${hash}")
END
cmake -P script.cmake 2>&1
mkdir project
echo 'int main(void) { return 3; }' >project/main.c
cat >project/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.10)
project(small C)
add_executable(small main.c)
END
cmake -S project -B build >log
cmake --build build >>log
status=0
./build/small || status=$?
echo "exit $status"
