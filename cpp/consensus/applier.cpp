#include "consensus/applier.hpp"

#include <cstring>

#include "base/errors.hpp"
#include "consensus/bytes.hpp"

namespace fastmas::consensus {
namespace {

std::uint64_t mix(std::uint64_t x) noexcept {
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ULL;
    return x ^ (x >> 32);
}

Applied::Kind refusal(Admission admission) noexcept {
    return admission == Admission::duplicate ? Applied::Kind::duplicate
           : admission == Admission::expired ? Applied::Kind::expired
                                             : Applied::Kind::crowded;
}

}  // namespace

std::uint64_t hash_bytes(std::span<const std::byte> bytes, std::uint64_t seed) noexcept {
    // two lanes, so that the multiplications overlap
    std::uint64_t a = mix(seed ^ (bytes.size() * 0x9e3779b97f4a7c15ULL)), b = ~a;
    std::size_t at = 0;
    for (; at + 16 <= bytes.size(); at += 16) {
        std::uint64_t words[2];
        std::memcpy(words, bytes.data() + at, 16);
        a = mix(a ^ words[0]) + 0x9e3779b97f4a7c15ULL;
        b = mix(b ^ words[1]) + 0xbf58476d1ce4e5b9ULL;
    }
    std::uint64_t tail[2] = {0, 0};
    if (at < bytes.size()) std::memcpy(tail, bytes.data() + at, bytes.size() - at);
    return mix(mix(a ^ tail[0]) * 0x94d049bb133111ebULL + mix(b ^ tail[1]));
}

Applied Applier::apply(Index index, std::int64_t time_ns, const Session& session, EntryKind kind,
                       const Payload& command) {
    if (index != log_index_ + 1)
        throw base::InvariantError("entries are applied in order, expected " + std::to_string(log_index_ + 1) +
                                   ", got " + std::to_string(index));
    log_index_ = index;
    if (kind != EntryKind::command) return {};
    if (session.client != 0) {
        const Admission admission = sessions_.admit(session, time_ns);
        if (admission != Admission::fresh)
            return {.kind = refusal(admission), .index = 0, .fingerprint = 0, .result = {}};
    }
    Applied applied{.kind = Applied::Kind::effect, .index = commands_ + 1, .fingerprint = 0, .result = {}};
    applied.result = machine_->apply({applied.index, time_ns, command.bytes()});
    if (applied.result.status == ResultStatus::broken) return applied;
    ++commands_;
    if (session.client != 0) sessions_.record(session, applied.result);
    applied.fingerprint = hash_bytes(applied.result.reply.bytes(),
                                     machine_->digest() + static_cast<std::uint64_t>(applied.result.status));
    return applied;
}

Payload Applier::snapshot() {
    std::vector<std::byte> out;
    Writer writer(out);
    writer.put(commands_);
    sessions_.encode(out);
    writer.put(machine_->snapshot().bytes());
    return Payload(out);
}

void Applier::restore(Index index, const Payload& state) {
    Reader reader(state.bytes());
    std::uint64_t commands = 0;
    const bool counted = reader.get(commands);
    std::span<const std::byte> rest = reader.rest();
    if (!counted || !sessions_.decode(rest))
        throw base::InvariantError("the snapshot at index " + std::to_string(index) + " is damaged");
    commands_ = commands;
    log_index_ = index;
    machine_->restore(rest);
}

}  // namespace fastmas::consensus
