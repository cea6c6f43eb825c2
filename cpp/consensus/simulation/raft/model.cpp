#include "consensus/simulation/raft/model.hpp"

#include <numeric>

#include "base/errors.hpp"
#include "consensus/applier.hpp"
#include "consensus/quorum.hpp"

namespace fastmas::consensus::raft {
namespace {

// A hash of a sequence of words.
class Digest {
  public:
    Digest& add(std::uint64_t word) noexcept {
        state_ = mix64(state_ ^ word) + 0x9e3779b97f4a7c15ULL;
        return *this;
    }
    std::uint64_t value() const noexcept { return mix64(state_); }

  private:
    std::uint64_t state_ = 0;
};

std::uint64_t named(NodeId id, const Renaming& renaming) noexcept {
    return id == kNoNode ? 0 : renaming[id - 1] + 1U;
}

std::uint64_t digest_of(const Entry& entry) {
    return Digest()
        .add(entry.term)
        .add(entry.index)
        .add(static_cast<std::uint64_t>(entry.kind))
        .add(hash_bytes(entry.command.bytes(), 1))
        .value();
}

void add(Digest& digest, const Log& log) {
    digest.add(log.snapshot_index()).add(log.snapshot_term()).add(log.stable_index());
    for (const Entry& entry : log.slice(log.first_index(), log.last_index())) digest.add(digest_of(entry));
}

}  // namespace

// What of a node decides what it will do; no clocks, no capacity, no random stream.
struct ModelDigest {
    static std::uint64_t of(const RaftNode& node, const Renaming& renaming) {
        Digest digest;
        digest.add(named(node.config_.id, renaming)).add(static_cast<std::uint64_t>(node.role_));
        digest.add(node.hard_.term).add(named(node.hard_.vote, renaming)).add(named(node.leader_, renaming));
        digest.add(node.hard_.lost.term).add(node.hard_.lost.index);
        digest.add(node.commit_).add(node.applied_).add(node.membership().id);
        add(digest, node.log_);
        std::uint64_t sum = 0;  // of what is kept for each node: the order they stand in means nothing
        if (node.role_ == Role::candidate || node.role_ == Role::pre_candidate)
            for (const auto* list : {&node.granted_, &node.refused_})
                for (const NodeId id : *list)
                    sum += Digest().add(named(id, renaming)).add(list == &node.granted_).value();
        if (node.role_ == Role::leader)
            for (const Progress& peer : node.peers_)
                sum += Digest()
                           .add(named(peer.id, renaming))
                           .add(peer.match)
                           .add(peer.next)
                           .add(peer.commit_sent)
                           .add(peer.window)
                           .add(peer.snapshot_index)
                           .add(static_cast<std::uint64_t>(peer.state))
                           .add(peer.paused)
                           .value();
        return digest.add(sum).value();
    }
};

RaftModel::RaftModel(std::size_t nodes) : voters_(nodes) {
    std::iota(voters_.begin(), voters_.end(), NodeId{1});
}

RaftConfig RaftModel::config_of(NodeId id) const {
    RaftConfig config;
    config.id = id;
    config.voters = voters_;
    config.election_ticks = 2;
    config.heartbeat_ticks = 1;
    config.pre_vote = config.check_quorum = false;
    config.max_append_entries = 1;  // so that an old entry can travel without the new leader's own
    return config;
}

RaftModel::Participant RaftModel::start(NodeId id) const {
    return {RaftNode(config_of(id)), SimDisk(voters_)};
}

std::vector<Renaming> RaftModel::symmetry() const {
    Renaming renaming{};
    std::iota(renaming.begin(), renaming.end(), std::uint8_t{0});
    std::vector<Renaming> all;
    const auto end = renaming.begin() + static_cast<std::ptrdiff_t>(voters_.size());
    do all.push_back(renaming);
    while (std::next_permutation(renaming.begin(), end));
    return all;
}

void RaftModel::do_duties(Participant& at, Output& out) const {
    while (at.node.has_ready()) {
        const Ready& ready = at.node.ready();
        at.disk.persist(ready);
        out.sent.insert(out.sent.end(), ready.messages.begin(), ready.messages.end());
        for (const Entry& entry : ready.committed)
            out.facts.push_back({"state machine safety: no two nodes apply different entries at the same index",
                                 entry.index, digest_of(entry), false});
        at.node.advance();
    }
    if (at.node.role() == Role::leader)
        out.facts.push_back(
            {"election safety: at most one leader is elected in a term", at.node.term(), at.node.id(), true});
}

void RaftModel::time_out(Participant& at, Output& out) const {
    while (!at.node.has_ready() && at.node.role() != Role::leader) at.node.tick();
    do_duties(at, out);
}

void RaftModel::heartbeat(Participant& at, Output& out) const {
    at.node.tick();
    do_duties(at, out);
}

void RaftModel::propose(Participant& at, std::uint32_t number, Output& out) const {
    const std::byte command{static_cast<std::uint8_t>(number)};
    (void)at.node.propose(Payload(std::span(&command, 1)), {}, 0);
    do_duties(at, out);
}

void RaftModel::crash(Participant& at, Output& out) const {
    at.node = RaftNode(config_of(at.node.id()), at.disk.load());
    do_duties(at, out);
}

void RaftModel::deliver(Participant& at, const Message& message, Output& out) const {
    at.node.step(message);
    do_duties(at, out);
}

std::uint64_t RaftModel::digest(const Participant& at, const Renaming& renaming) const {
    Digest digest;
    digest.add(ModelDigest::of(at.node, renaming));
    digest.add(at.disk.hard_state().term).add(named(at.disk.hard_state().vote, renaming));
    add(digest, at.disk.log());
    return digest.value();
}

std::uint64_t RaftModel::digest(const Message& message, const Renaming& renaming) const {
    Digest digest;
    digest.add(static_cast<std::uint64_t>(message.type)).add(message.reject).add(named(message.from, renaming));
    digest.add(named(message.to, renaming)).add(message.term).add(message.index).add(message.log_term);
    digest.add(message.commit).add(message.hint_index).add(message.hint_term);
    for (const Entry& entry : message.entries) digest.add(digest_of(entry));
    return digest.value();
}

bool RaftModel::is_dead(const Participant& at, const Message& message) const noexcept {
    const bool is_vote_reply = message.type == MessageType::vote_reply;
    if (!is_vote_reply && message.type != MessageType::append_reply) return false;
    if (message.term > at.node.term()) return false;
    // a stale reply changes nothing and is not answered, and a term never falls; of the own term it matters to whoever
    // stands or leads in it, which nobody begins to do twice
    if (message.term < at.node.term()) return true;
    if (is_vote_reply) return at.node.role() != Role::candidate;
    return at.node.role() != Role::leader && at.node.role() != Role::candidate;
}

void RaftModel::check(const std::vector<const Participant*>& all) const {
    for (const Participant* a : all) {
        const Log& log = a->node.log();
        std::size_t holders = 0;
        for (const Participant* b : all) {
            const Log& other = b->disk.log();
            holders += other.last_index() >= a->node.commit_index() &&
                       other.term(a->node.commit_index()) == log.term(a->node.commit_index());
            if (a >= b) continue;
            bool is_same = true;
            for (Index index = 1; index <= std::min(log.last_index(), other.last_index()); ++index) {
                const Entry &x = log.at(index), &y = other.at(index);
                if (x.term == y.term && (!is_same || !(x == y)))
                    throw base::InvariantError(
                        "log matching: two logs that hold an entry of the same index and term are the same up to it: "
                        "broken at index " +
                        std::to_string(index));
                is_same = is_same && x == y;
            }
        }
        if (a->node.commit_index() != 0 && holders < quorum_size(all.size()))
            throw base::InvariantError("what is committed is on a majority of disks: broken at index " +
                                       std::to_string(a->node.commit_index()));
    }
}

std::string RaftModel::describe(const Message& message) const {
    std::string text = std::string(to_string(message.type)) + (message.reject ? " (no)" : "") + " from " +
                       std::to_string(message.from) + " to " + std::to_string(message.to) + ", term " +
                       std::to_string(message.term) + ", index " + std::to_string(message.index);
    if (message.log_term != 0) text += " of term " + std::to_string(message.log_term);
    if (message.commit != 0) text += ", commit " + std::to_string(message.commit);
    for (const Entry& entry : message.entries)
        text += ", entry " + std::to_string(entry.index) + " of term " + std::to_string(entry.term);
    return text;
}

}  // namespace fastmas::consensus::raft
