// What does a 64-byte message cost when several producers share a ring, also when there are more threads than cores?
//
// Beside our rings, in the same run and in turn: a textbook bounded queue for many producers and consumers (a sequence
// in each slot, one counter for each side; after Vyukov) and a deque under a std::mutex. Unlike the textbook queue ours
// can lose any participant at any instruction and go on: the claim carries its owner's name, which costs an exchange on
// the slot itself. Everybody waits alike: a short spin, then the core is given away, for the thread that is waited for
// may need it. One producer and one consumer are pinned to two cores; more threads go where the scheduler puts them.
// Every message is checked for order within its producer, and for loss. Prints one JSON object a row.
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ringbuffer/mpmc_ring.hpp"
#include "ringbuffer/mpsc_ring.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using fastmas::ringbuffer::RingShape;

constexpr std::int64_t kCapacity = 1024;
constexpr int kRepetitions = 11;
constexpr std::uint64_t kMessages = 192'000;  // of all producers together
constexpr std::uint64_t kBatch = 64;
constexpr std::size_t kMost = 4;
static_assert(kMessages % (kMost * kBatch) == 0);

struct Message {
    std::uint64_t producer;
    std::uint64_t sequence;
    std::uint64_t payload[6];
};
static_assert(sizeof(Message) == 64);

void pin(std::size_t cpu) {
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
#else
    (void)cpu;
#endif
}

// A spin that has taken longer than a message needs is waiting for a thread without a core: it gives its own away.
class Wait {
  public:
    void operator()() {
        if (++turns_ > kSpins) {
            std::this_thread::yield();
            return;
        }
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    void done() {
        turns_ = 0;
    }

  private:
    static constexpr std::uint32_t kSpins = 128;
    std::uint32_t turns_ = 0;
};

// ---- contenders: push and pop of up to `count` messages; how many

const std::byte* bytes(const Message* message) {
    return reinterpret_cast<const std::byte*>(message);
}
std::byte* bytes(Message* message) {
    return reinterpret_cast<std::byte*>(message);
}

class OurMpsc {
  public:
    std::uint64_t push(std::size_t id, const Message* from, std::uint64_t count) {
        return static_cast<std::uint64_t>(
            ring_.push_many(static_cast<std::int32_t>(id), bytes(from), static_cast<std::int64_t>(count)));
    }
    std::uint64_t pop(std::size_t, Message* to, std::uint64_t count) {
        return static_cast<std::uint64_t>(ring_.pop_many(bytes(to), static_cast<std::int64_t>(count)));
    }

  private:
    fastmas::ringbuffer::MpscRing<> ring_{RingShape::checked(kCapacity, sizeof(Message))};
};

class OurMpmc {
  public:
    std::uint64_t push(std::size_t id, const Message* from, std::uint64_t count) {
        return static_cast<std::uint64_t>(
            ring_.push_many(static_cast<std::int32_t>(id), bytes(from), static_cast<std::int64_t>(count)));
    }
    std::uint64_t pop(std::size_t id, Message* to, std::uint64_t count) {
        return static_cast<std::uint64_t>(
            ring_.pop_many(static_cast<std::int32_t>(id), bytes(to), static_cast<std::int64_t>(count)));
    }

