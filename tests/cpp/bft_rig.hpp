// BFT nodes driven by hand: no time, no simulated network, every message in the open, signatures real.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/errors.hpp"
#include "consensus/bft/codec.hpp"
#include "consensus/bft/node.hpp"
#include "consensus/simulation/bft/disk.hpp"
#include "consensus/simulation/bft/sim_signer.hpp"

namespace fastmas::testing {

using namespace fastmas::consensus;
using namespace fastmas::consensus::bft;

inline base::Payload payload(const std::string& text) {
    return base::Payload(std::string_view(text));
}

// A request of client 9; the ones before it are answered.
inline Session session_of(std::uint64_t sequence, std::uint64_t client = 9) {
    return {client, sequence, sequence - 1};
}

inline BftConfig bft_config(NodeId id, const SimKeys& keys, const std::vector<Power>& powers = {}) {
    BftConfig config;
    config.id = id;
    for (std::size_t i = 0; i < keys.signers.size(); ++i) {
        Validator validator;
        validator.id = static_cast<NodeId>(i + 1);
        validator.power = powers.empty() ? 1 : powers[i];
        validator.key = keys.signers[i]->public_key();
        config.validators.push_back(validator);
    }
    return config;
}

// Does the caller's duties at once and keeps what came of them.
struct DrivenBft {
    std::unique_ptr<BftNode> node;
    std::vector<Message> sent;     // since the last take()
    std::vector<Entry> committed;  // all of it
    std::vector<Snapshot> restored;
    bft::SimDisk disk;

    BftNode* operator->() { return node.get(); }
    void pump() {
        while (node->has_ready()) {
            const bft::Ready& ready = node->ready();
            if (ready.must_sync) disk.persist(ready);
            sent.insert(sent.end(), ready.messages.begin(), ready.messages.end());
            if (ready.snapshot != nullptr) restored.push_back(*ready.snapshot);
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
    std::string commands() const {
        std::string text;
        for (const Entry& entry : committed)
            if (entry.kind == EntryKind::command) text += std::string(entry.command.text()) + " ";
        return text;
    }
};

struct BftRig {
    SimKeys keys;
    std::vector<Power> powers;
    std::function<void(BftConfig&)> change;
    std::map<NodeId, DrivenBft> nodes;
    std::vector<Message> wire;
    std::uint64_t delivered = 0;

    explicit BftRig(std::size_t count, std::vector<Power> weights = {}, std::function<void(BftConfig&)> config = {})
        : keys(count, 1), powers(std::move(weights)), change(std::move(config)) {
        for (NodeId id = 1; id <= count; ++id) boot(id);
    }
    BftConfig config(NodeId id) const {
        BftConfig made = bft_config(id, keys, powers);
        if (change) change(made);
        return made;
    }
    void boot(NodeId id) {
        DrivenBft& driven = nodes[id];
        driven.node = std::make_unique<BftNode>(config(id), keys.signers[id - 1], keys.verifier, driven.disk.load());
        driven.committed.clear();
    }
    DrivenBft& at(NodeId id) { return nodes.at(id); }
    void collect() {
        for (auto& [id, driven] : nodes)
            for (Message& message : driven.take()) wire.push_back(std::move(message));
    }
    // Delivers until nothing is under way; `passes` says which messages get through.
    void run(const std::function<bool(const Message&)>& passes = [](const Message&) { return true; }) {
        collect();
        for (int i = 0; i < 100'000 && !wire.empty(); ++i) {
            const Message message = wire.front();
            wire.erase(wire.begin());
            if (passes(message) && nodes.contains(message.to)) {
                ++delivered;
                at(message.to)->step(message);
            }
            collect();
        }
    }
    void tick(
        int times = 1, const std::function<bool(const Message&)>& passes = [](const Message&) { return true; }) {
        for (int i = 0; i < times; ++i) {
            for (auto& [id, driven] : nodes) driven->tick();
            run(passes);
        }
    }
    static std::function<bool(const Message&)> among(const std::vector<NodeId>& reachable) {
        return [reachable](const Message& message) {
            const auto has = [&](NodeId id) {
                return std::find(reachable.begin(), reachable.end(), id) != reachable.end();
            };
            return has(message.from) && has(message.to);
        };
    }
    Submission propose(NodeId id, const std::string& text, std::uint64_t sequence, std::int64_t now_ns = 0) {
        return at(id)->propose(payload(text), session_of(sequence), now_ns);
    }
    Vote vote(VoteType type, NodeId validator, Height height, Round round, const Digest& value) {
        Vote made;
        made.type = type;
        made.height = height;
        made.round = round;
        made.value = value;
        made.validator = validator;
        made.signature = keys.signers[validator - 1]->sign(sign_bytes(nodes.begin()->second->genesis(), made));
        return made;
    }
    static Message votes(NodeId from, NodeId to, std::vector<Vote> what) {
        Message message;
        message.type = MessageType::votes;
        message.from = from;
        message.to = to;
        message.votes = std::move(what);
        return message;
    }
    // The next block after what `node` has decided, with these commands.
    BlockPtr block(NodeId node, NodeId proposer, const std::vector<std::string>& texts, std::uint64_t first_sequence) {
        const ChainState& chain = at(node)->chain();
        auto made = std::make_shared<Block>();
        made->height = chain.height + 1;
        made->first_index = chain.index + 1;
        made->time_ns = std::max<std::int64_t>(chain.time_ns, 0);
        made->proposer = proposer;
        made->parent = chain.last_id;
        made->validators = made->next_validators = chain.validators->digest();
        for (const std::string& text : texts)
            made->commands.push_back({CommandKind::command, session_of(first_sequence++), 0, payload(text)});
        made->id = block_digest(*made);
        return made;
    }
    bft::Message proposal(NodeId from, NodeId to, const BlockPtr& block, Round round, Round pol_round = kNoRound,
                          std::vector<Vote> pol = {}) {
        Message message;
        message.type = MessageType::proposal;
        message.from = from;
        message.to = to;
        bft::Proposal& made = message.proposal;
        made.height = block->height;
        made.round = round;
        made.pol_round = pol_round;
        made.value = block->id;
        made.proposer = from;
        made.block = block;
        made.pol = std::move(pol);
        made.signature = keys.signers[from - 1]->sign(sign_bytes(nodes.begin()->second->genesis(), made));
        return message;
    }
};

inline std::size_t count_of(const std::vector<Message>& messages, MessageType type) {
    std::size_t count = 0;
    for (const Message& message : messages) count += message.type == type;
    return count;
}

inline const Vote* vote_in(const std::vector<Message>& messages, VoteType type) {
    for (const Message& message : messages)
        for (const Vote& vote : message.votes)
            if (vote.type == type) return &vote;
    return nullptr;
}

}  // namespace fastmas::testing
