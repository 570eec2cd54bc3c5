/* containers.cc: C++ containers made of nodes (maps, lists, strings), built and torn down
 *
 * Owns:      the containers of one round.
 * Threads:   one.
 *
 * Each container is checked against what went in before it is torn down. One operation is one
 * element put in or taken out.
 */
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <list>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

constexpr std::size_t element_count = 100000;
constexpr std::size_t max_string_length = 60;

/* An odd factor permutes the 64-bit numbers: the keys look random and no two are alike. */
std::uint64_t key_of(std::uint64_t i) {
    return (i + 1) * 0x9E3779B97F4A7C15u;
}

[[noreturn]] void die(const char *what) {
    std::fprintf(stderr, "bench: a %s does not hold what was put in\n", what);
    std::_Exit(1);
}

/* Fills the map, takes every third element out again and checks the rest.
 * Each of these functions returns its operations, the removals in the destructor included. */
template <typename Map> std::size_t run_map(const char *what, std::uint64_t round) {
    Map map;
    for (std::uint64_t i = 0; i < element_count; i++) {
        map.emplace(key_of(i + round), i);
    }
    for (std::uint64_t i = 0; i < element_count; i += 3) {
        map.erase(key_of(i + round));
    }
    for (std::uint64_t i = 0; i < element_count; i++) {
        auto at = map.find(key_of(i + round));
        if ((at == map.end()) != (i % 3 == 0) || (at != map.end() && at->second != i)) {
            die(what);
        }
    }
    return 2 * element_count;
}

/* A list that loses every second element and gets as many new ones at its front. */
std::size_t run_list(std::uint64_t round) {
    std::list<std::uint64_t> list;
    std::uint64_t expected = 0;
    for (std::uint64_t i = 0; i < element_count; i++) {
        list.push_back(key_of(i + round));
    }
    for (auto at = list.begin(); at != list.end();) {
        at = list.erase(at);
        if (at != list.end()) {
            expected += *at;
            ++at;
        }
    }
    for (std::uint64_t i = 0; i < element_count / 2; i++) {
        list.push_front(i);
        expected += i;
    }
    std::uint64_t sum = 0;
    for (std::uint64_t value : list) {
        sum += value;
    }
    if (sum != expected) {
        die("list");
    }
    return 3 * element_count;
}

/* Strings of 1 to 60 characters, of which every fourth is replaced by one of another length. */
std::size_t run_strings(std::uint64_t round) {
    std::vector<std::string> strings;
    auto string_of = [](std::uint64_t i) {
        std::size_t length = 1 + (key_of(i) >> 32) % max_string_length;
        return std::string(length, static_cast<char>('a' + i % 26));
    };
    for (std::uint64_t i = 0; i < element_count; i++) {
        strings.push_back(string_of(i + round));
    }
    for (std::uint64_t i = 0; i < element_count; i += 4) {
        std::string other = string_of(i + round + 1);
        strings[i].swap(other);
    }
    for (std::uint64_t i = 0; i < element_count; i++) {
        if (strings[i] != string_of(i + round + (i % 4 == 0 ? 1 : 0))) {
            die("vector of strings");
        }
    }
    return 2 * element_count + element_count / 2;
}

} // namespace

int main(int argc, char **argv) {
    char *end = nullptr;
    unsigned long rounds = argc == 2 ? std::strtoul(argv[1], &end, 10) : 0;
    if (rounds == 0 || rounds > 1000000 || *end != '\0') {
        std::fprintf(stderr, "usage: containers ROUNDS\n");
        return 2;
    }
    std::size_t operations = 0;
    auto start = std::chrono::steady_clock::now();
    for (std::uint64_t round = 0; round < rounds; round++) {
        operations += run_map<std::map<std::uint64_t, std::uint64_t>>("map", round);
        operations += run_map<std::unordered_map<std::uint64_t, std::uint64_t>>("hash map", round);
        operations += run_list(round);
        operations += run_strings(round);
    }
    std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    std::printf("Throughput = %.0f operations per second\n",
                static_cast<double>(operations) / elapsed.count());
    return 0;
}
