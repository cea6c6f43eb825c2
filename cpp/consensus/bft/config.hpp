// What a BFT node is told when it is built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "consensus/bft/chain.hpp"

namespace fastmas::consensus::bft {

struct BftConfig {
    NodeId id = kNoNode;
    std::string chain = "fastmas";      // its name: signatures of one chain mean nothing on another
    std::vector<Validator> validators;  // of the genesis; a node that is not among them follows and has no vote
    std::vector<NodeId> peers;          // whom messages are sent to; empty: the validators of the genesis
    ChainLimits limits;
    std::shared_ptr<const CommandRule> rule;  // nullptr: see CommandRule

    // Time-outs in ticks: the step's own plus round times `timeout_growth_ticks`, so that some round is long enough
    // whatever the network's delay (paper §3, timeoutX(r)).
    std::uint32_t propose_ticks = 10;
    std::uint32_t prevote_ticks = 5;
    std::uint32_t precommit_ticks = 5;
    std::uint32_t timeout_growth_ticks = 3;
    // What was lost is asked for this often while a height is under way, four times as seldom while nothing is to do.
    std::uint32_t status_ticks = 5;
    std::uint32_t checkpoint_every = 64;  // heights between two states that compact() takes and laggards are sent

    // A command whose time is further ahead of this node's clock (set_clock) is not taken in, nor prevoted when new.
    std::int64_t max_clock_ahead_ns = 1'000'000'000;

    bool async_storage = false;             // whether stored() acknowledges writes instead of advance(): see ready.hpp
    std::size_t max_writes_in_flight = 64;  // handed out and not acknowledged; what comes then waits in memory

    std::size_t max_pool_commands = 65'536;
    std::size_t max_pool_bytes = 64U << 20;
    std::size_t max_message_bytes = 4U << 20;  // of blocks sent to a laggard at once; one larger block goes alone
    std::uint32_t max_wrong_messages = 16;     // a peer and tick; what more it sends in that tick is not looked at
    std::uint32_t max_replies = 4;             // a peer and tick
    std::size_t max_early_messages = 64;       // a peer: of the next height, kept until it begins
    std::size_t max_evidence = 1024;
};

// Throws base::ConfigError that names the rule, the value and the cure.
void validate(const BftConfig& config);

}  // namespace fastmas::consensus::bft
