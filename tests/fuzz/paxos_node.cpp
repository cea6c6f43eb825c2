// A Multi-Paxos node among hostile peers: any sequence of ticks, proposals, crashes and bytes. It may find that its
// peers break the protocol (it is poisoned then, and says so ever after), and nothing else may happen to it.
#include <memory>

#include "base/errors.hpp"
#include "consensus/paxos/codec.hpp"
#include "consensus/paxos/node.hpp"
#include "consensus/simulation/paxos/disk.hpp"
#include "fuzz.hpp"

using namespace fastmas::consensus;
using namespace fastmas::consensus::paxos;

namespace {

void do_duties(PaxosNode& node, SimDisk& disk) {
    while (node.has_ready()) {
        const Ready& ready = node.ready();
        disk.persist(ready);
        for (const Message& message : ready.messages) FUZZ_CHECK(message.from == 1 && message.to != 1);
        node.advance();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    PaxosConfig config;
    config.id = 1;
    config.nodes = {1, 2, 3};
    config.election_ticks = 3;
    config.heartbeat_ticks = 1;
    config.max_message_entries = 4;
    config.max_open_slots = config.window = 16;
    auto node = std::make_unique<PaxosNode>(config);
    SimDisk disk(config.nodes);
    fastmas::fuzz::Parts parts(fastmas::fuzz::as_bytes(data, size));
    Message message;
    try {
        while (!parts.empty()) {
            switch (const std::uint8_t what = parts.byte(); what % 8) {
                case 0:
                    for (int i = 0; i < what / 16 + 1; ++i) {
                        node->tick();
                        do_duties(*node, disk);
                    }
                    break;
                case 1:
                    (void)node->propose(Payload(parts.part()), {}, what);
                    break;
                case 2:
                    node = std::make_unique<PaxosNode>(config, disk.load());
                    break;
                default:
                    if (decode(parts.part(), message) == nullptr) {
                        message.to = 1;  // else most would be dropped at the door
                        message.from = 2 + what / 8 % 2;
                        // an answer to what it says now, or a leader's own ballot
                        if (what >= 192 && node->ballot())
                            message.ballot = node->ballot();
                        else if (what >= 64)
                            message.ballot.node = message.from;
                        node->step(message);
                    }
            }
            do_duties(*node, disk);
            FUZZ_CHECK(node->commit_index() <= node->log().last_index());
            FUZZ_CHECK(node->applied_index() <= node->commit_index());
            FUZZ_CHECK(disk.hard_state().promised == node->promised());
        }
    } catch (const fastmas::base::InvariantError&) {
        FUZZ_CHECK(!node->poisoned().empty());
    }
    return 0;
}
