// What is done to a cluster and when: drawn from a seed, or written down, so that a failing seed can be made short.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.hpp"
#include "consensus/simulation/options.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus {

// Who an action is for may depend on how things stand: whoever leads then, or every node that is down.
inline constexpr NodeId kLeader = 0;
inline constexpr NodeId kAll = UINT32_MAX;

struct Action {
    enum class Kind : std::uint8_t {
        submit,  // client `a` sends its next `b` requests to `node`
        read,    // `node`, or every node that leads, is asked for the state; `a` = 1: under a lease, where there is one
        crash,   // `node`
        restart,    // `node`, or all that are down
        partition,  // nodes whose bit in `a` is set from the others
        cut,        // the link from `node` to `other`, one way
        isolate,   // `node` from the others, or those whose bit in `b` is set: wholly, or (`a` = 1) it hears nothing of
                   // them, or (2) they nothing of it, or (more) what they say reaches it `a` ms later at the earliest
        transfer,  // `node` hands its leadership to `other`, in protocols that offer it
        hang,      // the disk of `node` does nothing for `a` ms
        failsync,  // the disk of `node` fails to make its next write durable
        damage,    // the disk of `node` damages its log from `a` thousandths of it on, in the way `b` (SimCluster's
                   // Damage), in protocols that promise to live with it and as far as they do
        heal,      // all cuts
        clog,      // what `node` sends `other` arrives `a` ms later at the earliest
        network,   // loses, doubles and reorders `a`, `b`, `c` in a million
        crashes,   // a node with work at hand crashes in the middle of it, `a` in a million
        pause,     // `node` stands still for `a` ms, like a stopped process: no tick, no message
        skew,      // the clock of `node` runs at `a` thousandths of its speed, and is off by `a` - 1000 ms
        jump,  // the clock of `node` tells a time that is `a` ms ahead, or (`b` = 1) behind; in protocols that refuse
               // it and while the others are enough
        disturb,  // the protocol's own faults, drawn from the seed `a`
    };
    std::int64_t at_ms = 0;  // from the start
    Kind kind = Kind::submit;
    NodeId node = 0;
    NodeId other = 0;
    std::uint64_t a = 0, b = 0, c = 0;

    friend bool operator==(const Action&, const Action&) = default;
};

struct Plan {
    SimOptions options;
    std::int64_t seconds = 0;
    std::vector<Action> actions;  // at_ms never falls
};

// What a protocol's nodes offer beyond requests, and its disks.
struct Offers {
    bool reads = false;    // they can be asked for the state without a log entry
    bool repairs = false;  // they live with damaged disks
    bool clocks = false;   // they refuse entries from the future
    bool liars = false;    // as many lie as may fail: a cluster gets its work done only while all others run
};

// Storms, in which everything goes wrong, and calm between them, in which a cluster gets its work done. `options` has
// the protocol's own already.
Plan draw_plan(const SimOptions& options, std::int64_t seconds, base::Prng& random, Offers offers);
// How far a clock may run off, in thousandths, for leases to hold.
std::uint64_t max_skew(const SimOptions& options) noexcept;

// As lines of text, one action each, and back. Throws base::ConfigError that names the line.
std::string to_text(const Plan& plan, std::string_view protocol);
Plan parse_plan(std::string_view text, std::string_view protocol);

}  // namespace fastmas::consensus
