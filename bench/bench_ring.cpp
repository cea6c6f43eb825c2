// How long does a 64-byte message take from one core to another, and how many get through in a second?
//
// Beside our rings, in the same run and in turn: a textbook single-producer ring with cached indices, a queue under a
// std::mutex, and the floor of the machine: one cache line that two cores hand to and fro. Both threads spin, pinned to
// two cores. Every message is checked for order and loss. Round trips are closed-loop: one message is under way at a
// time, so there is no queue in them. Prints one JSON object a row.
//
// A virtual machine's two processors may be two threads of a core now and lie on two chips a second later, which
// changes every figure by a factor of seven. So each row is also compared with the textbook ring, and with the floor,
// of the same repetition (`to_textbook`, `to_floor`: medians of those ratios), and a repetition in which a thread lost
// its core to another process is repeated, the same for all rows.
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ringbuffer/broadcast_ring.hpp"
#include "ringbuffer/sequenced_spsc_ring.hpp"
#include "ringbuffer/spsc_ring.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using fastmas::ringbuffer::RingShape;

constexpr std::int64_t kCapacity = 1024;
constexpr int kRepetitions = 15;
constexpr std::uint64_t kStop = ~std::uint64_t{0};  // odd, and no sequence that is reached
constexpr std::chrono::milliseconds kLongest{200};
constexpr std::uint64_t kMessages = 64'000;  // a few milliseconds: most repetitions keep their cores
constexpr std::uint64_t kRoundTrips = 10'000;
constexpr std::uint64_t kBatch = 64;

struct Message {
    std::uint64_t sequence;
    std::uint64_t payload[7];
};
static_assert(sizeof(Message) == 64);

void pin(int cpu) {
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
#else
    (void)cpu;
#endif
}

// Waiting for the other core: spins, and gives its own core away when that has taken so long that the other thread must
// be waiting for one. On a quiet machine that never happens.
class Spin {
  public:
    void operator()() {
        if (++turns_ % 4096 == 0) std::this_thread::yield();
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }

  private:
    std::uint32_t turns_ = 0;
};

// ---- contenders: try_push and try_pop of one message

class OurSpsc {
  public:
    bool try_push(const Message& message) { return ring_.try_push(reinterpret_cast<const std::byte*>(&message)); }
    bool try_pop(Message& message) { return ring_.try_pop(reinterpret_cast<std::byte*>(&message)); }
    std::uint64_t push_many(const Message* messages, std::uint64_t count) {
        return static_cast<std::uint64_t>(
            ring_.push_many(reinterpret_cast<const std::byte*>(messages), static_cast<std::int64_t>(count)));
    }
    std::uint64_t pop_many(Message* messages, std::uint64_t count) {
        return static_cast<std::uint64_t>(
            ring_.pop_many(reinterpret_cast<std::byte*>(messages), static_cast<std::int64_t>(count)));
    }

  private:
    fastmas::ringbuffer::SpscRing<> ring_{RingShape::checked(kCapacity, sizeof(Message))};
};

class OurSequencedSpsc {
  public:
    bool try_push(const Message& message) { return ring_.try_push(reinterpret_cast<const std::byte*>(&message)); }
    bool try_pop(Message& message) { return ring_.try_pop(reinterpret_cast<std::byte*>(&message)); }

  private:
    fastmas::ringbuffer::SequencedSpscRing<> ring_{RingShape::checked(kCapacity, sizeof(Message))};
};

class OurBroadcast {
  public:
    bool try_push(const Message& message) { return ring_.try_publish(reinterpret_cast<const std::byte*>(&message)); }
    bool try_pop(Message& message) { return subscriber_.try_pop(reinterpret_cast<std::byte*>(&message)); }

  private:
    fastmas::ringbuffer::BroadcastRing<> ring_{RingShape::checked(kCapacity, sizeof(Message))};
    fastmas::ringbuffer::BroadcastRing<>::Subscriber subscriber_ = ring_.subscribe();
};

