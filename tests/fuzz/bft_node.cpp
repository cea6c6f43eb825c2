// A BFT node whose three peers all lie, with good signatures where they like: any sequence of ticks, commands, crashes
// and messages. They can make it decide anything, even on what is not valid (it stops then, and says so ever after);
// never does it sign two things, lose what it had, or do anything else than its duties.
#include <map>
#include <tuple>

#include "bft_lies.hpp"
#include "consensus/simulation/bft/disk.hpp"

using namespace fastmas::consensus;
using namespace fastmas::consensus::bft;
using namespace fastmas::fuzz;

namespace {

struct Subject {
    BftConfig config;
    BftLies lies{{2, 3, 4}};
    std::unique_ptr<BftNode> node;
    SimDisk disk;
    std::map<std::tuple<Height, Round, int>, Digest> said;

    explicit Subject(bool allows_all)
        : config(small_config(1, allows_all ? std::make_shared<const AnyCommand>() : nullptr)) {
        boot();
    }
    void boot() { node = std::make_unique<BftNode>(config, keys().signers[0], keys().verifier, disk.load()); }

    void note(Height height, Round round, int kind, const Digest& value) {
        const auto [known, is_new] = said.try_emplace({height, round, kind}, value);
        FUZZ_CHECK(is_new || known->second == value);
        FUZZ_CHECK(disk.hard_state().height >= height);
    }
    void note(const Message& message) {
        FUZZ_CHECK(message.from == 1 && message.to != 1);
        for (const Vote& vote : message.votes)
            if (vote.validator == 1 &&
                keys().verifier->verify(config.validators[0].key, sign_bytes(node->genesis(), vote), vote.signature))
                note(vote.height, vote.round, static_cast<int>(vote.type), vote.value);
        if (message.type == MessageType::proposal && message.proposal.proposer == 1 &&
            keys().verifier->verify(config.validators[0].key, sign_bytes(node->genesis(), message.proposal),
                                    message.proposal.signature))
            note(message.proposal.height, message.proposal.round, 3, message.proposal.value);
        lies.hear(message);
    }
    void do_duties() {
        while (node->has_ready()) {
            const Ready& ready = node->ready();
            if (ready.must_sync) disk.persist(ready);
            for (const Message& message : ready.messages) note(message);
            node->advance();
            if (node->checkpoint_due()) {
                disk.compact(node->checkpoint({}));
                node->compact(node->applied_index(), {});
            }
        }
    }
    bool is_its_key(const ChainState& chain) const {
        const std::size_t place = chain.validators->place_of(1);
        return place == ValidatorSet::kNowhere || chain.validators->at(place).key == config.validators[0].key;
    }
};

void run(Parts& input) {
    Subject at(input.byte() % 2 != 0);
    Message message;
    try {
        while (!input.empty()) {
            switch (const std::uint8_t what = input.byte(); what % 8) {
                case 0:
                    for (int i = 0; i < what / 16 + 1; ++i) {
                        at.node->tick();
                        at.do_duties();
                    }
                    break;
                case 1: {
                    const std::uint64_t next = at.node->chain().clients.last(9) + 1;
                    (void)at.node->propose(Payload(input.part()), {9, next, next - 1}, what / 8);
                    break;
                }
                case 2:
                    if (!at.is_its_key(at.node->chain())) return;  // that it says so is tested elsewhere
                    at.boot();
                    break;
                default:
                    if (at.lies.say(input, *at.node, message)) at.node->step(message);
            }
            at.do_duties();
            const BftNode& node = *at.node;
            FUZZ_CHECK(node.applied_height() < node.height());
            FUZZ_CHECK(node.applied_index() <= node.commit_index());
            FUZZ_CHECK(at.disk.hard_state() == node.hard_state());
            FUZZ_CHECK(at.disk.height() + 1 == node.height());
            FUZZ_CHECK(node.pool().size() <= node.config().max_pool_commands);
            FUZZ_CHECK(node.evidence().size() <= node.config().max_evidence);
            FUZZ_CHECK(node.machine().rounds_held() <= 128);
        }
    } catch (const fastmas::base::InvariantError&) {
        FUZZ_CHECK(at.node->poisoned().find("decided on a block that is not valid") != std::string::npos);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Parts input(as_bytes(data, size));
    run(input);
    return 0;
}
