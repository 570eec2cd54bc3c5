# g++ compiles templates and the standard library; the program runs, with exceptions and threads.
# needs: g++
cat >program.cc <<'END'
#include <algorithm>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>
template <int N> struct sum {
    static constexpr long value = N + sum<N - 1>::value;
};
template <> struct sum<0> {
    static constexpr long value = 0;
};
template <typename... T> std::string join(const T &...parts)
{
    std::ostringstream out;
    ((out << parts << ' '), ...);
    return out.str();
}
static long work(int seed)
{
    std::map<std::string, std::vector<int>> m;
    std::unordered_map<int, std::string> u;
    for (int i = 0; i < 5000; i++) {
        m["key" + std::to_string(i * seed % 700)].push_back(i);
        u[i] = std::string(static_cast<size_t>(i % 90), 'x');
    }
    long total = 0;
    for (const auto &e : m) {
        total += static_cast<long>(e.second.size() * e.first.size());
    }
    for (const auto &e : u) {
        total += static_cast<long>(e.second.size());
    }
    return total;
}
int main()
{
    std::vector<std::future<long>> results;
    for (int i = 1; i <= 8; i++) {
        results.push_back(std::async(std::launch::async, work, i));
    }
    for (auto &r : results) {
        std::cout << r.get() << '\n';
    }
    try {
        std::vector<int>().at(1);
    } catch (const std::out_of_range &) {
        std::cout << "caught\n";
    }
    std::regex word("([a-z]+)([0-9]+)");
    std::cout << std::regex_replace("abc123 def456", word, "$2$1") << '\n';
    std::variant<int, std::string> v = std::string(100, 'v');
    auto shared = std::make_shared<std::set<int>>();
    for (int i = 0; i < 1000; i++) {
        shared->insert(i * 37 % 501);
    }
    std::cout << sum<300>::value << join(1, "two", 3.5) << std::get<1>(v).size() << shared->size();
    std::cout << '\n';
}
END
for level in -O0 -O2; do
    g++ -std=c++17 $level -pthread program.cc -o program
    ./program
done
