// The bound is sharp, and the checks can fail: with f liars of 3f + 1 nothing they do yields two decisions; with f + 1
// that conspire the correct nodes decide differently, and the checker says so.
#include <set>

#include "bft_rig.hpp"
#include "check.hpp"
#include "consensus/simulation/bft/invariants.hpp"

using namespace fastmas::testing;
using fastmas::base::InvariantError;

namespace {

// Conspirators that tell one half of the correct nodes about block a and the other half about block b, in every
// message, and vote for each with whoever is in on it.
struct Conspiracy {
    BftRig rig;
    std::vector<NodeId> liars, left, right;
    BlockPtr a, b;

    Conspiracy(std::size_t nodes, std::vector<NodeId> who, std::vector<NodeId> first, std::vector<NodeId> second)
        : rig(nodes), liars(std::move(who)), left(std::move(first)), right(std::move(second)) {
        a = rig.block(left[0], liars[0], {"pay Alice"}, 1);
        b = rig.block(left[0], liars[0], {"pay Bob"}, 1);
    }
    void tell(NodeId to, const BlockPtr& block) {
        rig.at(to)->step(rig.proposal(liars[0], to, block, 0));
        for (const NodeId liar : liars)
            rig.at(to)->step(BftRig::votes(liar, to,
                                           {rig.vote(VoteType::prevote, liar, 1, 0, block->id),
                                            rig.vote(VoteType::precommit, liar, 1, 0, block->id)}));
    }
    // The correct nodes talk within their halves; what crosses is held up, as an asynchronous network may.
    void run() {
        for (const NodeId id : left) tell(id, a);
        for (const NodeId id : right) tell(id, b);
        const auto among = [](const std::vector<NodeId>& half) { return BftRig::among(half); };
        rig.run([&](const Message& message) { return among(left)(message) || among(right)(message); });
    }
};

}  // namespace

TEST(f_liars_break_nothing) {
    Conspiracy four(4, {1}, {2, 3}, {4});
    four.run();
    std::set<Digest> decided;
    for (const NodeId id : {2U, 3U, 4U})
        if (const Decided* held = four.rig.at(id)->decided(1)) decided.insert(held->block->id);
    CHECK(decided.size() <= 1);
    four.rig.tick(300, BftRig::among({2, 3, 4}));
    CHECK_EQUAL(four.rig.at(2)->height(), four.rig.at(4)->height());
    CHECK(four.rig.at(2)->height() > 1);
    CHECK_EQUAL(four.rig.at(2).commands(), four.rig.at(4).commands());

    Conspiracy seven(7, {1, 2}, {3, 4, 5}, {6, 7});
    seven.run();
    seven.rig.tick(300, BftRig::among({3, 4, 5, 6, 7}));
    for (const NodeId id : {4U, 5U, 6U, 7U}) CHECK_EQUAL(seven.rig.at(id).commands(), seven.rig.at(3).commands());
    CHECK(!seven.rig.at(3).commands().empty());
}

TEST(f_plus_1_liars_can_break_agreement) {
    Conspiracy four(4, {1, 2}, {3}, {4});
    four.run();
    CHECK_EQUAL(four.rig.at(3).commands(), "pay Alice ");
    CHECK_EQUAL(four.rig.at(4).commands(), "pay Bob ");
    // each has a certificate that anybody takes for good: the bound is what certificates rest on
    for (const NodeId id : {3U, 4U}) {
        const Certificate& certificate = four.rig.at(id)->decided(1)->certificate;
        CHECK(verify_certificate(four.rig.at(id)->genesis(), ValidatorSet(four.rig.config(id).validators), certificate,
                                 *four.rig.keys.verifier) == nullptr);
    }
    Conspiracy seven(7, {1, 2, 3}, {4, 5}, {6, 7});
    seven.run();
    CHECK_EQUAL(seven.rig.at(4).commands(), "pay Alice ");
    CHECK_EQUAL(seven.rig.at(6).commands(), "pay Bob ");
    // but not unseen: once the halves talk, both statements of every liar are evidence
    four.rig.at(3)->step(BftRig::votes(4, 3, {}));
    std::vector<Certificate::Signed> signers;
    for (const NodeId id : {3U, 4U})
        for (const Certificate::Signed& held : four.rig.at(id)->decided(1)->certificate.votes) signers.push_back(held);
    std::set<NodeId> twice, once;
    for (const Certificate::Signed& held : signers)
        if (!once.insert(held.validator).second) twice.insert(held.validator);
    CHECK(twice == std::set<NodeId>({1, 2}));
}

TEST(the_checker_sees_two_decisions) {
    Conspiracy four(4, {1, 2}, {3}, {4});
    four.run();
    InvariantChecker checker(4);
    const auto persist = [&](NodeId id) {
        SimNode node(four.rig.config(id), four.rig.keys.signers[id - 1], four.rig.keys.verifier, {}, nullptr);
        bft::Ready ready;
        const std::vector<Decided> decided = {*four.rig.at(id)->decided(1)};
        ready.decided = decided;
        checker.on_persist(node, ready);
    };
    persist(3);
    CHECK_THROWS((persist(4), 0), InvariantError, "agreement: no two correct nodes decide on different blocks");
}

TEST_MAIN
