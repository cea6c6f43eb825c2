#include "consensus/simulation/client_history.hpp"

#include <algorithm>
#include <cstring>

#include "consensus/simulation/failure.hpp"
#include "consensus/simulation/hash_set.hpp"

namespace fastmas::consensus {

std::uint64_t Recorder::extend(std::uint64_t digest, std::uint64_t number) noexcept {
    return mix64(digest ^ number);
}

Recorder::Answer Recorder::answer_of(const Payload& reply) noexcept {
    Answer answer;
    if (reply.size() == sizeof answer) std::memcpy(&answer, reply.bytes().data(), sizeof answer);
    return answer;
}

Result Recorder::apply(const Command& command) {
    std::uint64_t number = 0;
    std::memcpy(&number, command.bytes.data(), sizeof number);
    require(command.index == numbers_.size() + 1, "indexes of commands have no gap");
    require(command.time_ns >= time_ns_, "time never falls");
    time_ns_ = command.time_ns;
    numbers_.push_back(number);
    digest_ = extend(digest_, number);
    const Answer answer = read();
    return {ResultStatus::applied, Payload(std::as_bytes(std::span(&answer, 1)))};
}

Payload Recorder::snapshot() {
    return Payload(std::as_bytes(std::span(numbers_)));
}

void Recorder::restore(std::span<const std::byte> state) {
    numbers_.resize(state.size() / sizeof(std::uint64_t));
    if (!state.empty()) std::memcpy(numbers_.data(), state.data(), state.size());
    digest_ = 0;
    for (const std::uint64_t number : numbers_) digest_ = extend(digest_, number);
}

std::size_t ClientHistory::call(const Session& session, std::int64_t now_ns) {
    const auto [place, is_new] = places_.try_emplace(number_of(session), seen_.size());
    if (is_new) seen_.push_back({.session = session, .is_read = false, .call_ns = now_ns, .answer = {}});
    return place->second;
}

std::size_t ClientHistory::read(std::uint64_t client, std::int64_t now_ns) {
    seen_.push_back({.session = {client, 0, 0}, .is_read = true, .call_ns = now_ns, .answer = {}});
    return seen_.size() - 1;
}

void ClientHistory::answer(std::size_t operation, const Recorder::Answer& answer, std::int64_t now_ns) {
    Seen& one = seen_[operation];
    if (one.return_ns >= 0) return;
    one.answer = answer;
    one.return_ns = now_ns;
    ++(one.is_read ? reads_answered_ : answered_);
}

std::string ClientHistory::check(std::span<const std::uint64_t> numbers) const {
    std::unordered_map<std::uint64_t, std::uint64_t> counts;  // by number, where it took effect
    std::vector<std::uint64_t> digests{0};                    // after so many
    for (const std::uint64_t number : numbers) {
        counts.emplace(number, digests.size());
        digests.push_back(Recorder::extend(digests.back(), number));
    }
    // A place in the order: after so many requests; reads of one state commute.
    struct Place {
        std::uint64_t count;
        const Seen* one;
    };
    std::vector<Place> order;
    order.reserve(seen_.size());
    const auto name = [](const Seen& one) {
        return one.is_read ? "a read at " + std::to_string(one.call_ns) + " ns"
                           : "request " + std::to_string(one.session.sequence) + " of client " +
                                 std::to_string(one.session.client);
    };
    for (const Seen& one : seen_) {
        const bool is_answered = one.return_ns >= 0;
        const std::uint64_t count = one.answer.count;
        if (one.is_read && !is_answered) continue;
        if (is_answered && (count >= digests.size() || digests[count] != one.answer.digest))
            return name(one) + " was answered from a state that never was, of " + std::to_string(count) + " requests";
        if (!one.is_read) {
            const auto effect = counts.find(number_of(one.session));
            if (effect == counts.end() && !is_answered) continue;
            if (is_answered && (effect == counts.end() || effect->second != count))
                return name(one) + " was answered as number " + std::to_string(count) + ", but " +
                       (effect == counts.end() ? "never took effect"
                                               : "took effect as number " + std::to_string(effect->second));
            order.push_back({effect->second, &one});
            continue;
        }
        order.push_back({count, &one});
    }
    std::sort(order.begin(), order.end(), [](const Place& a, const Place& b) {
        return a.count != b.count ? a.count < b.count : a.one->is_read < b.one->is_read;
    });
    // the latest call among all that come strictly earlier: whatever comes later returned after it
    const Seen* latest = nullptr;
    for (std::size_t from = 0; from < order.size();) {
        const Place& first = order[from];
        std::size_t to = from + 1;  // a request stands alone, the reads of its state follow it
        while (first.one->is_read && to < order.size() && order[to].count == first.count) ++to;
        for (std::size_t i = from; i < to; ++i) {
            const Seen& one = *order[i].one;
            if (latest != nullptr && one.return_ns >= 0 && one.return_ns < latest->call_ns)
                return name(one) + " was answered at " + std::to_string(one.return_ns) + " ns as if " + name(*latest) +
                       " had been before it, which was sent only at " + std::to_string(latest->call_ns) + " ns";
        }
        for (std::size_t i = from; i < to; ++i)
            if (latest == nullptr || order[i].one->call_ns > latest->call_ns) latest = order[i].one;
        from = to;
    }
    return "";
}

}  // namespace fastmas::consensus
