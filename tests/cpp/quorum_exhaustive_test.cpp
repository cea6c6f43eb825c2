// Every vote and every vector of match indexes of clusters up to seven nodes, against counting by hand.
#include <bit>
#include <vector>

#include "check.hpp"
#include "consensus/paxos/ballot.hpp"
#include "consensus/quorum.hpp"
#include "consensus/raft/membership.hpp"

using namespace fastmas::consensus;

TEST(any_two_quorums_share_a_node) {
    for (unsigned nodes = 1; nodes <= 7; ++nodes)
        for (unsigned a = 0; a < (1U << nodes); ++a)
            for (unsigned b = 0; b < (1U << nodes); ++b) {
                const auto is_quorum = [&](unsigned set) {
                    return static_cast<std::size_t>(std::popcount(set)) >= quorum_size(nodes);
                };
                if (is_quorum(a) && is_quorum(b)) CHECK((a & b) != 0);
                // and no smaller set would do: its complement is as large
                if (!is_quorum(a) && static_cast<std::size_t>(std::popcount(a)) + 1 == quorum_size(nodes))
                    CHECK(static_cast<std::size_t>(std::popcount(a)) * 2 <= nodes);
            }
}

// Flexible quorums of every size, of every configuration: what is allowed is what intersects, no less and no more.
TEST(every_prepare_quorum_meets_every_accept_quorum) {
    for (unsigned nodes = 1; nodes <= 7; ++nodes)
        for (std::size_t prepare = 1; prepare <= nodes; ++prepare)
            for (std::size_t accept = 1; accept <= nodes; ++accept) {
                bool intersect = true;
                for (unsigned a = 0; a < (1U << nodes); ++a)
                    for (unsigned b = 0; b < (1U << nodes); ++b)
                        if (static_cast<std::size_t>(std::popcount(a)) == prepare &&
                            static_cast<std::size_t>(std::popcount(b)) == accept)
                            intersect = intersect && (a & b) != 0;
                CHECK_EQUAL(paxos::problem_of(paxos::Quorums{prepare, accept}, nodes).empty(), intersect);
            }
}

TEST(tally_of_every_vote) {
    for (std::size_t nodes = 1; nodes <= 7; ++nodes) {
        std::size_t combinations = 1;
        for (std::size_t i = 0; i < nodes; ++i) combinations *= 3;
        for (std::size_t code = 0; code < combinations; ++code) {
            std::size_t count[3] = {0, 0, 0};
            for (std::size_t i = 0, rest = code; i < nodes; ++i, rest /= 3) ++count[rest % 3];
            const auto [missing, yes, no] = count;
            VoteResult expected = VoteResult::pending;
            if (2 * yes > nodes)
                expected = VoteResult::won;
            else if (2 * (yes + missing) <= nodes)
                expected = VoteResult::lost;
            CHECK(tally(yes, no, nodes) == expected);
        }
    }
}

TEST(quorum_index_of_every_vector_of_matches) {
    for (std::size_t nodes = 1; nodes <= 7; ++nodes) {
        std::size_t combinations = 1;
        for (std::size_t i = 0; i < nodes; ++i) combinations *= 4;
        for (std::size_t code = 0; code < combinations; ++code) {
            std::vector<Index> matched;
            for (std::size_t i = 0, rest = code; i < nodes; ++i, rest /= 4) matched.push_back(rest % 4);
            Index expected = 0;
            for (Index index = 0; index < 4; ++index) {
                std::size_t holders = 0;
                for (const Index match : matched) holders += match >= index;
                if (2 * holders > nodes) expected = index;
            }
            CHECK_EQUAL(quorum_index(matched), expected);
        }
    }
}

TEST(quorum_index_of_nobody_is_nothing) {
    CHECK_EQUAL(quorum_index({}), 0U);
}

// Every joint configuration of up to seven nodes, up to renaming (nodes of both halves, of one, of the other), under
// every vote: an election is won, and an entry committed, with a majority of each half.
TEST(joint_quorums_of_every_vote) {
    using fastmas::consensus::raft::Membership;
    for (NodeId only_new = 0; only_new <= 7; ++only_new)
        for (NodeId only_old = 0; only_new + only_old <= 7; ++only_old)
            for (NodeId both = 0; only_new + only_old + both <= 7; ++both) {
                Membership membership;
                const NodeId nodes = only_new + only_old + both;
                for (NodeId id = 1; id <= nodes; ++id) {
                    if (id <= only_new + both) membership.voters.push_back(id);
                    if (id > only_new) membership.outgoing.push_back(id);
                }
                if (membership.voters.empty() || membership.outgoing.empty()) continue;
                std::size_t combinations = 1;
                for (NodeId id = 0; id < nodes; ++id) combinations *= 3;
                for (std::size_t code = 0; code < combinations; ++code) {
                    std::size_t votes[2][3] = {};
                    std::vector<std::size_t> vote(nodes + 1);
                    for (std::size_t id = 1, rest = code; id <= nodes; ++id, rest /= 3) {
                        vote[id] = rest % 3;
                        votes[0][vote[id]] += id <= only_new + both;
                        votes[1][vote[id]] += id > only_new;
                    }
                    const std::size_t sizes[] = {membership.voters.size(), membership.outgoing.size()};
                    VoteResult expected = VoteResult::won;
                    for (int half = 0; half < 2; ++half)
                        if (2 * votes[half][1] <= sizes[half] && expected == VoteResult::won)
                            expected = VoteResult::pending;
                    for (int half = 0; half < 2; ++half)
                        if (2 * (votes[half][0] + votes[half][1]) <= sizes[half]) expected = VoteResult::lost;
                    const auto is = [&](std::size_t what) {
                        return [&vote, what](NodeId id) { return vote[id] == what; };
                    };
                    CHECK(membership.vote_result(is(1), is(2)) == expected);
                    CHECK_EQUAL(membership.is_quorum(is(1)), expected == VoteResult::won);
                }
            }
}

TEST_MAIN