  private:
    fastmas::ringbuffer::MpmcRing<> ring_{RingShape::checked(kCapacity, sizeof(Message))};
};

// The textbook: a slot's sequence says whose turn it is, an exchange on a side's counter whose slot it is.
class TextbookMpmc {
  public:
    TextbookMpmc() {
        for (std::size_t i = 0; i < kCapacity; ++i) slots_[i].turn.store(i, std::memory_order_relaxed);
    }
    std::uint64_t push(std::size_t, const Message* from, std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i)
            if (!try_push(from[i])) return i;
        return count;
    }
    std::uint64_t pop(std::size_t, Message* to, std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i)
            if (!try_pop(to[i])) return i;
        return count;
    }

  private:
    struct alignas(64) Slot {
        std::atomic<std::uint64_t> turn{0};
        Message message{};
    };

    bool try_push(const Message& message) {
        auto position = pushed_.load(std::memory_order_relaxed);
        while (true) {
            Slot& slot = slots_[position % kCapacity];
            const auto turn = slot.turn.load(std::memory_order_acquire);
            const auto ahead = static_cast<std::int64_t>(turn - position);
            if (ahead < 0) return false;
            if (ahead > 0) {
                position = pushed_.load(std::memory_order_relaxed);
            } else if (pushed_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
                slot.message = message;
                slot.turn.store(position + 1, std::memory_order_release);
                return true;
            }
        }
    }
    bool try_pop(Message& message) {
        auto position = popped_.load(std::memory_order_relaxed);
        while (true) {
            Slot& slot = slots_[position % kCapacity];
            const auto turn = slot.turn.load(std::memory_order_acquire);
            const auto ahead = static_cast<std::int64_t>(turn - (position + 1));
            if (ahead < 0) return false;
            if (ahead > 0) {
                position = popped_.load(std::memory_order_relaxed);
            } else if (popped_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
                message = slot.message;
                slot.turn.store(position + kCapacity, std::memory_order_release);
                return true;
            }
        }
    }

    std::vector<Slot> slots_ = std::vector<Slot>(kCapacity);
    alignas(128) std::atomic<std::uint64_t> pushed_{0};
    alignas(128) std::atomic<std::uint64_t> popped_{0};
};

class MutexQueue {
  public:
    std::uint64_t push(std::size_t, const Message* from, std::uint64_t count) {
        const std::lock_guard lock(mutex_);
        const auto fits = std::min<std::uint64_t>(count, kCapacity - queue_.size());
        queue_.insert(queue_.end(), from, from + fits);
        return fits;
    }
    std::uint64_t pop(std::size_t, Message* to, std::uint64_t count) {
        const std::lock_guard lock(mutex_);
        const auto there = std::min<std::uint64_t>(count, queue_.size());
        const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(there);
        std::copy(queue_.begin(), end, to);
        queue_.erase(queue_.begin(), end);
        return there;
    }

  private:
    std::mutex mutex_;
    std::deque<Message> queue_;
};

// ---- measurement

struct Load {
    const char* text;
    std::size_t producers;
    std::size_t consumers;
    std::uint64_t batch;
};

// What one consumer saw of each producer.
struct alignas(128) Seen {
    std::array<std::uint64_t, kMost> next{};
    std::array<std::uint64_t, kMost> count{};

    void check(const Message& message) {
        if (message.producer < kMost && message.sequence >= next[message.producer] &&
            message.payload[5] == message.sequence + message.producer) {
            next[message.producer] = message.sequence + 1;
            ++count[message.producer];
            return;
        }
        std::fprintf(stderr, "message %llu of producer %llu: torn or out of order\n",
                     static_cast<unsigned long long>(message.sequence),
                     static_cast<unsigned long long>(message.producer));
        std::exit(1);
    }
};

