// Multi-Paxos nodes driven by hand: no time, no simulated network, every message in the open.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/errors.hpp"
#include "consensus/paxos/node.hpp"
#include "consensus/simulation/paxos/disk.hpp"

namespace fastmas::testing {

using namespace fastmas::consensus;
using namespace fastmas::consensus::paxos;

inline Entry entry_of(Ballot ballot, Index index, const std::string& text, std::int64_t time_ns = 0) {
    return {ballot, index, time_ns, {}, EntryKind::command, base::Payload(std::string_view(text))};
}

inline PaxosConfig config_of(NodeId id, std::size_t nodes) {
    PaxosConfig config;
    config.id = id;
    for (NodeId one = 1; one <= nodes; ++one) config.nodes.push_back(one);
    config.seed = 1;
    return config;
}

// What a snapshot of a cluster says that has the members it began with.
inline std::vector<Membership> members_of(std::size_t nodes) {
    Membership membership;
    for (NodeId one = 1; one <= nodes; ++one) membership.voters.push_back(one);
    membership.quorums = checked({}, nodes);
    return {membership};
}

// As the paper has it: whoever wants to begins a ballot, and acceptors answer whoever asks.
inline PaxosConfig plain_config(NodeId id, std::size_t nodes) {
    PaxosConfig config = config_of(id, nodes);
    config.ask_first = config.check_quorum = false;
    return config;
}

inline Message message_of(MessageType type, NodeId from, NodeId to, Ballot ballot, Index index = 0) {
    Message message;
    message.type = type;
    message.from = from;
    message.to = to;
    message.ballot = ballot;
    message.index = index;
    return message;
}
inline Message accept_of(NodeId from, NodeId to, Ballot ballot, Index index, std::vector<std::string> texts,
                         Index commit = 0) {
    Message message = message_of(MessageType::accept, from, to, ballot, index);
    for (const std::string& text : texts) message.entries.push_back(entry_of(ballot, ++index, text));
    message.commit = commit;
    return message;
}
inline Message promise_of(NodeId from, NodeId to, Ballot ballot, Index index, std::vector<Entry> entries,
                          Index commit = 0) {
    Message message = message_of(MessageType::promise, from, to, ballot, index);
    message.last = entries.empty() ? std::max(index, commit) : std::max(entries.back().index, commit);
    message.entries = std::move(entries);
    message.commit = commit;
    return message;
}
inline Message accepted_of(NodeId from, NodeId to, Ballot ballot, Index index, Index last, Index commit = 0) {
    Message message = message_of(MessageType::accepted, from, to, ballot, index);
    message.last = last;
    message.commit = commit;
    return message;
}

// Does the caller's duties at once and keeps what came of them.
struct Driven {
    std::unique_ptr<PaxosNode> node;
    std::vector<Message> sent;     // since the last take()
    std::vector<Entry> committed;  // all of it
    SimDisk disk;

    explicit Driven(const PaxosConfig& config, PersistentState stored = {})
        : node(std::make_unique<PaxosNode>(config, stored)), disk(config.nodes) {
        const HardState hard = stored.hard_state;
        Ready ready;
        ready.hard_state = &hard;
        if (stored.snapshot.index != 0) ready.snapshot = &stored.snapshot;
        ready.entries = stored.entries;
        disk.persist(ready);
    }
    PaxosNode* operator->() { return node.get(); }

    void pump() {
        while (node->has_ready()) {
            const Ready& ready = node->ready();
            disk.persist(ready);
            sent.insert(sent.end(), ready.messages.begin(), ready.messages.end());
            committed.insert(committed.end(), ready.committed.begin(), ready.committed.end());
            node->advance();
        }
    }
    std::vector<Message> take() {
        pump();
        return std::exchange(sent, {});
    }
    std::vector<Message> step(const Message& message) {
        node->step(message);
        return take();
    }
    // Ticks until it says something, or has had 100 of them.
    std::vector<Message> time_out() {
        std::vector<Message> said;
        for (int i = 0; i < 100 && said.empty(); ++i) {
            node->tick();
            said = take();
        }
        return said;
    }
    // Makes it lead an empty log of `nodes` nodes.
    Ballot lead() {
        (void)time_out();
        const Ballot ballot = node->ballot();
        for (const NodeId id : node->config().nodes)
            if (id != node->id() && node->role() == Role::preparing)
                node->step(promise_of(id, node->id(), ballot, 0, {}));
        (void)take();
        return ballot;
    }
    // The log's slots as a text: "a/1.2 - b/1.2".
    std::string log() const {
        std::string text;
        for (Index index = node->log().first_index(); index <= node->log().last_index(); ++index) {
            const Entry& entry = node->log().at(index);
            text += (text.empty() ? "" : " ");
            text += !entry.ballot ? "-"
                                  : (entry.kind == EntryKind::noop ? "noop" : std::string(entry.command.text())) + "/" +
                                        paxos::to_string(entry.ballot);
        }
        return text;
    }
    std::string applied() const {
        std::string text;
        for (const Entry& entry : committed)
            text += (text.empty() ? "" : " ") +
                    (entry.kind == EntryKind::noop ? std::string("noop") : std::string(entry.command.text()));
        return text;
    }
};

}  // namespace fastmas::testing