// The textbook: indices that wrap with the array (so one slot stays free), each side's copy of the other's index, a
// line each.
class TextbookSpsc {
  public:
    bool try_push(const Message& message) {
        const auto write = write_.load(std::memory_order_relaxed);
        auto next = write + 1;
        if (next == kSlots) next = 0;
        if (next == seen_read_) {
            seen_read_ = read_.load(std::memory_order_acquire);
            if (next == seen_read_) return false;
        }
        slots_[write] = message;
        write_.store(next, std::memory_order_release);
        return true;
    }
    bool try_pop(Message& message) {
        const auto read = read_.load(std::memory_order_relaxed);
        if (read == seen_write_) {
            seen_write_ = write_.load(std::memory_order_acquire);
            if (read == seen_write_) return false;
        }
        message = slots_[read];
        auto next = read + 1;
        if (next == kSlots) next = 0;
        read_.store(next, std::memory_order_release);
        return true;
    }

  private:
    static constexpr std::size_t kSlots = kCapacity + 1;
    std::vector<Message> slots_ = std::vector<Message>(kSlots);
    alignas(64) std::atomic<std::size_t> write_{0};
    alignas(64) std::size_t seen_read_ = 0;
    alignas(64) std::atomic<std::size_t> read_{0};
    alignas(64) std::size_t seen_write_ = 0;
};

class MutexQueue {
  public:
    bool try_push(const Message& message) {
        const std::lock_guard lock(mutex_);
        if (queue_.size() == static_cast<std::size_t>(kCapacity)) return false;
        queue_.push_back(message);
        return true;
    }
    bool try_pop(Message& message) {
        const std::lock_guard lock(mutex_);
        if (queue_.empty()) return false;
        message = queue_.front();
        queue_.pop_front();
        return true;
    }

  private:
    std::mutex mutex_;
    std::deque<Message> queue_;
};

// As if it came from elsewhere: or the compiler knows what is in it, and copies nothing.
void keep(Message& message) {
#if defined(__GNUC__)
    asm volatile("" : "+m"(message));
#endif
}

// Whether this thread lost its core while something was measured.
class Disturbed {
  public:
    bool operator()() const { return switches() != before_; }

  private:
    static long switches() {
#if defined(RUSAGE_THREAD)
        rusage usage{};
        getrusage(RUSAGE_THREAD, &usage);
        return usage.ru_nivcsw;
#else
        return 0;
#endif
    }
    long before_ = switches();
};
std::atomic<bool> disturbed{false};

// ---- measurements; each gives nanoseconds a message, or fills a list of round trips
//
// The second thread gets what it needs by value. A pointer that it reads in the first one's frame lies on a line with
// locals that the first one writes, and every look at the queue then costs one more crossing: 0.2 us a hop between
// distant cores, more or less from run to run, as the stack happened to begin.

void expect(std::uint64_t got, std::uint64_t wanted, const char* where) {
    if (got == wanted) return;
    std::fprintf(stderr, "%s: message %llu came as %llu\n", where, static_cast<unsigned long long>(wanted),
                 static_cast<unsigned long long>(got));
    std::exit(1);
}

template <class Queue>
double throughput() {
    const auto owner = std::make_unique<Queue>();
    Queue* const queue = owner.get();
    std::atomic<bool> ready{false};
    std::thread consumer([queue, &ready] {
        pin(1);
        Spin spin;
        Message message{};
        ready.store(true, std::memory_order_release);
        const Disturbed lost_core;
        for (std::uint64_t sequence = 0; sequence < kMessages; ++sequence) {
            while (!queue->try_pop(message)) spin();
            expect(message.sequence + message.payload[6], 2 * sequence, "throughput");
        }
        if (lost_core()) disturbed = true;
    });
    pin(0);
    Spin spin;
    while (!ready.load(std::memory_order_acquire)) spin();
    const Disturbed lost_core;
    const auto start = Clock::now();
    for (std::uint64_t sequence = 0; sequence < kMessages; ++sequence) {
        Message message{sequence, {0, 0, 0, 0, 0, 0, sequence}};
        keep(message);
        while (!queue->try_push(message)) spin();
    }
    if (lost_core()) disturbed = true;
    consumer.join();
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / static_cast<double>(kMessages);
}