template <class Queue>
double nanoseconds_a_message(const Load& load) {
    const auto owner = std::make_unique<Queue>();
    Queue* const queue = owner.get();
    const bool pinned = load.producers + load.consumers == 2;
    const std::uint64_t each = kMessages / load.producers;
    // What threads share lies on lines of its own; the rest they get by value.
    alignas(128) std::atomic<std::size_t> ready{0};
    alignas(128) std::atomic<std::uint64_t> popped{0};
    alignas(128) std::vector<Seen> seen(load.consumers);
    std::vector<std::thread> threads;
    const auto all_ready = [&] {
        ready.fetch_add(1, std::memory_order_acq_rel);
        while (ready.load(std::memory_order_acquire) <= load.producers + load.consumers) std::this_thread::yield();
    };
    for (std::size_t c = 0; c < load.consumers; ++c)
        threads.emplace_back([&all_ready, &popped, queue, pinned, mine_of = &seen[c], c, size = load.batch] {
            if (pinned) pin(1);
            std::vector<Message> batch(size);
            Wait wait;
            all_ready();
            // Several consumers agree on the end through one counter, which they touch when they find the ring empty.
            for (std::uint64_t mine = 0; popped.load(std::memory_order_relaxed) < kMessages;) {
                const auto got = queue->pop(c, batch.data(), size);
                for (std::uint64_t i = 0; i < got; ++i) mine_of->check(batch[i]);
                mine += got;
                if (got != 0 && mine != kMessages) {
                    wait.done();
                    continue;
                }
                popped.fetch_add(std::exchange(mine, 0), std::memory_order_relaxed);
                wait();
            }
        });
    for (std::size_t p = 0; p < load.producers; ++p)
        threads.emplace_back([&all_ready, queue, pinned, p, each, size = load.batch] {
            if (pinned) pin(0);
            std::vector<Message> batch(size);
            Wait wait;
            all_ready();
            for (std::uint64_t sequence = 0; sequence < each; sequence += size) {
                for (std::uint64_t i = 0; i < size; ++i)
                    batch[i] = {p, sequence + i, {0, 0, 0, 0, 0, sequence + i + p}};
                for (std::uint64_t sent = 0; sent < size;) {
                    const auto taken = queue->push(p, batch.data() + sent, size - sent);
                    sent += taken;
                    if (taken == 0)
                        wait();
                    else
                        wait.done();
                }
            }
        });
    while (ready.load(std::memory_order_acquire) < load.producers + load.consumers) std::this_thread::yield();
    const auto start = Clock::now();
    ready.fetch_add(1, std::memory_order_acq_rel);
    for (auto& thread : threads) thread.join();
    const auto took = Clock::now() - start;
    for (std::size_t p = 0; p < load.producers; ++p) {
        std::uint64_t count = 0;
        for (const auto& one : seen) count += one.count[p];
        if (count != each) {
            std::fprintf(stderr, "%llu of %llu messages of a producer arrived\n",
                         static_cast<unsigned long long>(count), static_cast<unsigned long long>(each));
            std::exit(1);
        }
    }
    return std::chrono::duration<double, std::nano>(took).count() / static_cast<double>(kMessages);
}

// ---- report

struct Row {
    const char* name;
    bool rival;
    std::function<double(const Load&)> run;
    Load load;
    std::vector<double> samples{};
};

double quantile(std::vector<double>& sorted, double q) {
    return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(q * static_cast<double>(sorted.size())))];
}

void print(Row& row) {
    std::sort(row.samples.begin(), row.samples.end());
    std::printf(R"({"group": "multi-ring-cpp: %s", "name": "%s", "item": "message", "rival": %s, "ns_per_item": %.2f, )"
                R"("iqr_ns_per_item": %.2f, "rounds": %d})"
                "\n",
                row.load.text, row.name, row.rival ? "true" : "false", quantile(row.samples, 0.5),
                quantile(row.samples, 0.75) - quantile(row.samples, 0.25), kRepetitions);
}

}  // namespace

int main() {
    if (std::thread::hardware_concurrency() < 2) {
        std::fprintf(stderr, "two cores are needed: spinning threads on one would measure the scheduler\n");
        return 0;
    }
    const Load loads[] = {
        {"1 producer, 1 consumer", 1, 1, 1},
        {"2 producers, 1 consumer", 2, 1, 1},
        {"4 producers, 1 consumer", 4, 1, 1},
        {"2 producers, 2 consumers", 2, 2, 1},
        {"1 producer, 1 consumer, batches of 64", 1, 1, kBatch},
        {"2 producers, 1 consumer, batches of 64", 2, 1, kBatch},
    };
    std::vector<Row> rows;
    for (const Load& load : loads) {
        if (load.consumers == 1) rows.push_back({"MpscRing", false, nanoseconds_a_message<OurMpsc>, load});
        rows.push_back({"MpmcRing", false, nanoseconds_a_message<OurMpmc>, load});
        rows.push_back({"textbook MPMC, a sequence a slot", true, nanoseconds_a_message<TextbookMpmc>, load});
        rows.push_back({"std::mutex and std::deque", true, nanoseconds_a_message<MutexQueue>, load});
    }
    for (int repetition = -1; repetition < kRepetitions; ++repetition) {  // the first warms up
        for (auto& row : rows) {
            const double sample = row.run(row.load);
            if (repetition >= 0) row.samples.push_back(sample);
        }
    }
    for (auto& row : rows) print(row);
    return 0;
}
