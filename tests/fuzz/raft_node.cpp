// A Raft node among hostile peers: any sequence of ticks, proposals and bytes. It may find that its peers break the
// protocol (it is poisoned then, and says so ever after), and nothing else may happen to it.
#include "base/errors.hpp"
#include "consensus/raft/codec.hpp"
#include "consensus/raft/node.hpp"
#include "consensus/simulation/raft/disk.hpp"
#include "fuzz.hpp"

using namespace fastmas::consensus;
using namespace fastmas::consensus::raft;

namespace {

void do_duties(RaftNode& node, SimDisk& disk) {
    while (node.has_ready()) {
        const Ready& ready = node.ready();
        disk.persist(ready);
        for (const Message& message : ready.messages) FUZZ_CHECK(message.from == 1 && message.to != 1);
        node.advance();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    RaftConfig config;
    config.id = 1;
    config.voters = {1, 2, 3};
    config.election_ticks = 3;
    config.heartbeat_ticks = 1;
    RaftNode node(config);
    SimDisk disk(config.voters);
    fastmas::fuzz::Parts parts(fastmas::fuzz::as_bytes(data, size));
    Message message;
    try {
        while (!parts.empty()) {
            switch (const std::uint8_t what = parts.byte(); what % 4) {
                case 0:
                    for (int i = 0; i < what / 16 + 1; ++i) {
                        node.tick();
                        do_duties(node, disk);
                    }
                    break;
                case 1:
                    (void)node.propose(Payload(parts.part()), {}, what);
                    break;
                default:
                    if (decode(parts.part(), message) == nullptr) {
                        message.to = 1;  // else most would be dropped at the door
                        message.from = 2 + what / 4 % 2;
                        node.step(message);
                    }
            }
            do_duties(node, disk);
            FUZZ_CHECK(node.commit_index() <= node.log().last_index());
            FUZZ_CHECK(node.applied_index() <= node.commit_index());
        }
    } catch (const fastmas::base::InvariantError&) {
        FUZZ_CHECK(!node.poisoned().empty());
    }
    return 0;
}
