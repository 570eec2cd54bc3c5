// Allocation in thread_local and static constructors and destructors of C++.
#include "check.h"

#include <string>
#include <thread>
#include <vector>

namespace {

int destructions;

struct keeper {
    std::vector<std::string> strings;

    keeper() {
        for (size_t i = 0; i < 50; i++) {
            strings.emplace_back(i * 40, 'k');
        }
    }

    ~keeper() {
        size_t total = 0;
        // New blocks while the thread, or the process, goes down.
        std::vector<std::string> copy(strings);
        for (const std::string &string : copy) {
            total += string.size();
        }
        if (total != 40 * 49 * 50 / 2) {
            _exit(9);
        }
        destructions++;
    }
};

thread_local keeper of_thread;
keeper of_process;

void thread_local_destructors_allocate_and_free() {
    int before = destructions;
    for (int i = 0; i < 200; i++) {
        std::thread thread([] { CHECK(of_thread.strings.size() == 50); });
        thread.join();
    }
    CHECK(destructions == before + 200);
}

void thread_local_block_outlives_its_thread() {
    std::string *left = nullptr;
    std::thread thread([&left] { left = new std::string(of_thread.strings[49]); });
    thread.join();
    CHECK(left->size() == 49 * 40);
    delete left;
}

void static_objects_work_in_main() {
    CHECK(of_process.strings.size() == 50);
    of_process.strings.reserve(1000);
}

} // namespace

CHECK_MAIN(CASE(thread_local_destructors_allocate_and_free),
           CASE(thread_local_block_outlives_its_thread), CASE(static_objects_work_in_main))
