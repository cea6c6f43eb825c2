// What a BFT node stores, as bytes: round trips, every cut and every flipped byte; and signatures listed ahead.
#include "bft_rig.hpp"
#include "check.hpp"
#include "consensus/bft/storage_codec.hpp"

using namespace fastmas::testing;

namespace {

template <class T>
std::vector<std::byte> bytes_of(const T& value, void (*encode)(const T&, std::vector<std::byte>&)) {
    std::vector<std::byte> out;
    encode(value, out);
    return out;
}

// Whatever comes of it, what it gives has one encoding; and cut short it gives nothing.
template <class T>
void check_hostile(const std::vector<std::byte>& good, void (*encode)(const T&, std::vector<std::byte>&),
                   const char* (*decode)(std::span<const std::byte>, T&)) {
    T value;
    CHECK(decode(good, value) == nullptr);
    CHECK(bytes_of(value, encode) == good);
    for (std::size_t size = 0; size < good.size(); ++size) CHECK(decode(std::span(good).first(size), value) != nullptr);
    std::vector<std::byte> longer = good;
    longer.push_back(std::byte{0});
    CHECK_EQUAL(std::string(decode(longer, value)), "bytes after the end");
    for (std::size_t at = 0; at < good.size(); ++at)
        for (const int bit : {0, 4, 7}) {
            std::vector<std::byte> bad = good;
            bad[at] ^= std::byte{static_cast<unsigned char>(1U << static_cast<unsigned>(bit))};
            if (decode(bad, value) == nullptr) CHECK(bytes_of(value, encode) == bad);
        }
}

}  // namespace

TEST(what_is_stored_comes_back_from_its_bytes) {
    BftRig rig(4, {}, [](BftConfig& config) { config.checkpoint_every = 2; });
    for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
        (void)rig.nodes[1]->propose(payload("c" + std::to_string(sequence)), session_of(sequence), 5);
        rig.run();
    }
    const bft::SimDisk& disk = rig.nodes[1].disk;
    CHECK_EQUAL(disk.decided().size(), 3U);
    for (const Decided& decided : disk.decided())
        check_hostile(bytes_of(decided, encode_decided), encode_decided, decode_decided);
    // a checkpoint that others vouch for, with the proof
    BftNode& node = *rig.nodes[1].node;
    CHECK(!node.checkpoint_due());
    check_hostile(bytes_of(Snapshot{node.chain().index, node.chain(), payload("state"), {}}, encode_snapshot),
                  encode_snapshot, decode_snapshot);
}

TEST(a_hard_state_with_all_its_parts_comes_back_from_its_bytes) {
    BftRig rig(4);
    HardState hard;
    check_hostile(bytes_of(hard, encode_hard_state), encode_hard_state, decode_hard_state);
    (void)rig.nodes[1]->propose(payload("c"), session_of(1), 5);
    // nobody hears a precommit, so that a round goes by with everything in it
    for (int ticks = 0; ticks < 60; ++ticks) {
        for (auto& [id, driven] : rig.nodes) driven->tick();
        for (auto& [id, driven] : rig.nodes)
            for (const Message& message : driven.take())
                if (message.type != MessageType::votes || message.votes.front().type == VoteType::prevote)
                    if (message.type != MessageType::status) rig.nodes[message.to]->step(message);
    }
    bool whole = false;
    for (auto& [id, driven] : rig.nodes) {
        driven.pump();
        const HardState& held = driven.disk.hard_state();
        whole = whole || (held.valid_block && held.prevote.height != 0 && !held.valid_pol.empty());
        check_hostile(bytes_of(held, encode_hard_state), encode_hard_state, decode_hard_state);
        HardState again;
        CHECK(decode_hard_state(bytes_of(held, encode_hard_state), again) == nullptr);
        CHECK(again == held);
    }
    CHECK(whole);
}

TEST(a_request_that_is_over_leaves_the_pool) {
    BftRig rig(4);
    BftNode& node = *rig.nodes[1].node;
    // it waits for the one before it, and its time is over before that comes
    CHECK(node.propose(payload("late"), {7, 2, 0, 100}, 5).status == ProposeStatus::appended);
    rig.run();
    CHECK_EQUAL(rig.nodes[3]->pool().size(), 1U);
    CHECK(node.propose(payload("other"), session_of(1), 101).status == ProposeStatus::appended);
    rig.run();
    CHECK_EQUAL(rig.nodes[3]->height(), 2U);
    CHECK_EQUAL(rig.nodes[3]->pool().size(), 1U);
    for (int ticks = 0; ticks < 64; ++ticks) rig.nodes[3]->tick();
    CHECK_EQUAL(rig.nodes[3]->pool().size(), 0U);
}

TEST(what_is_listed_ahead_is_what_step_checks) {
    // a verifier that counts, so that what step() asks for beyond the list is seen
    struct Counting : Verifier {
        std::vector<Signature> asked;
        std::shared_ptr<Verifier> real;
        bool verify(const PublicKey& key, std::span<const std::byte> bytes, const Signature& signature) override {
            asked.push_back(signature);
            return real->verify(key, bytes, signature);
        }
    };
    BftRig rig(4);
    auto counting = std::make_shared<Counting>();
    counting->real = rig.keys.verifier;
    rig.nodes[2].node = std::make_unique<BftNode>(rig.config(2), rig.keys.signers[1], counting);
    std::size_t listed = 0;
    (void)rig.nodes[1]->propose(payload("c"), session_of(1), 5);
    for (int rounds = 0; rounds < 12; ++rounds) {
        std::vector<Message> inbox;
        for (auto& [id, driven] : rig.nodes)
            for (Message& message : driven.take()) {
                if (message.to == 2)
                    inbox.push_back(std::move(message));
                else
                    rig.nodes[message.to]->step(message);
            }
        std::vector<Verifier::Item> items;
        rig.nodes[2]->signatures(inbox, items);
        listed += items.size();
        counting->asked.clear();
        for (const Message& message : inbox) rig.nodes[2]->step(message);
        for (const Signature& asked : counting->asked)
            CHECK(std::any_of(items.begin(), items.end(),
                              [&](const Verifier::Item& item) { return item.signature == asked; }));
    }
    CHECK(listed >= 5);
    CHECK_EQUAL(rig.nodes[2]->height(), 2U);
    // of another's messages, and of strangers', nothing
    Message message;
    message.type = MessageType::votes;
    message.from = 9;
    message.to = 2;
    message.votes.resize(3);
    std::vector<Verifier::Item> items;
    rig.nodes[2]->signatures({&message, 1}, items);
    message.from = 1;
    message.to = 3;
    rig.nodes[2]->signatures({&message, 1}, items);
    CHECK(items.empty());
}
TEST_MAIN