double batch_throughput() {
    const auto owner = std::make_unique<OurSpsc>();
    OurSpsc* const queue = owner.get();
    std::atomic<bool> ready{false};
    std::thread consumer([queue, &ready] {
        pin(1);
        Spin spin;
        std::vector<Message> batch(kBatch);
        ready.store(true, std::memory_order_release);
        for (std::uint64_t sequence = 0; sequence < kMessages;) {
            const auto got = queue->pop_many(batch.data(), kBatch);
            if (got == 0) spin();
            for (std::uint64_t i = 0; i < got; ++i)
                expect(batch[i].sequence + batch[i].payload[6], 2 * sequence++, "batches");
        }
    });
    pin(0);
    Spin spin;
    std::vector<Message> batch(kBatch);
    while (!ready.load(std::memory_order_acquire)) spin();
    const auto start = Clock::now();
    for (std::uint64_t sequence = 0; sequence < kMessages; sequence += kBatch) {
        for (std::uint64_t i = 0; i < kBatch; ++i) batch[i] = {sequence + i, {0, 0, 0, 0, 0, 0, sequence + i}};
        std::uint64_t sent = 0;
        while ((sent += queue->push_many(batch.data() + sent, kBatch - sent)) < kBatch) spin();
    }
    consumer.join();
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / static_cast<double>(kMessages);
}
static_assert(kMessages % kBatch == 0);

// Ends after kRoundTrips or kLongest, whichever is first: on a busy machine each hop may cost a time slice.
bool go_on(std::uint64_t done, Clock::time_point start) {
    return done < kRoundTrips && (done % 64 != 0 || Clock::now() - start < kLongest);
}

// The first tenth warms up. The message kStop ends the echo.
template <class Queue>
void round_trips(std::vector<double>& out) {
    const auto owners = std::array{std::make_unique<Queue>(), std::make_unique<Queue>()};
    Queue* const there = owners[0].get();
    Queue* const back = owners[1].get();
    std::thread echo([there, back] {
        pin(1);
        Spin spin;
        for (Message message{}; message.sequence != kStop;) {
            while (!there->try_pop(message)) spin();
            while (!back->try_push(message)) spin();
        }
    });
    pin(0);
    Spin spin;
    const auto trip = [there, back, &spin](std::uint64_t sequence) {
        Message ping{sequence, {}};
        keep(ping);
        Message message{};
        const auto start = Clock::now();
        while (!there->try_push(ping)) spin();
        while (!back->try_pop(message)) spin();
        const auto took = Clock::now() - start;
        expect(message.sequence, sequence, "round trip");
        return std::chrono::duration<double, std::nano>(took).count();
    };
    const auto start = Clock::now();
    for (std::uint64_t i = 0; go_on(i, start); ++i) out.push_back(trip(i));
    trip(kStop);
    echo.join();
    out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(out.size() / 10));
}

// The floor: nothing but one line that goes there and back.
void ping_pong(std::vector<double>& out) {
    struct alignas(128) Line {
        std::atomic<std::uint64_t> turn{0};
    };
    const auto owner = std::make_unique<Line>();
    Line* const line = owner.get();
    std::thread echo([line] {
        pin(1);
        Spin spin;
        for (std::uint64_t turn = 0; turn != kStop;) {
            while ((turn = line->turn.load(std::memory_order_acquire)) % 2 == 0) spin();
            line->turn.store(turn + 1, std::memory_order_release);
        }
    });
    pin(0);
    Spin spin;
    const auto begin = Clock::now();
    for (std::uint64_t i = 0; go_on(i, begin); ++i) {
        const auto start = Clock::now();
        line->turn.store(2 * i + 1, std::memory_order_release);
        while (line->turn.load(std::memory_order_acquire) != 2 * i + 2) spin();
        out.push_back(std::chrono::duration<double, std::nano>(Clock::now() - start).count());
    }
    line->turn.store(kStop, std::memory_order_release);
    echo.join();
    out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(out.size() / 10));
}

// ---- report

double quantile(std::vector<double>& sorted, double q) {
    return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(q * static_cast<double>(sorted.size())))];
}

struct Throughput {
    const char* name;
    bool rival;
    std::function<double()> run;
    std::vector<double> samples{};
    std::vector<double> to_textbook{};
};

struct RoundTrip {
    const char* name;
    bool rival;
    std::function<void(std::vector<double>&)> run;
    std::vector<double> all{};
    std::vector<double> medians{};
    std::vector<double> to_textbook{};
    std::vector<double> to_floor{};
};

double median(std::vector<double> samples) {
    std::sort(samples.begin(), samples.end());
    return quantile(samples, 0.5);
}

