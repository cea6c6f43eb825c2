#include "consensus/bft/signing.hpp"

#include <cstring>

namespace fastmas::consensus::bft {
namespace {

enum class Kind : std::uint8_t { prevote = 1, precommit = 2, proposal = 3, checkpoint = 4 };

SignBytes layout(const Digest& genesis, Kind kind, Height height, Round round, Round pol_round,
                 const Digest& value) noexcept {
    SignBytes bytes{};
    std::byte* at = bytes.data();
    const auto put = [&](const void* from, std::size_t size) {
        std::memcpy(at, from, size);
        at += size;
    };
    put("fmasbft1", 8);
    put(genesis.data(), genesis.size());
    put(&kind, 1);
    at += 7;
    put(&height, 8);
    put(&round, 4);
    put(&pol_round, 4);
    put(value.data(), value.size());
    return bytes;
}

}  // namespace

SignBytes sign_bytes(const Digest& genesis, const Vote& vote) noexcept {
    return layout(genesis, vote.type == VoteType::prevote ? Kind::prevote : Kind::precommit, vote.height, vote.round, 0,
                  vote.value);
}

SignBytes sign_bytes(const Digest& genesis, const Proposal& proposal) noexcept {
    return layout(genesis, Kind::proposal, proposal.height, proposal.round, proposal.pol_round, proposal.value);
}

SignBytes checkpoint_bytes(const Digest& genesis, Height height, const Digest& state) noexcept {
    return layout(genesis, Kind::checkpoint, height, 0, 0, state);
}

}  // namespace fastmas::consensus::bft
