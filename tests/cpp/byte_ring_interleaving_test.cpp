// Interleavings of pushes and pops of frames, with every stale value the memory orders allow, on the real ByteRing.
#include <cstring>
#include <iostream>
#include <vector>

#include "check.hpp"
#include "explore.hpp"
#include "ringbuffer/byte_ring.hpp"

using fastmas::testing::Execution;
using fastmas::testing::Exploration;
using fastmas::testing::explore;
using fastmas::testing::explore_random;
using fastmas::testing::ModelMemory;
using fastmas::testing::ThreadId;

namespace {

using Ring = fastmas::ringbuffer::ByteRing<ModelMemory>;

void report(const char* name, const Exploration& result) {
    std::cout << name << ": " << result.executions << " executions\n";
    CHECK_EQUAL(result.failure, std::string());
    CHECK(result.complete);
}

// Frames of 0 to 24 bytes in a ring of 64, so that two or three fill it and every third or so is behind padding. Each
// begins with its number.
struct Run {
    Ring ring{Ring::shape(64)};
    std::int64_t accepted = 0;
    std::vector<std::int64_t> got;

    static std::size_t bytes_of(std::int64_t number) { return static_cast<std::size_t>(24 - number % 3 * 8); }

    void push() {
        std::byte frame[24] = {};
        for (int word = 0; word < 3; ++word) std::memcpy(frame + 8 * word, &accepted, 8);
        if (ring.try_push(frame, bytes_of(accepted))) ++accepted;
    }
    void pop() {
        std::byte frame[24] = {};
        std::size_t bytes = 0;
        if (ring.try_pop(frame, sizeof frame, &bytes) != Ring::Popped::done) return;
        std::int64_t number = 0;
        std::memcpy(&number, frame, 8);
        CHECK_EQUAL(bytes, bytes_of(number));
        for (std::size_t word = 0; word < bytes; word += 8) CHECK(std::memcmp(frame + word, &number, 8) == 0);
        got.push_back(number);
    }
    void drain() {
        for (std::size_t before = got.size() + 1; before != got.size();) {
            before = got.size();
            pop();
        }
    }
    void check_all() {
        drain();
        CHECK_EQUAL(static_cast<std::int64_t>(got.size()), accepted);
        for (std::size_t i = 0; i < got.size(); ++i) CHECK_EQUAL(got[i], static_cast<std::int64_t>(i));
        CHECK_EQUAL(ring.pushed(), accepted);
        CHECK_EQUAL(ring.popped(), accepted);
        CHECK(ring.was_empty());
    }
};

void frames(Execution& execution, int pushes, int pops) {
    Run run;
    execution.thread([&] {
        for (int i = 0; i < pushes; ++i) run.push();
    });
    execution.thread([&] {
        for (int i = 0; i < pops; ++i) run.pop();
    });
    execution.run();
    CHECK(run.accepted >= 2);
    run.check_all();
}

}  // namespace

TEST(interleavings_of_five_pushes_and_four_pops) {
    report("5 pushes, 4 pops", explore([](Execution& e) { frames(e, 5, 4); }, 3));
}

TEST(random_interleavings_of_longer_runs) {
    report("14 pushes, 12 pops", explore_random([](Execution& e) { frames(e, 14, 12); }, 5, 4000));
}

TEST(sizes_seen_by_a_third_thread_are_possible_ones) {
    report("observer", explore(
                           [](Execution& execution) {
                               Run run;
                               execution.thread([&] {
                                   for (int i = 0; i < 3; ++i) run.push();
                               });
                               execution.thread([&] { run.pop(); });
                               execution.thread([&] {
                                   const auto bytes = run.ring.was_bytes();
                                   CHECK(bytes >= 0 && bytes <= 64);
                               });
                               execution.run();
                               run.check_all();
                           },
                           2));
}

// The frame it died in comes or does not; every other one does.
void producer_dies(Execution& execution) {
    Run run;
    std::int64_t last = -1;
    const ThreadId dying = execution.mortal([&] {
        for (int i = 0; i < 4; ++i) run.push();
    });
    execution.heir(dying, [&] {
        last = run.accepted++;
        run.ring.resume_producer();
        run.push();
    });
    execution.thread([&] {
        for (int i = 0; i < 3; ++i) run.pop();
    });
    execution.run();
    run.drain();
    std::int64_t wanted = 0;
    for (const std::int64_t number : run.got) {
        if (wanted == last && number != last) ++wanted;
        CHECK_EQUAL(number, wanted++);
    }
    CHECK(wanted == run.accepted || (wanted == last && wanted + 1 == run.accepted));
}

TEST(a_producer_dies_at_any_step) {
    report("a producer dies", explore(producer_dies, 2));
}

TEST(a_consumer_dies_at_any_step) {
    report("a consumer dies", explore(
                                  [](Execution& execution) {
                                      Run run;
                                      bool died = false;
                                      execution.thread([&] {
                                          for (int i = 0; i < 4; ++i) run.push();
                                      });
                                      const ThreadId dying = execution.mortal([&] {
                                          for (int i = 0; i < 3; ++i) run.pop();
                                      });
                                      execution.heir(dying, [&] {
                                          died = true;
                                          run.ring.resume_consumer();
                                          run.pop();
                                      });
                                      execution.run();
                                      run.drain();
                                      const auto lost = run.accepted - static_cast<std::int64_t>(run.got.size());
                                      CHECK(lost >= 0 && lost <= (died ? 1 : 0));
                                      for (std::size_t i = 1; i < run.got.size(); ++i)
                                          CHECK(run.got[i] > run.got[i - 1]);
                                  },
                                  2));
}

TEST_MAIN
