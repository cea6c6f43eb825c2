#include "consensus/simulation/paxos/invariants.hpp"

#include <algorithm>
#include <bit>

#include "base/errors.hpp"
#include "consensus/simulation/observer.hpp"

namespace fastmas::consensus::paxos {
namespace {

std::string at(Index index) {
    return "slot " + std::to_string(index);
}

std::uint64_t value_of(const Entry& entry) {
    const std::uint64_t head[] = {entry.session.client, entry.session.sequence, static_cast<std::uint64_t>(entry.kind)};
    return hash_bytes(entry.command.bytes(), hash_bytes(std::as_bytes(std::span(head)), 1));
}

constexpr const char* kAgreement = "agreement: at most one value is chosen in a slot";
constexpr const char* kAdoption =
    "adoption: whoever proposes in a higher ballot than one in which a value is chosen proposes that value (PMS 2.2, "
    "P2b)";
constexpr const char* kDurable = "nothing leaves before what it says is durable";

}  // namespace

void InvariantChecker::fail(const PaxosNode& node, const char* invariant, const std::string& detail) {
    throw base::InvariantError(std::string(invariant) + ": broken by node " + std::to_string(node.id()) +
                               " with promise " + paxos::to_string(node.promised()) + ", " + detail);
}

InvariantChecker::Slot& InvariantChecker::slot(Index index) {
    if (slots_.size() < index) slots_.resize(index);
    return slots_[index - 1];
}

void InvariantChecker::on_vote(const PaxosNode& node, const Entry& entry) {
    Slot& at_slot = slot(entry.index);
    const std::uint64_t value = value_of(entry);
    if (at_slot.chosen && entry.ballot >= at_slot.chosen) {
        if (value != at_slot.value) fail(node, kAdoption, at(entry.index));
        return;
    }
    // Also in a ballot below the one in which it was chosen first: a late vote may make an accept quorum there, too.
    auto vote = std::find_if(at_slot.votes.begin(), at_slot.votes.end(),
                             [&](const Vote& one) { return one.ballot == entry.ballot; });
    if (vote == at_slot.votes.end()) {
        at_slot.votes.push_back({entry.ballot, value, 0, {}});
        vote = at_slot.votes.end() - 1;
    }
    if (vote->value != value)
        fail(node, "a ballot has one value for a slot", at(entry.index) + " in " + paxos::to_string(entry.ballot));
    vote->who |= std::uint64_t{1} << node.id();
    if (entry.kind == EntryKind::membership) vote->change = entry.command;
    const std::size_t window = node.config().window;
    if (entry.index > chosen_ + window)
        fail(node, "nobody proposes in a slot before the slot a window before it is chosen (PMS 3)", at(entry.index));
    std::uint64_t voters = 0;
    const Membership& now = governs(node, entry.index);
    for (const NodeId id : now.voters) voters |= std::uint64_t{1} << id;
    if (static_cast<std::size_t>(std::popcount(vote->who & voters)) < now.quorums.accept) return;
    if (at_slot.chosen && at_slot.value != value) fail(node, kAgreement, at(entry.index));
    at_slot.chosen = vote->ballot;
    at_slot.value = vote->value;
    at_slot.change = vote->change;
    // what was accepted in higher ballots before must be the same already
    std::erase_if(at_slot.votes, [&](const Vote& other) {
        if (other.ballot > at_slot.chosen && other.value != value) fail(node, kAdoption, at(entry.index));
        return other.ballot >= at_slot.chosen;
    });
    follow_changes(node);
}

const Membership& InvariantChecker::governs(const PaxosNode& node, Index index) {
    if (memberships_.empty()) memberships_.push_back(initial_membership(node.config()));
    std::size_t last = memberships_.size() - 1;
    while (memberships_[last].from > index) --last;
    return memberships_[last];
}

void InvariantChecker::follow_changes(const PaxosNode& node) {
    while (chosen_ < slots_.size() && slots_[chosen_].chosen) {
        ++chosen_;
        const Payload& made = slots_[chosen_ - 1].change;
        Change change;
        if (made.size() == 0 || !decode(made.bytes(), change)) continue;
        const Membership& latest = memberships_.back();
        if (change.replaces != latest.id || chosen_ < latest.from) {
            ++changes_.void_entries;
            continue;
        }
        Membership next = change.membership;
        next.id = chosen_;
        next.from = chosen_ + node.config().window;
        ++changes_.in_force;
        changes_.disjoint +=
            std::none_of(next.voters.begin(), next.voters.end(), [&](NodeId id) { return latest.is_voter(id); });
        for (const NodeId id : next.voters) changes_.promoted += !latest.is_voter(id);
        memberships_.push_back(std::move(next));
    }
}

void InvariantChecker::check_membership(const PaxosNode& node) {
    constexpr const char* kGoverns =
        "a node goes by the configuration that governs its next slot, and knows the one to come";
    const Index commit = node.commit_index();
    if (node.membership() != governs(node, commit + 1))
        fail(node, kGoverns, "at " + at(commit) + " it goes by the one of " + at(node.membership().id));
    Index latest = 0;
    for (const Membership& each : memberships_)
        if (each.id <= commit) latest = each.id;
    if (node.memberships().back().id != latest)
        fail(node, kGoverns, "at " + at(commit) + " it knows none after that of " + at(node.memberships().back().id));
}

void InvariantChecker::on_durable(const PaxosNode& node) {
    Seen& seen = seen_[node.id()];
    while (!seen.staged.empty() && seen.staged.front().write <= node.stored_write()) {
        const Staged staged = std::move(seen.staged.front());
        seen.staged.pop_front();
        for (const Entry& entry : staged.entries)
            if (entry.index > node.snapshot().index) on_vote(node, entry);
        seen.durable = std::max(seen.durable, staged.promised);
    }
}

void InvariantChecker::on_ready(const PaxosNode& node, const Ready& ready) {
    on_durable(node);
    for (const ReadState& read : ready.reads) {
        reads_ += read.is_confirmed;
        if (read.is_confirmed && read.index < must_cover(read.context))
            fail(node, "a read sees all that was committed when it was asked for",
                 at(read.index) + " of " + std::to_string(must_cover(read.context)));
    }
}

void InvariantChecker::on_persist(const PaxosNode& node, const Ready& ready) {
    Seen& seen = seen_[node.id()];
    if (ready.snapshot != nullptr) {
        const Index last = ready.snapshot->index;
        if (last > slots_.size() || !slots_[last - 1].chosen)
            fail(node, "snapshots stand for chosen slots only", at(last));
        // carried from node to node, they make members of what only they say
        for (const Membership& each : ready.snapshot->memberships)
            if (std::find(memberships_.begin(), memberships_.end(), each) == memberships_.end())
                fail(node, "a snapshot's configurations are those that were chosen", at(each.id));
        if (ready.snapshot->memberships.back().from > last + 1) ++changes_.pending_in_snapshot;
    }
    for (const Entry& entry : ready.entries) {
        if (!entry.ballot) continue;
        // a write may hold again what lies between two slots that are new
        if (seen.accepted.size() < entry.index) seen.accepted.resize(entry.index);
        if (std::exchange(seen.accepted[entry.index - 1], entry.ballot) == entry.ballot) continue;
        if (entry.ballot < seen.promised && entry.index > seen.commit && entry.index > node.commit_index())
            fail(node, "an acceptor accepts nothing below its promise (PMS 2.2, phase 2b)",
                 at(entry.index) + " in " + paxos::to_string(entry.ballot));
        if (ready.write != 0) continue;
        if (entry.index > node.snapshot().index) on_vote(node, entry);
    }
    if (ready.write != 0) {
        // it counts once it is durable
        Staged& staged = seen.staged.emplace_back();
        staged.write = ready.write;
        for (const Entry& entry : ready.entries)
            if (entry.ballot) staged.entries.push_back(entry);
        staged.promised = ready.hard_state->promised;
    }
    if (ready.hard_state == nullptr) return;
    if (ready.hard_state->promised < seen.promised)
        fail(node, "a promise never falls", "from " + paxos::to_string(seen.promised));
    seen.promised = ready.hard_state->promised;
    if (ready.write == 0) seen.durable = seen.promised;
}

void InvariantChecker::check_proposal(const PaxosNode& node, const Entry& entry, const Ballot& ballot) {
    if (entry.index > slots_.size()) return;
    Slot& at_slot = slots_[entry.index - 1];
    if (!at_slot.chosen || ballot <= at_slot.chosen) return;
    if (value_of(entry) != at_slot.value) fail(node, kAdoption, at(entry.index));
    kept_ += !std::exchange(at_slot.was_kept, true);
}

void InvariantChecker::on_send(const PaxosNode& node, const Message& message, const SimDisk& disk) {
    ++checks_;
    const Ballot& promised = disk.hard_state().promised;
    switch (message.type) {
        case MessageType::prepare:
        case MessageType::accept:
            if (message.ballot > promised) fail(node, kDurable, "its own ballot " + paxos::to_string(message.ballot));
            for (const Entry& entry : message.entries) check_proposal(node, entry, message.ballot);
            break;
        case MessageType::promise:
            if (message.ballot > promised) fail(node, kDurable, "the promise of " + paxos::to_string(message.ballot));
            break;
        case MessageType::accepted:
            if (message.last > message.index && message.ballot > promised)
                fail(node, kDurable, "the promise of " + paxos::to_string(message.ballot));
            for (Index index = std::max(message.index, node.commit_index()) + 1; index <= message.last; ++index)
                if (!disk.log().holds(index) || disk.log().at(index).ballot < message.ballot)
                    fail(node, kDurable, "what it accepted in " + at(index));
            break;
        default:
            break;
    }
}

void InvariantChecker::on_apply(const PaxosNode& node, const Entry& entry, const Applied& applied) {
    Seen& seen = seen_[node.id()];
    if (entry.index != seen.applied + 1 || entry.index > node.commit_index())
        fail(node, "what is chosen is applied in the order of the slots, each once", at(entry.index));
    seen.applied = entry.index;
    committed_ = std::max(committed_, entry.index);
    Slot& at_slot = slot(entry.index);
    if (!at_slot.chosen || value_of(entry) != at_slot.value) fail(node, kAgreement, at(entry.index));
    if (entry.time_ns < seen.time_ns) fail(node, "time never falls along the log", at(entry.index));
    seen.time_ns = entry.time_ns;
    if (std::exchange(at_slot.is_applied, true) && at_slot.time_ns != entry.time_ns)
        fail(node, "the log's time is the same on every node", at(entry.index));
    at_slot.time_ns = entry.time_ns;
    const std::string broken = history_.on_apply(node.id(), entry.index, entry.time_ns, entry.session, applied);
    if (!broken.empty()) fail(node, AppliedHistory::kInvariant, broken);
}

void InvariantChecker::on_restore(const PaxosNode& node, const Snapshot& snapshot, std::uint64_t commands) {
    Seen& seen = seen_[node.id()];
    if (snapshot.index < seen.applied)
        fail(node, "a snapshot never moves a state machine backwards", at(snapshot.index));
    if (slots_[snapshot.index - 1].is_applied && slots_[snapshot.index - 1].time_ns != snapshot.time_ns)
        fail(node, "the log's time is the same on every node", at(snapshot.index));
    seen.applied = snapshot.index;
    seen.time_ns = snapshot.time_ns;
    history_.on_restore(node.id(), commands);
}

void InvariantChecker::on_restart(const PaxosNode& node) {
    Seen& seen = seen_[node.id()];
    if (node.promised() < seen.durable)
        fail(node, "a restarted node remembers its promise", paxos::to_string(seen.durable));
    // what its disk holds is durable, acknowledged or not; what was under way is lost
    seen = Seen{};
    seen.promised = seen.durable = node.promised();
    seen.commit = node.snapshot().index;
    for (const Entry& entry : node.log().slice(node.log().first_index(), node.log().last_index()))
        if (entry.ballot) {
            on_vote(node, entry);
            seen.accepted.resize(entry.index);
            seen.accepted.back() = entry.ballot;
        }
    history_.on_restore(node.id(), 0);
}

void InvariantChecker::after_step(const PaxosNode& node, const std::vector<const SimDisk*>& disks) {
    ++checks_;
    Seen& seen = seen_[node.id()];
    on_durable(node);
    if (node.promised() < seen.promised) fail(node, "a promise never falls", "from " + paxos::to_string(seen.promised));
    if (!node.config().async_storage && node.promised() != disks[node.id() - 1]->hard_state().promised)
        fail(node, "what is promised is stored", paxos::to_string(node.promised()));
    if (node.commit_index() < seen.commit)
        fail(node, "a commit index never falls", "from " + std::to_string(seen.commit));
    if (node.applied_index() > node.commit_index())
        fail(node, "nothing is applied before it is committed", at(node.applied_index()));
    for (Index index = seen.commit + 1; index <= node.commit_index(); ++index) {
        if (index > slots_.size() || !slots_[index - 1].chosen)
            fail(node, "what is committed was accepted by an accept quorum of disks in one ballot", at(index));
        if (node.log().holds(index) && value_of(node.log().at(index)) != slots_[index - 1].value)
            fail(node, kAgreement, at(index));
        // else a leader of a lower ballot could take the word of this node for its own proposal
        if (slots_[index - 1].chosen > node.promised())
            fail(node, "whoever knows what is chosen has promised the ballot it was chosen in", at(index));
    }
    check_membership(node);
    gaps_ += node.counters().gaps - std::exchange(seen.gaps, node.counters().gaps);
    const bool leads = node.role() == Role::leader;
    if (leads) {
        if (node.ballot().node != node.id() || node.ballot() != node.promised())
            fail(node, "a leader leads a ballot of its own, which it promised", paxos::to_string(node.ballot()));
        const std::uint64_t name = node.ballot().number * (kMaxNodes + 1) + node.ballot().node;
        if ((!seen.led || seen.ballot != node.ballot()) && !led_.emplace(name, node.id()).second)
            fail(node, "a ballot is led once, by one node (PMS 2.5)", paxos::to_string(node.ballot()));
    }
    // with as many writes in flight as may be, the node is ahead of what was handed out
    if (!node.config().async_storage) seen.promised = node.promised();
    seen.led = leads;
    seen.ballot = node.ballot();
    seen.commit = node.commit_index();
    committed_ = std::max(committed_, seen.commit);
}

void InvariantChecker::check_log(const PaxosNode& node, const SimDisk& disk) const {
    if (!disk.idle()) return;
    const Log &log = node.log(), &stored = disk.log();
    if (log.last_index() != stored.last_index())
        fail(node, "log and disk hold the same", at(std::max(log.last_index(), stored.last_index())));
    for (Index index = std::max(log.first_index(), stored.first_index()); index <= log.last_index(); ++index) {
        if (log.holds(index) != stored.holds(index)) fail(node, "log and disk hold the same", at(index));
        if (!log.holds(index)) continue;
        if (log.at(index).ballot != stored.at(index).ballot || !same_value(log.at(index), stored.at(index)))
            fail(node, "log and disk hold the same", at(index));
        if (index <= node.commit_index() && value_of(log.at(index)) != slots_[index - 1].value)
            fail(node, kAgreement, at(index));
    }
}

}  // namespace fastmas::consensus::paxos
