// Three correct BFT nodes and a liar, which is all that may lie among four: the input is the liar, the network and the
// crashes. Whatever it is, no node stops, no two decide differently, nothing is signed twice, and what the simulation
// holds against every step (invariants.cpp) holds here.
#include <array>

#include "bft_lies.hpp"
#include "consensus/applier.hpp"
#include "consensus/simulation/bft/invariants.hpp"

using namespace fastmas::consensus;
using namespace fastmas::consensus::bft;
using namespace fastmas::fuzz;

namespace {

constexpr NodeId kCorrect = 3, kLiar = 4;
constexpr std::size_t kUnderWay = 64;

// What matters here is which commands take effect, not what they do.
struct Machine final : StateMachine {
    Result apply(const fastmas::consensus::Command&) override { return {}; }
    bool can_snapshot() const override { return true; }
};

struct Cluster {
    struct Member {
        std::unique_ptr<SimNode> node;
        SimDisk disk;
        std::unique_ptr<Applier> applier;
    };
    std::array<Member, kCorrect + 1> members;
    InvariantChecker checker{kValidators};
    std::vector<const SimDisk*> disks;
    std::vector<Message> wire;
    BftLies lies{{kLiar}};
    SimNode liar{small_config(kLiar, nullptr),
                 keys().signers[kLiar - 1],
                 keys().verifier,
                 {},
                 std::make_unique<Liar>(kLiar, 1, keys().signers[kLiar - 1])};
    Cluster() {
        for (NodeId id = 1; id <= kCorrect; ++id) disks.push_back(&members[id].disk);
        for (NodeId id = 1; id <= kCorrect; ++id) boot(id);
    }
    void boot(NodeId id) {
        Member& at = members[id];
        const bool is_restart = at.node != nullptr;
        at.node = std::make_unique<SimNode>(small_config(id, nullptr), keys().signers[id - 1], keys().verifier,
                                            at.disk.load(), nullptr);
        if (is_restart) checker.on_restart(*at.node);
        at.applier = std::make_unique<Applier>(std::make_unique<Machine>());
        if (at.disk.snapshot().index != 0) restore(at, at.disk.snapshot());
    }
    void restore(Member& at, const Snapshot& snapshot) {
        at.applier->restore(snapshot.index, snapshot.state);
        checker.on_restore(*at.node, snapshot, at.applier->commands());
    }
    void do_duties(NodeId id) {
        Member& at = members[id];
        SimNode& node = *at.node;
        while (node.has_ready()) {
            const Ready& ready = node.ready();
            checker.on_persist(*at.node, ready);
            if (ready.must_sync) at.disk.persist(ready);
            for (const Message& message : ready.messages) {
                checker.on_send(*at.node, message, at.disk);
                lies.hear(message);
                if (message.to == kLiar) continue;
                if (wire.size() == kUnderWay) wire.erase(wire.begin());
                wire.push_back(message);
            }
            if (ready.snapshot != nullptr) restore(at, *ready.snapshot);
            for (const Entry& entry : ready.committed) checker.on_apply(*at.node, entry, at.applier->apply(entry));
            node.advance();
            if (node.real().checkpoint_due()) {
                const Payload state = at.applier->snapshot();
                at.disk.compact(node.real().checkpoint(state));
                node.compact(node.real().applied_index(), state);
            }
        }
        checker.after_step(*at.node, disks);
    }
    void tell(NodeId id, const Message& lie) {
        checker.on_send(liar, lie, members[id].disk);
        members[id].node->step(lie);
    }
    void deliver(std::size_t which) {
        const Message message = std::move(wire[which]);
        wire.erase(wire.begin() + static_cast<std::ptrdiff_t>(which));
        members[message.to].node->step(message);
        do_duties(message.to);
    }
};

void run(Parts& input) {
    Cluster cluster;
    Message lie;
    while (!input.empty()) {
        const std::uint8_t what = input.byte();
        const NodeId id = 1 + what / 8 % kCorrect;
        SimNode& node = *cluster.members[id].node;
        switch (what % 8) {
            case 0:
                node.tick();
                break;
            case 1: {  // a client of its own
                const std::uint64_t next = node.real().chain().clients.last(8 + id) + 1;
                (void)node.propose(Payload(input.part()), {8 + id, next, next - 1}, what / 32);
                break;
            }
            case 2:
                cluster.boot(id);
                break;
            case 3:
                for (int left = what / 8; left >= 0 && !cluster.wire.empty(); --left) cluster.deliver(0);
                continue;
            case 4:
                if (!cluster.wire.empty()) cluster.deliver(what / 8 % cluster.wire.size());
                continue;
            case 5:
                if (!cluster.wire.empty()) cluster.wire.erase(cluster.wire.begin());
                continue;
            default:
                if (cluster.lies.say(input, node.real(), lie)) cluster.tell(id, lie);
        }
        cluster.do_duties(id);
    }
    for (NodeId id = 1; id <= kCorrect; ++id)
        cluster.checker.check_log(*cluster.members[id].node, cluster.members[id].disk);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Parts input(as_bytes(data, size));
    try {
        run(input);
    } catch (const fastmas::base::InvariantError& error) {
        std::fprintf(stderr, "%s\n", error.what());
        std::abort();
    }
    return 0;
}
