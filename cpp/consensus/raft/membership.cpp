#include "consensus/raft/membership.hpp"

#include "base/errors.hpp"
#include "consensus/bytes.hpp"

namespace fastmas::consensus::raft {
namespace {

bool ascends(const std::vector<NodeId>& list) noexcept {
    return std::adjacent_find(list.begin(), list.end(), [](NodeId a, NodeId b) { return a >= b; }) == list.end();
}

}  // namespace

std::vector<NodeId> Membership::all() const {
    std::vector<NodeId> ids = voters;
    ids.insert(ids.end(), outgoing.begin(), outgoing.end());
    ids.insert(ids.end(), learners.begin(), learners.end());
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

std::string problem_of(const Membership& membership) {
    for (const auto* list : {&membership.voters, &membership.outgoing, &membership.learners, &membership.witnesses}) {
        if (!list->empty() && list->front() == kNoNode) return "node ids start at 1, got 0; number the nodes 1 to n";
        if (const auto twice = std::adjacent_find(list->begin(), list->end()); twice != list->end())
            return "node ids must differ, got " + std::to_string(*twice) + " twice; number the nodes 1 to n";
        if (!ascends(*list)) return "node ids must ascend; sort them";
    }
    const std::size_t nodes = membership.all().size();
    if (membership.voters.empty() || nodes > kMaxNodes)
        return "a cluster has 1 to " + std::to_string(kMaxNodes) + " nodes, got " +
               std::to_string(membership.voters.empty() ? 0 : nodes) + "; 3 or 5 is usual";
    for (const NodeId id : membership.learners)
        if (Membership::has(membership.voters, id))
            return "a node is a voter or a learner, got " + std::to_string(id) + " as both; take it out of one list";
    for (const NodeId id : membership.witnesses)
        if (!membership.is_voter(id))
            return "a witness is one of the voters, got " + std::to_string(id) + "; add it to the voters";
    for (const auto* half : {&membership.voters, &membership.outgoing})
        if (!half->empty() &&
            std::all_of(half->begin(), half->end(), [&](NodeId id) { return membership.is_witness(id); }))
            return "a cluster needs a voter that is no witness, got " + std::to_string(half->size()) +
                   " voters, all of them witnesses; add a full voter";
    return "";
}

Membership begin_change(const Membership& old, Membership target) {
    for (auto* list : {&target.voters, &target.learners, &target.witnesses}) std::sort(list->begin(), list->end());
    if (target.is_joint())
        throw base::ConfigError("a change is asked for by its end, got a joint configuration; leave outgoing empty");
    if (const std::string problem = problem_of(target); !problem.empty()) throw base::ConfigError(problem);
    for (const NodeId id : target.all())
        // what a witness stored has no commands: it cannot stand in for a node that has them
        if (old.contains(id) && old.is_witness(id) != target.is_witness(id))
            throw base::ConfigError("a node is a witness for as long as it lives, got " + std::to_string(id) +
                                    " changed; remove it, and add a new id with an empty store");
    target.id = 0;
    if (target.voters == old.voters) return target;
    // §6: two majorities that could decide without one another never exist at the same time
    target.outgoing = old.voters;
    for (const NodeId id : old.witnesses)
        if (!Membership::has(target.witnesses, id)) target.witnesses.push_back(id);
    std::sort(target.witnesses.begin(), target.witnesses.end());
    return target;
}

Membership leave_joint(const Membership& joint) {
    Membership next = joint;
    next.id = 0;
    next.outgoing.clear();
    std::erase_if(next.witnesses, [&](NodeId id) { return !Membership::has(next.voters, id); });
    return next;
}

Payload encode(const Membership& membership) {
    std::vector<std::byte> out;
    Writer writer(out);
    for (const auto* list : {&membership.voters, &membership.outgoing, &membership.learners, &membership.witnesses}) {
        writer.put(static_cast<std::uint32_t>(list->size()));
        for (const NodeId id : *list) writer.put(id);
    }
    return Payload(out);
}

bool decode(std::span<const std::byte> bytes, Membership& membership) {
    Reader reader(bytes);
    for (auto* list : {&membership.voters, &membership.outgoing, &membership.learners, &membership.witnesses}) {
        std::uint32_t count = 0;
        if (!reader.get(count) || count > kMaxNodes) return false;
        list->resize(count);
        for (NodeId& id : *list)
            if (!reader.get(id)) return false;
    }
    return reader.left() == 0 && problem_of(membership).empty();
}

}  // namespace fastmas::consensus::raft
