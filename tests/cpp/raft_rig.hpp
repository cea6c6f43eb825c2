// Raft nodes driven by hand: no time, no simulated network, every message in the open.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/errors.hpp"
#include "consensus/raft/node.hpp"
#include "consensus/simulation/raft/disk.hpp"

namespace fastmas::testing {

using namespace fastmas::consensus;
using namespace fastmas::consensus::raft;

inline Entry command_entry(Term term, Index index, const std::string& text = "x") {
    return {term, index, 0, {}, EntryKind::command, base::Payload(std::string_view(text))};
}

// A log written as its terms: {1, 1, 4} holds entries 1 to 3.
inline std::vector<Entry> log_of(const std::vector<Term>& terms) {
    std::vector<Entry> entries;
    for (const Term term : terms)
        entries.push_back(command_entry(term, entries.size() + 1, "t" + std::to_string(term)));
    return entries;
}

inline std::vector<Term> terms_of(const RaftNode& node) {
    std::vector<Term> terms;
    for (Index index = node.log().first_index(); index <= node.log().last_index(); ++index)
        terms.push_back(node.log().at(index).term);
    return terms;
}

inline std::vector<NodeId> voters(std::size_t nodes) {
    std::vector<NodeId> all;
    for (NodeId id = 1; id <= nodes; ++id) all.push_back(id);
    return all;
}

inline RaftConfig config_of(NodeId id, std::size_t nodes) {
    RaftConfig config;
    config.id = id;
    config.voters = voters(nodes);
    config.seed = 1;
    return config;
}

// As the paper has it before §6 and thesis §9.6 refine it: no pre-vote, no stickiness.
inline RaftConfig plain_config(NodeId id, std::size_t nodes) {
    RaftConfig config = config_of(id, nodes);
    config.pre_vote = config.check_quorum = false;
    return config;
}

// Does the caller's duties at once and keeps what came of them.
struct Driven {
    std::unique_ptr<RaftNode> node;
    std::vector<Message> sent;     // since the last take()
    std::vector<Entry> committed;  // all of it
    std::vector<Snapshot> restored;
    std::vector<ReadState> reads;
    SimDisk disk;

    Driven(const RaftConfig& config, PersistentState stored = {})
        : node(std::make_unique<RaftNode>(config, stored)), disk(config.voters) {
        const HardState hard = stored.hard_state;
        Ready ready;
        ready.hard_state = &hard;
        if (stored.snapshot.index != 0) ready.snapshot = &stored.snapshot;
        ready.entries = stored.entries;
        disk.persist(ready);
    }
    RaftNode* operator->() { return node.get(); }

    void pump() {
        while (node->has_ready()) {
            const Ready& ready = node->ready();
            disk.persist(ready);
            sent.insert(sent.end(), ready.messages.begin(), ready.messages.end());
            if (ready.snapshot != nullptr) restored.push_back(*ready.snapshot);
            committed.insert(committed.end(), ready.committed.begin(), ready.committed.end());
            reads.insert(reads.end(), ready.reads.begin(), ready.reads.end());
            node->advance();
        }
    }
    std::vector<Message> take() {
        pump();
        return std::exchange(sent, {});
    }
    // Everything it answers to one message.
    std::vector<Message> step(const Message& message) {
        node->step(message);
        return take();
    }
    void tick(int times = 1) {
        for (int i = 0; i < times; ++i) {
            node->tick();
            pump();
        }
    }
    // Ticks until it stands for election.
    void time_out() {
        for (int i = 0; i < 100 && node->role() == Role::follower; ++i) tick();
    }
    std::string commands() const {
        std::string text;
        for (const Entry& entry : committed)
            if (entry.kind == EntryKind::command) text += std::string(entry.command.text()) + " ";
        return text;
    }
};

inline Message message_of(MessageType type, NodeId from, NodeId to, Term term) {
    Message message;
    message.type = type;
    message.from = from;
    message.to = to;
    message.term = term;
    return message;
}
inline Message vote_request(NodeId from, NodeId to, Term term, Index last_index, Term last_term, bool pre = false) {
    Message message = message_of(pre ? MessageType::pre_vote : MessageType::vote, from, to, term);
    message.index = last_index;
    message.log_term = last_term;
    return message;
}
inline Message vote_reply(NodeId from, NodeId to, Term term, bool reject = false) {
    Message message = message_of(MessageType::vote_reply, from, to, term);
    message.reject = reject;
    return message;
}
inline Message append(NodeId from, NodeId to, Term term, Index previous, Term previous_term,
                      std::vector<Entry> entries = {}, Index commit = 0) {
    Message message = message_of(MessageType::append, from, to, term);
    message.index = previous;
    message.log_term = previous_term;
    message.entries = std::move(entries);
    message.commit = commit;
    return message;
}
inline Message append_reply(NodeId from, NodeId to, Term term, Index index) {
    Message message = message_of(MessageType::append_reply, from, to, term);
    message.index = index;
    return message;
}

// A node as the paper has it, driven.
inline Driven plain_follower(const std::vector<Term>& terms = {}, Term term = 0, NodeId vote = kNoNode,
                             std::size_t nodes = 3) {
    if (term == 0 && !terms.empty()) term = terms.back();
    return Driven(plain_config(1, nodes), {{term, vote}, {}, log_of(terms)});
}
// Node 1 of `nodes`, elected by all; its term's no-op is not acknowledged yet.
inline Driven plain_leader(std::size_t nodes = 3, const std::vector<Term>& terms = {}) {
    Driven node = plain_follower(terms, 0, kNoNode, nodes);
    node.time_out();
    for (NodeId other = 2; other <= nodes; ++other) node.step(vote_reply(other, 1, node->term()));
    node.take();
    return node;
}

// Several driven nodes and the messages between them, delivered when told to, in the order of sending.
struct Rig {
    std::map<NodeId, Driven> nodes;
    std::vector<Message> wire;

    explicit Rig(std::size_t count, const std::function<RaftConfig(NodeId, std::size_t)>& config = plain_config,
                 const std::map<NodeId, PersistentState>& stored = {}) {
        for (NodeId id = 1; id <= count; ++id) {
            const auto found = stored.find(id);
            nodes.emplace(id, Driven(config(id, count), found == stored.end() ? PersistentState{} : found->second));
        }
    }
    Driven& at(NodeId id) { return nodes.at(id); }
    void collect() {
        for (auto& [id, node] : nodes)
            for (Message& message : node.take()) wire.push_back(std::move(message));
    }
    // Delivers until nothing is under way; `passes` says which messages get through.
    void run(const std::function<bool(const Message&)>& passes = [](const Message&) { return true; }) {
        collect();
        for (int i = 0; i < 10'000 && !wire.empty(); ++i) {
            const Message message = wire.front();
            wire.erase(wire.begin());
            if (passes(message)) at(message.to)->step(message);
            collect();
        }
    }
    // Makes this node stand for election and delivers among `reachable` only.
    void elect(NodeId id, const std::vector<NodeId>& reachable) {
        Driven& node = at(id);
        node.time_out();
        run(among(reachable));
    }
    static std::function<bool(const Message&)> among(const std::vector<NodeId>& reachable) {
        return [reachable](const Message& message) {
            const auto has = [&](NodeId id) {
                return std::find(reachable.begin(), reachable.end(), id) != reachable.end();
            };
            return has(message.from) && has(message.to);
        };
    }
    void propose(NodeId id, const std::string& text) { at(id)->propose(base::Payload(std::string_view(text)), {}, 0); }
};

}  // namespace fastmas::testing
