// What Multi-Paxos nodes say to one another.
#pragma once

#include <cstdint>
#include <vector>

#include "consensus/paxos/types.hpp"

namespace fastmas::consensus::paxos {

enum class MessageType : std::uint8_t {
    ask = 1,       // would you promise a higher ballot to me? Nobody's state changes
    answer = 2,    // to ask
    prepare = 3,   // phase 1a, for all slots after `index` at once
    promise = 4,   // phase 1b, with what was accepted in them
    accept = 5,    // phase 2a, for the entries it carries; without any it is the heartbeat
    accepted = 6,  // phase 2b, for the slots it names
    refuse = 7,    // neither, because of a higher promise
    snapshot = 8,  // what the receiver misses is no longer in the sender's log
};

// One struct for all types, so that a slot can be reused whatever it carries; a field that its type does not use is
// zero.
struct Message {
    MessageType type = MessageType::accept;
    bool flag = false;  // answer: no; prepare: what was promised is on its way or here, nothing is asked; promise: more
                        // slots follow; accepted: a slot before these is missing; refuse: there is a leader;
                        // snapshot: the sender leads
    NodeId from = kNoNode;
    NodeId to = kNoNode;
    Ballot ballot;               // the one it belongs to; ask: the one that would be next; refuse: the one refused;
                                 // snapshot: the sender's own if it leads, else its promise
    Ballot other;                // answer, refuse: the highest promise given
    Index index = 0;             // ask, prepare, promise, accept, accepted: the slot before the first it is about
    Index last = 0;              // promise, accepted: the last slot it is about
    Index commit = 0;            // accept, accepted, promise: the sender's commit index
    std::uint64_t round = 0;     // accept: the leader's latest round of reads; accepted: that of the accept; promise:
                                 // how many more may follow unasked
    std::vector<Entry> entries;  // promise (holes left out), accept (without holes)
    Snapshot snapshot;           // snapshot

    friend bool operator==(const Message&, const Message&) = default;
};

const char* to_string(MessageType type) noexcept;

}  // namespace fastmas::consensus::paxos
