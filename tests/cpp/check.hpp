// A check header small enough to read: CHECK(condition), CHECK_EQUAL(a, b), CHECK_THROWS(expression, Type, "part of its
// text"), TEST(name) { ... }; each test executable ends with TEST_MAIN.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace fastmas::testing {

struct Test {
    const char* name;
    void (*body)();
};

inline std::vector<Test>& tests() {
    static std::vector<Test> all;
    return all;
}

struct Register {
    Register(const char* name, void (*body)()) { tests().push_back({name, body}); }
};

struct Failure {
    std::string text;
};

[[noreturn]] inline void fail(const char* file, int line, const std::string& text) {
    throw Failure{std::string(file) + ":" + std::to_string(line) + ": " + text};
}

template <class A, class B>
void check_equal(const A& a, const B& b, const char* a_text, const char* b_text, const char* file, int line) {
    if (a == b) return;
    std::ostringstream out;
    out << a_text << " == " << b_text << ", got " << a << " and " << b;
    fail(file, line, out.str());
}

inline int run_all(int argc, char** argv) {
    int failed = 0;
    int ran = 0;
    for (const Test& test : tests()) {
        if (argc > 1 && std::string(test.name).find(argv[1]) == std::string::npos) continue;
        ++ran;
        try {
            test.body();
        } catch (const Failure& failure) {
            ++failed;
            std::cerr << "FAILED " << test.name << "\n  " << failure.text << "\n";
        } catch (const std::exception& error) {
            ++failed;
            std::cerr << "FAILED " << test.name << "\n  unexpected exception: " << error.what() << "\n";
        }
        // What failed one test may make a later one hang.
        if (failed > 0 && std::getenv("FASTMAS_FAIL_FAST") != nullptr) break;
    }
    std::cout << ran - failed << " passed, " << failed << " failed\n";
    return failed == 0 && ran > 0 ? 0 : 1;
}

}  // namespace fastmas::testing

#define TEST(name)                                                               \
    static void test_##name();                                                   \
    static const fastmas::testing::Register register_##name(#name, test_##name); \
    static void test_##name()
#define CHECK(condition) ((condition) ? void() : fastmas::testing::fail(__FILE__, __LINE__, "CHECK(" #condition ")"))
#define CHECK_EQUAL(a, b) fastmas::testing::check_equal((a), (b), #a, #b, __FILE__, __LINE__)
#define CHECK_THROWS(expression, Type, part)                                                           \
    do {                                                                                               \
        bool thrown_ = false;                                                                          \
        try {                                                                                          \
            (void)(expression);                                                                        \
        } catch (const Type& error_) {                                                                 \
            thrown_ = true;                                                                            \
            if (std::string(error_.what()).find(part) == std::string::npos)                            \
                fastmas::testing::fail(__FILE__, __LINE__,                                             \
                                       std::string("text without '") + part + "': " + error_.what());  \
        }                                                                                              \
        if (!thrown_) fastmas::testing::fail(__FILE__, __LINE__, #expression " did not throw " #Type); \
    } while (false)
#define TEST_MAIN                                     \
    int main(int argc, char** argv) {                 \
        return fastmas::testing::run_all(argc, argv); \
    }
