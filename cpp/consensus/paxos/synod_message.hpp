// What the agents of one synod say to one another, and how it is written as bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "consensus/paxos/ballot.hpp"

namespace fastmas::consensus::paxos {

enum class SynodType : std::uint8_t {
    prepare = 1,   // phase 1a
    promise = 2,   // phase 1b
    accept = 3,    // phase 2a
    accepted = 4,  // phase 2b
    refuse = 5,    // neither, because of a higher promise (PMS §2.5: "should inform the proposer")
    decided = 6,   // the value is chosen (PMS §2.3)
};

// One struct for all types; a field that its type does not use is empty.
struct SynodMessage {
    SynodType type = SynodType::prepare;
    NodeId from = kNoNode;
    NodeId to = kNoNode;
    Ballot ballot;  // the one it belongs to; of refuse: the one refused
    Ballot other;   // promise: the ballot its value was accepted in, if any; refuse: the higher one
    Payload value;  // promise (when `other` is a ballot), accept, decided

    friend bool operator==(const SynodMessage&, const SynodMessage&) = default;
};

const char* to_string(SynodType type) noexcept;

// As raft/codec.hpp has it: canonical, length-checked; decode returns what is wrong, or nullptr.
std::size_t encoded_size(const SynodMessage& message) noexcept;
void encode(const SynodMessage& message, std::vector<std::byte>& out);
const char* decode(std::span<const std::byte> bytes, SynodMessage& message);

}  // namespace fastmas::consensus::paxos