void print(const Throughput& row) {
    auto samples = row.samples;
    std::sort(samples.begin(), samples.end());
    std::printf(
        R"({"group": "ring-cpp-throughput", "name": "%s", "item": "message", "rival": %s, "ns_per_item": %.2f, )"
        R"("iqr_ns_per_item": %.2f, "to_textbook": %.2f, "rounds": %d})"
        "\n",
        row.name, row.rival ? "true" : "false", quantile(samples, 0.5),
        quantile(samples, 0.75) - quantile(samples, 0.25), median(row.to_textbook), kRepetitions);
}

// The median of the repetitions' medians: a repetition that lost its core to somebody else does not move it.
void print(RoundTrip& row) {
    std::sort(row.all.begin(), row.all.end());
    std::sort(row.medians.begin(), row.medians.end());
    std::printf(
        R"({"group": "ring-cpp-round-trip", "name": "%s", "item": "round trip", "rival": %s, "ns_per_item": %.1f, )"
        R"("iqr_ns_per_item": %.1f, "to_textbook": %.2f, "to_floor": %.2f, "rounds": %d, "p50_ns": %.0f, "p99_ns": %.0f, "p999_ns": %.0f, "max_ns": %.0f})"
        "\n",
        row.name, row.rival ? "true" : "false", quantile(row.medians, 0.5),
        quantile(row.medians, 0.75) - quantile(row.medians, 0.25), median(row.to_textbook), median(row.to_floor),
        kRepetitions, quantile(row.all, 0.5), quantile(row.all, 0.99), quantile(row.all, 0.999), row.all.back());
}

// A run in which no thread lost its core, if there is one among a few.
double undisturbed(const std::function<double()>& run) {
    double sample = 0;
    for (int attempt = 0; attempt < 4; ++attempt) {
        disturbed = false;
        sample = run();
        if (!disturbed) break;
    }
    return sample;
}

}  // namespace

int main() {
    if (std::thread::hardware_concurrency() < 2) {
        std::fprintf(stderr, "two cores are needed: spinning threads on one would measure the scheduler\n");
        return 0;
    }
    std::vector<Throughput> throughputs{
        {"SpscRing, sequenced", false, throughput<OurSequencedSpsc>},
        {"SpscRing", false, throughput<OurSpsc>},
        {"SpscRing, batches of 64", false, batch_throughput},
        {"BroadcastRing, one subscriber", false, throughput<OurBroadcast>},
        {"textbook SPSC, cached indices", true, throughput<TextbookSpsc>},
        {"std::mutex and std::deque", true, throughput<MutexQueue>},
    };
    std::vector<RoundTrip> trips{
        {"SpscRing, sequenced", false, round_trips<OurSequencedSpsc>},
        {"SpscRing", false, round_trips<OurSpsc>},
        {"BroadcastRing, one subscriber", false, round_trips<OurBroadcast>},
        {"textbook SPSC, cached indices", true, round_trips<TextbookSpsc>},
        {"std::mutex and std::deque", true, round_trips<MutexQueue>},
        {"floor: one cache line", true, ping_pong},
    };
    const auto named = [](const auto& rows, const char* part) {
        return static_cast<std::size_t>(
            std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return std::strstr(row.name, part); }) -
            rows.begin());
    };
    for (int repetition = -1; repetition < kRepetitions; ++repetition) {  // the first warms up
        std::vector<double> means;
        for (auto& row : throughputs) {
            means.push_back(undisturbed(row.run));
            if (repetition >= 0) row.samples.push_back(means.back());
        }
        std::vector<double> medians;
        for (auto& row : trips) {
            std::vector<double> sample;
            row.run(sample);
            medians.push_back(median(sample));
            if (repetition < 0) continue;
            row.all.insert(row.all.end(), sample.begin(), sample.end());
            row.medians.push_back(medians.back());
        }
        if (repetition < 0) continue;
        for (std::size_t i = 0; i < means.size(); ++i)
            throughputs[i].to_textbook.push_back(means[i] / means[named(throughputs, "textbook")]);
        for (std::size_t i = 0; i < medians.size(); ++i) {
            trips[i].to_textbook.push_back(medians[i] / medians[named(trips, "textbook")]);
            trips[i].to_floor.push_back(medians[i] / medians[named(trips, "floor")]);
        }
    }
    for (const auto& row : throughputs) print(row);
    for (auto& row : trips) print(row);
    return 0;
}
