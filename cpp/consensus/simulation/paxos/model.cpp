#include "consensus/simulation/paxos/model.hpp"

#include <numeric>

#include "base/errors.hpp"
#include "consensus/applier.hpp"

namespace fastmas::consensus::paxos {
namespace {

// A hash of a sequence of words.
class Digest {
  public:
    Digest& add(std::uint64_t word) noexcept {
        state_ = mix64(state_ ^ word) + 0x9e3779b97f4a7c15ULL;
        return *this;
    }
    Digest& add(const Ballot& ballot) noexcept { return add(ballot.number).add(ballot.node); }
    std::uint64_t value() const noexcept { return mix64(state_); }

  private:
    std::uint64_t state_ = 0;
};

std::uint64_t value_of(const Entry& entry) {
    return Digest().add(static_cast<std::uint64_t>(entry.kind)).add(hash_bytes(entry.command.bytes(), 1)).value();
}

void add(Digest& digest, std::span<const Entry> entries) {
    for (const Entry& entry : entries)
        if (entry.ballot) digest.add(entry.index).add(entry.ballot).add(value_of(entry));
}

void add(Digest& digest, const Log& log) {
    digest.add(log.snapshot_index());
    add(digest, log.slice(log.first_index(), log.last_index()));
}

}  // namespace

// What of a node decides what it will do; no clocks, no capacity, no random stream.
struct ModelDigest {
    static std::uint64_t of(const PaxosNode& node) {
        Digest digest;
        digest.add(node.config_.id).add(static_cast<std::uint64_t>(node.role_)).add(node.hard_.promised);
        digest.add(node.ballot_).add(node.heard_).add(node.leader_).add(node.commit_).add(node.applied_);
        add(digest, node.log_);
        // what the log does not say of its members: who sits where, and what of it is stored
        if (node.memberships_.size() > 1) {
            digest.add(node.stored_commit_);
            for (const NodeId id : node.seats_) digest.add(id);
        }
        if (node.role_ == Role::preparing) {
            digest.add(node.yes_).add(node.learned_commit_);
            add(digest, node.learned_);
            for (const Progress& peer : node.peers_) digest.add(peer.covered).add(peer.commit);
        }
        if (node.role_ == Role::leader) {
            digest.add(node.votes_first_).add(node.prepared_).add(node.learned_first_);
            add(digest, node.learned_);
            for (std::size_t i = node.votes_dead_; i < node.votes_.size(); ++i) digest.add(node.votes_[i]);
            for (const Progress& peer : node.peers_)
                digest.add(peer.commit)
                    .add(peer.next)
                    .add(peer.commit_sent)
                    .add(peer.snapshot_index)
                    .add(peer.silent)
                    .add(peer.moved)
                    .add(peer.heard)
                    .add(peer.rewound);
        }
        return digest.value();
    }
    // The next tick is the one it waits for.
    static void ripen(PaxosNode& node) noexcept {
        node.election_elapsed_ = node.election_timeout_ - 1;
        node.heartbeat_elapsed_ = node.config_.heartbeat_ticks - 1;
    }
    static std::uint64_t heard(const PaxosNode& node) noexcept { return node.heard_; }
};

PaxosModel::PaxosModel(std::size_t nodes) : nodes_(nodes) {
    std::iota(nodes_.begin(), nodes_.end(), NodeId{1});
}

PaxosChangeModel::PaxosChangeModel(std::size_t nodes) : PaxosModel(nodes) {
    Membership target;
    target.voters.assign(1, nodes_.front());
    target_.push_back(std::move(target));
}

PaxosConfig PaxosModel::config_of(NodeId id) const {
    PaxosConfig config;
    config.id = id;
    config.nodes = nodes_;
    config.election_ticks = 8;  // silence of so many heartbeats is not reached
    config.heartbeat_ticks = 1;
    config.ask_first = config.check_quorum = false;
    if (!target_.empty()) config.window = 2;
    return config;
}

PaxosModel::Participant PaxosModel::start(NodeId id) const {
    return {PaxosNode(config_of(id)), SimDisk(nodes_)};
}

std::vector<Renaming> PaxosModel::symmetry() const {
    Renaming renaming{};
    std::iota(renaming.begin(), renaming.end(), std::uint8_t{0});
    return {renaming};
}

void PaxosModel::do_duties(Participant& at, Output& out) const {
    while (at.node.has_ready()) {
        const Ready& ready = at.node.ready();
        at.disk.persist(ready);
        for (const Message& message : ready.messages) {
            out.sent.push_back(message);
            if (message.type != MessageType::accept) continue;
            for (const Entry& entry : message.entries)
                out.facts.push_back({"a ballot has one value for a slot",
                                     Digest().add(entry.index).add(message.ballot).value(), value_of(entry), false});
        }
        for (const Entry& entry : ready.committed)
            out.facts.push_back(
                {"agreement: at most one value is chosen in a slot", entry.index, value_of(entry), false});
        at.node.advance();
    }
}

void PaxosModel::time_out(Participant& at, Output& out) const {
    ModelDigest::ripen(at.node);
    at.node.tick();
    do_duties(at, out);
}

void PaxosModel::heartbeat(Participant& at, Output& out) const {
    ModelDigest::ripen(at.node);
    at.node.tick();
    do_duties(at, out);
}

void PaxosModel::propose(Participant& at, std::uint32_t number, Output& out) const {
    if (!target_.empty() && at.node.memberships().back().voters != target_.front().voters &&
        at.node.change_membership(target_.front(), 0).status == ProposeStatus::appended)
        return do_duties(at, out);
    const std::byte command{static_cast<std::uint8_t>(number)};
    (void)at.node.propose(Payload(std::span(&command, 1)), {}, 0);
    do_duties(at, out);
}

void PaxosModel::crash(Participant& at, Output& out) const {
    at.node = PaxosNode(config_of(at.node.id()), at.disk.load());
    do_duties(at, out);
}

void PaxosModel::deliver(Participant& at, const Message& message, Output& out) const {
    at.node.step(message);
    do_duties(at, out);
}

std::uint64_t PaxosModel::digest(const Participant& at, const Renaming&) const {
    Digest digest;
    digest.add(ModelDigest::of(at.node)).add(at.disk.hard_state().promised).add(at.disk.hard_state().commit);
    add(digest, at.disk.log());
    return digest.value();
}

std::uint64_t PaxosModel::digest(const Message& message, const Renaming&) const {
    Digest digest;
    digest.add(static_cast<std::uint64_t>(message.type)).add(message.flag).add(message.from).add(message.to);
    digest.add(message.ballot).add(message.other).add(message.index).add(message.last).add(message.commit);
    add(digest, message.entries);
    return digest.value();
}

bool PaxosModel::is_dead(const Participant& at, const Message& message) const noexcept {
    const bool is_answer = message.type == MessageType::promise || message.type == MessageType::accepted ||
                           message.type == MessageType::refuse;
    if (!is_answer) return false;
    // it would hear of a ballot from it
    if (std::max(message.ballot.number, message.other.number) > ModelDigest::heard(at.node)) return false;
    // answers to a ballot that is over: the next ones are above all it promised
    if (message.ballot != at.node.ballot()) return message.ballot <= at.node.promised();
    // of the ballot it is in, or was in last; nobody begins twice to prepare or to lead one
    if (at.node.role() == Role::preparing) return false;
    return at.node.role() != Role::leader || message.type == MessageType::promise;
}

void PaxosModel::check(const std::vector<const Participant*>& all) const {
    for (const Participant* a : all) {
        const Index commit = a->node.commit_index();
        if (commit == 0) continue;
        const Membership* now = nullptr;
        for (const Membership& each : a->node.memberships())
            if (each.from <= commit) now = &each;
        std::size_t holders = 0;
        for (const Participant* b : all)
            holders += now->is_voter(b->node.id()) && b->disk.log().holds(commit) &&
                       same_value(b->disk.log().at(commit), a->node.log().at(commit));
        if (holders < now->quorums.accept)
            throw base::InvariantError("what is committed was accepted by an accept quorum of disks: broken at slot " +
                                       std::to_string(commit));
    }
}

std::string PaxosModel::describe(const Message& message) const {
    std::string text = std::string(to_string(message.type)) + " " + to_string(message.ballot) + " from " +
                       std::to_string(message.from) + " to " + std::to_string(message.to) + ", after slot " +
                       std::to_string(message.index);
    if (message.other) text += ", promise " + to_string(message.other);
    if (message.last != 0) text += ", up to slot " + std::to_string(message.last);
    if (message.commit != 0) text += ", commit " + std::to_string(message.commit);
    for (const Entry& entry : message.entries)
        text += ", slot " + std::to_string(entry.index) + " of " + to_string(entry.ballot) +
                (entry.kind == EntryKind::noop ? " (no-op)" : "");
    return text;
}

}  // namespace fastmas::consensus::paxos
