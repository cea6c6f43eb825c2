#include "consensus/paxos/membership.hpp"

#include "base/errors.hpp"
#include "consensus/bytes.hpp"
#include "consensus/paxos/types.hpp"

namespace fastmas::consensus::paxos {
namespace {

std::vector<NodeId> union_of(const std::vector<NodeId>& a, const std::vector<NodeId>& b) {
    std::vector<NodeId> ids = a;
    ids.insert(ids.end(), b.begin(), b.end());
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

}  // namespace

std::vector<NodeId> Membership::all() const {
    return union_of(voters, learners);
}

std::string problem_of(const Membership& membership) {
    for (const auto* list : {&membership.voters, &membership.learners}) {
        if (!list->empty() && list->front() == kNoNode) return "node ids start at 1, got 0; number the nodes 1 to n";
        if (const auto twice = std::adjacent_find(list->begin(), list->end()); twice != list->end())
            return "node ids must differ, got " + std::to_string(*twice) + " twice; number the nodes 1 to n";
        if (!std::is_sorted(list->begin(), list->end())) return "node ids must ascend; sort them";
    }
    const std::size_t nodes = membership.voters.size() + membership.learners.size();
    if (membership.voters.empty() || nodes > kMaxNodes)
        return "a cluster has 1 to " + std::to_string(kMaxNodes) + " nodes, got " +
               std::to_string(membership.voters.empty() ? 0 : nodes) + "; 3 or 5 is usual";
    for (const NodeId id : membership.learners)
        if (membership.is_voter(id))
            return "a node is a voter or a learner, got " + std::to_string(id) + " as both; take it out of one list";
    if (membership.quorums.prepare == 0 || membership.quorums.accept == 0)
        return "a configuration says its quorums, got none; put majorities in";
    return problem_of(membership.quorums, membership.voters.size());
}

std::string problem_of(const Snapshot& snapshot, std::uint64_t window) {
    if (snapshot.memberships.empty() || snapshot.memberships.size() > kMaxMemberships)
        return "a snapshot has 1 to " + std::to_string(kMaxMemberships) + " configurations, got " +
               std::to_string(snapshot.memberships.size());
    const Membership* before = nullptr;
    for (const Membership& each : snapshot.memberships) {
        if (const std::string problem = problem_of(each); !problem.empty()) return problem;
        if (each.id > snapshot.index || (before != nullptr && each.id < before->from))
            return "configurations follow one another up to the snapshot, got the one at slot " +
                   std::to_string(each.id);
        if (each.from != (each.id == 0 ? 1 : each.id + window))
            return "a configuration governs the slots from a window of " + std::to_string(window) +
                   " after its own on, got slot " + std::to_string(each.from) + " for the one at slot " +
                   std::to_string(each.id) + "; use the window that the cluster began with";
        before = &each;
    }
    // the last but one is in force, or was left
    if (snapshot.memberships.size() == kMaxMemberships && snapshot.memberships[1].from > snapshot.index + 1)
        return "one configuration at most is to come, got two";
    if (snapshot.memberships.front().from > snapshot.index + 1) return "no configuration governs the next slot";
    return "";
}

Membership begin_change(const Membership& old, Membership target) {
    target.id = 0;
    target.from = 1;
    for (auto* list : {&target.voters, &target.learners}) std::sort(list->begin(), list->end());
    target.quorums = with_majorities(target.quorums, target.voters.size());
    if (const std::string problem = problem_of(target); !problem.empty()) throw base::ConfigError(problem);
    for (const NodeId id : target.voters)
        if (!old.contains(id))
            throw base::ConfigError("a node joins as a learner, got " + std::to_string(id) +
                                    " as a new voter; add it to the learners, and make it a voter in a second change");
    if (const std::size_t nodes = union_of(old.all(), target.all()).size(); nodes > kMaxNodes)
        throw base::ConfigError("a change may concern " + std::to_string(kMaxNodes) + " nodes, old and new, got " +
                                std::to_string(nodes) + "; make two changes of it");
    return target;
}

Payload encode(const Change& change) {
    std::vector<std::byte> out;
    Writer writer(out);
    writer.put(change.replaces);
    writer.put(change.window);
    writer.put(static_cast<std::uint32_t>(change.membership.quorums.prepare));
    writer.put(static_cast<std::uint32_t>(change.membership.quorums.accept));
    for (const auto* list : {&change.membership.voters, &change.membership.learners}) {
        writer.put(static_cast<std::uint32_t>(list->size()));
        for (const NodeId id : *list) writer.put(id);
    }
    return Payload(out);
}

bool decode(std::span<const std::byte> bytes, Change& change) {
    Reader reader(bytes);
    std::uint32_t prepare = 0, accept = 0;
    change.membership = Membership();
    if (!reader.get(change.replaces) || !reader.get(change.window) || !reader.get(prepare) || !reader.get(accept))
        return false;
    change.membership.quorums = {prepare, accept};
    for (auto* list : {&change.membership.voters, &change.membership.learners}) {
        std::uint32_t count = 0;
        if (!reader.get(count) || count > kMaxNodes) return false;
        list->resize(count);
        for (NodeId& id : *list)
            if (!reader.get(id)) return false;
    }
    return reader.left() == 0 && problem_of(change.membership).empty();
}

}  // namespace fastmas::consensus::paxos
