#include "consensus/simulation/plan.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/errors.hpp"

namespace fastmas::consensus {
namespace {

using Kind = Action::Kind;

// A line of a script: the verb, then which of node, other, a, b, c follow, in this order.
struct Form {
    Kind kind;
    std::string_view verb;
    std::string_view parts;
};
constexpr std::array kForms = {
    Form{Kind::submit, "submit", "nab"},    Form{Kind::crash, "crash", "n"},
    Form{Kind::restart, "restart", "n"},    Form{Kind::partition, "partition", "a"},
    Form{Kind::cut, "cut", "no"},           Form{Kind::heal, "heal", ""},
    Form{Kind::clog, "clog", "noa"},        Form{Kind::network, "network", "abc"},
    Form{Kind::crashes, "crashes", "a"},    Form{Kind::pause, "pause", "na"},
    Form{Kind::skew, "skew", "na"},         Form{Kind::disturb, "disturb", "a"},
    Form{Kind::read, "read", "na"},         Form{Kind::isolate, "isolate", "nab"},
    Form{Kind::transfer, "transfer", "no"}, Form{Kind::hang, "hang", "na"},
    Form{Kind::failsync, "failsync", "n"},  Form{Kind::damage, "damage", "nab"},
    Form{Kind::jump, "jump", "nab"},
};

const Form& form_of(Kind kind) {
    return *std::find_if(kForms.begin(), kForms.end(), [kind](const Form& form) { return form.kind == kind; });
}

// The options of a script by name; all are integers.
template <class Options, class Visit>
void each_option(Options& options, Visit visit) {
    visit("nodes", options.nodes);
    visit("seed", options.seed);
    visit("encode", options.network.encode);
    visit("delay_low_ns", options.network.delay_low_ns);
    visit("delay_high_ns", options.network.delay_high_ns);
    visit("tick_ns", options.tick_ns);
    visit("election_ticks", options.election_ticks);
    visit("heartbeat_ticks", options.heartbeat_ticks);
    visit("pre_vote", options.pre_vote);
    visit("check_quorum", options.check_quorum);
    visit("max_append_entries", options.max_append_entries);
    visit("max_snapshot_part_bytes", options.max_snapshot_part_bytes);
    visit("accept_quorum", options.accept_quorum);
    visit("snapshot_every", options.snapshot_every);
    visit("timeout_ns", options.timeout_ns);
    visit("window", options.window);
    visit("spare", options.spare);
    visit("witnesses", options.witnesses);
    visit("disk_delay_ns", options.disk_delay_ns);
    visit("lease_ns", options.lease_ns);
    visit("priorities", options.priorities);
    visit("check_invariants", options.check_invariants);
}

std::string name_of(NodeId node) {
    return node == kLeader ? "leader" : node == kAll ? "all" : std::to_string(node);
}

// Words of one line, taken from the front.
class Words {
  public:
    Words(std::string_view line, std::size_t number) : line_(line), number_(number) {}
    std::string_view next() {
        while (!line_.empty() && line_.front() == ' ') line_.remove_prefix(1);
        const std::size_t end = std::min(line_.find(' '), line_.size());
        const std::string_view word = line_.substr(0, end);
        line_.remove_prefix(end);
        return word;
    }
    template <class T>
    T integer() {
        const std::string_view word = next();
        T value{};
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
        if (error != std::errc() || end != word.data() + word.size()) fail("a whole number", word);
        return value;
    }
    NodeId node() {
        std::string_view word = next();
        if (word == "leader") return kLeader;
        if (word == "all") return kAll;
        NodeId value{};
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
        if (error != std::errc() || end != word.data() + word.size() || value == 0 || value > kMaxNodes)
            fail("a node's number, 'leader' or 'all'", word);
        return value;
    }
    [[noreturn]] void fail(std::string_view wanted, std::string_view got) const {
        throw base::ConfigError("line " + std::to_string(number_) + " of the script: expected " + std::string(wanted) +
                                ", got '" + std::string(got) + "'; see docs/simulator.md for what a script has");
    }

  private:
    std::string_view line_;
    std::size_t number_;
};

void in_range(const char* what, std::uint64_t value, std::uint64_t low, std::uint64_t high) {
    if (value < low || value > high)
        throw base::ConfigError(
            "a script's " + std::string(what) + " is " + std::to_string(low) + " to " + std::to_string(high) +
            ", got " + (value > INT64_MAX ? std::to_string(static_cast<std::int64_t>(value)) : std::to_string(value)) +
            "; correct that line");
}

// What would never end, overflow or name nobody. (A negative number is above every bound.)
void check(const Plan& plan) {
    constexpr std::uint64_t kMs = 1'000'000'000;  // 11 days
    const SimOptions& options = plan.options;
    in_range("nodes", options.nodes, 1, kMaxNodes);
    in_range("seconds", static_cast<std::uint64_t>(plan.seconds), 0, kMs / 1000);
    in_range("tick_ns", static_cast<std::uint64_t>(options.tick_ns), 1'000, kMs * 1000);
    in_range("delay_high_ns", static_cast<std::uint64_t>(options.network.delay_high_ns), 0, kMs * 1000);
    in_range("delay_low_ns", static_cast<std::uint64_t>(options.network.delay_low_ns), 0,
             static_cast<std::uint64_t>(options.network.delay_high_ns));
    in_range("timeout_ns", static_cast<std::uint64_t>(options.timeout_ns), 1, kMs * 1'000'000);
    in_range("lease_ns", static_cast<std::uint64_t>(options.lease_ns), 0, kMs * 1000);
    in_range("disk_delay_ns", static_cast<std::uint64_t>(options.disk_delay_ns), 0, kMs * 1000);
    in_range("window", options.window, 0, std::size_t{1} << 20);
    in_range("spare", options.spare, 0, options.nodes - 1);
    for (const Action& action : plan.actions) {
        in_range("time of an action", static_cast<std::uint64_t>(action.at_ms), 0, kMs);
        for (const NodeId node : {action.node, action.other})
            if (node != kAll && node > options.nodes)
                throw base::ConfigError("a script with " + std::to_string(options.nodes) + " nodes names node " +
                                        std::to_string(node) + "; give it more nodes");
        const std::string_view verb = form_of(action.kind).verb;
        const bool links = action.kind == Kind::cut || action.kind == Kind::clog;
        if ((action.node == kAll && action.kind != Kind::restart && action.kind != Kind::read) ||
            action.other == kAll || (links && (action.node == kLeader || action.other == kLeader)))
            throw base::ConfigError("'" + std::string(verb) + "' takes a node by its number, got '" +
                                    (action.node == kAll || action.other == kAll ? "all" : "leader") +
                                    "'; write a line for each node it is meant for");
        if (action.kind == Kind::submit) in_range("number of requests", action.b, 0, 100'000);
        if (action.kind == Kind::skew) {
            const std::uint64_t off = options.lease_ns != 0 ? max_skew(options) : 999;
            in_range("speed of a clock", action.a, 1000 - off, options.lease_ns != 0 ? 1000 + off : 1'000'000);
        }
        if (action.kind == Kind::isolate) in_range("kind of isolation", action.a, 0, kMs);
        if (action.kind == Kind::read) in_range("lease", action.a, 0, 1);
        if (action.kind == Kind::damage) {
            in_range("place of a damage", action.a, 0, 1'000);
            in_range("kind of damage", action.b, 0, 3);
        }
        if (action.kind == Kind::jump) {
            in_range("jump of a clock", action.a, 0, kMs);
            in_range("direction of a jump", action.b, 0, 1);
        }
        if (action.kind == Kind::pause || action.kind == Kind::clog || action.kind == Kind::hang)
            in_range("wait", action.a, 0, kMs);
        if (action.kind == Kind::crashes) in_range("chance in a million", action.a, 0, 1'000'000);
        if (action.kind == Kind::network)
            for (const std::uint64_t chance : {action.a, action.b, action.c})
                in_range("chance in a million", chance, 0, 1'000'000);
    }
}

// How long a node that stopped in calm weather stays down where a cluster can do nothing without it.
constexpr std::int64_t kSupervisedMs = 500;

}  // namespace

std::uint64_t max_skew(const SimOptions& options) noexcept {
    return options.lease_ns != 0 ? 100 : 500;
}

Plan draw_plan(const SimOptions& options, std::int64_t seconds, base::Prng& random, Offers offers) {
    Plan plan{options, seconds, {}};
    const std::size_t nodes = options.nodes;
    const auto any_node = [&] { return static_cast<NodeId>(1 + random.below(nodes)); };
    const auto leader_or_any = [&](std::uint32_t ppm) { return random.chance_ppm(ppm) ? kLeader : any_node(); };
    std::int64_t at_ms = 0, weather_ends_ms = 0, restarted_ms = 0;
    bool is_storm = false;
    const auto act = [&](Kind kind, NodeId node = 0, NodeId other = 0, std::uint64_t a = 0, std::uint64_t b = 0,
                         std::uint64_t c = 0) {
        plan.actions.push_back({at_ms, kind, node, other, a, b, c});
    };
    const auto read = [&](std::uint32_t all_ppm) {
        act(Kind::read, random.chance_ppm(all_ppm) ? kAll : leader_or_any(500'000), 0,
            options.lease_ns != 0 && random.chance_ppm(600'000));
    };
    // What reads and leases are there for: a leader that loses touch, others that go on, and clients that write to
    // those and read from it every few milliseconds.
    const auto siege = [&] {
        const auto traffic = [&](std::int64_t duration_ms, bool reads = true, bool writes = true) {
            for (const std::int64_t end_ms = at_ms + duration_ms; at_ms < end_ms;) {
                at_ms += random.between(1, options.lease_ns != 0 ? 5 : 12);
                if (writes && random.chance_ppm(600'000)) act(Kind::submit, kLeader, 0, 10 + random.below(3), 1);
                if (reads) read(900'000);
            }
        };
        if (random.chance_ppm(500'000)) {
            // a leader in full possession of its powers
            act(Kind::heal);
            act(Kind::network);
            act(Kind::crashes);
            act(Kind::restart, kAll);
            traffic(random.between(200, 400));
        }
        if (options.lease_ns != 0)
            for (NodeId node = 0; node <= nodes; ++node) {
                const bool is_last = node == nodes;  // the leader's clock is the slowest, or any is
                const NodeId whose = is_last ? kLeader : node + 1;
                const bool is_slow = is_last ? random.chance_ppm(700'000) : random.chance_ppm(200'000);
                act(Kind::skew, whose, 0, is_slow ? 1'000 - max_skew(options) : 1'000 + max_skew(options));
            }
        const std::uint64_t some = random.next() & ((std::uint64_t{2} << nodes) - 2);
        switch (random.below(5)) {
            case 0:
                act(Kind::isolate, kLeader, 0, random.chance_ppm(750'000) ? random.below(3) : 300);
                break;
            case 1:
                // told to stand, the other one needs nobody's patience
                act(Kind::transfer, kLeader, any_node());
                act(Kind::isolate, kLeader, 0, random.chance_ppm(500'000) ? 1 : 300);
                break;
            case 2:
                act(Kind::hang, kLeader, 0, 50 + random.below(400));
                traffic(random.between(1, 40));
                act(Kind::isolate, kLeader);
                break;
            case 3: {
                // what they said before they ceased to hear of it reaches it late, and what they say from then on not
                const std::int64_t late_ms = 90 + random.between(0, random.chance_ppm(700'000) ? 60 : 400),
                                   heard_ms = random.between(1, 30);
                act(Kind::isolate, kLeader, 0, static_cast<std::uint64_t>(late_ms));
                traffic(heard_ms);
                act(Kind::isolate, kLeader, 0, 2);
                traffic(late_ms - heard_ms + 1, random.chance_ppm(300'000));
                act(Kind::isolate, kLeader, 0, 0);
                break;
            }
            default:
                // those that hear it no more stand, with all that there is, and whoever still did comes back from a
                // crash
                act(Kind::isolate, kLeader, 0, 0, some);
                traffic(random.between(100, 300), true, random.chance_ppm(300'000));
                if (random.chance_ppm(700'000)) act(Kind::isolate, kLeader);
                act(Kind::crash, any_node());
                act(Kind::restart, kAll);
        }
        traffic(random.between(100, 400));
        act(Kind::heal);
    };
    while (at_ms < seconds * 1000) {
        at_ms += random.between(1, 60);
        if (offers.reads && nodes > 1 && random.chance_ppm(12'000)) siege();
        if (at_ms >= weather_ends_ms) {
            is_storm = !is_storm;
            weather_ends_ms = at_ms + random.between(500, is_storm ? 6'000 : 3'000);
            if (!is_storm) {
                act(Kind::heal);
                act(Kind::network);
                act(Kind::crashes);
                act(Kind::restart, kAll);
                for (NodeId node = 1; node <= nodes; ++node) act(Kind::skew, node, 0, 1'000);
            }
        }
        if (offers.liars && !is_storm && at_ms >= restarted_ms + kSupervisedMs) {
            act(Kind::restart, kAll);
            restarted_ms = at_ms;
        }
        if (random.chance_ppm(700'000))
            act(Kind::submit, leader_or_any(700'000), 0, 10 + random.below(3), 1 + random.below(4));
        if (offers.reads && random.chance_ppm(500'000)) read(700'000);
        if (!random.chance_ppm(is_storm ? 250'000 : 20'000)) continue;
        const NodeId node = any_node(), other = any_node();
        switch (random.below(17U + offers.repairs + offers.clocks)) {
            case 0:
            case 1:
                act(Kind::crash, leader_or_any(400'000));
                break;
            case 2:
            case 3:
                act(Kind::restart, kAll);
                break;
            case 4:
                act(Kind::partition, 0, 0, random.next() & ((std::uint64_t{2} << nodes) - 2));
                break;
            case 5:
                if (node != other) act(Kind::cut, node, other);
                break;
            case 6:
                act(Kind::heal);
                break;
            case 7:
                act(Kind::network, 0, 0, random.below(300'000), random.below(200'000), random.below(500'000));
                break;
            case 8:
                act(Kind::crashes, 0, 0, random.chance_ppm(500'000) ? 0 : 20'000);
                break;
            case 9:
                if (node != other) act(Kind::clog, node, other, 50 + random.below(1'000));
                break;
            case 10:
                act(Kind::pause, leader_or_any(500'000), 0, 20 + random.below(800));
                break;
            case 12:
                act(Kind::hang, leader_or_any(600'000), 0, 20 + random.below(600));
                break;
            case 14:
                act(Kind::failsync, leader_or_any(500'000));
                break;
            case 13:
                act(Kind::isolate, leader_or_any(600'000), 0, random.below(3));
                break;
            case 17:
                act(Kind::damage, leader_or_any(300'000), 0, random.below(1'001), random.below(4));
                break;
            case 18:
                act(Kind::jump, leader_or_any(600'000), 0, 2'000U << random.below(11), random.below(3) == 0);
                break;
            case 11:
                act(Kind::skew, node, 0, 1'000 - max_skew(options) + random.below(2 * max_skew(options) + 1));
                break;
            default:
                act(Kind::disturb, 0, 0, random.next());
        }
    }
    return plan;
}

std::string to_text(const Plan& plan, std::string_view protocol) {
    std::string text = "protocol " + std::string(protocol) + "\nseconds " + std::to_string(plan.seconds) + "\n";
    each_option(plan.options,
                [&](const char* name, auto value) { text += std::string(name) + " " + std::to_string(value) + "\n"; });
    for (const Action& action : plan.actions) {
        const Form& form = form_of(action.kind);
        text += "at " + std::to_string(action.at_ms) + " " + std::string(form.verb);
        for (const char part : form.parts) {
            const std::uint64_t number = part == 'a' ? action.a : part == 'b' ? action.b : action.c;
            text += ' ';
            text += part == 'n' ? name_of(action.node) : part == 'o' ? name_of(action.other) : std::to_string(number);
        }
        text += "\n";
    }
    return text;
}

Plan parse_plan(std::string_view text, std::string_view protocol) {
    Plan plan;
    std::size_t number = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, std::min(text.find('#'), end));
        text.remove_prefix(std::min(end + 1, text.size()));
        Words words(line, ++number);
        const std::string_view first = words.next();
        if (first.empty()) continue;
        if (first == "protocol") {
            if (const auto name = words.next(); name != protocol) words.fail(std::string(protocol), name);
        } else if (first == "seconds") {
            plan.seconds = words.integer<std::int64_t>();
        } else if (first == "at") {
            Action action;
            action.at_ms = words.integer<std::int64_t>();
            if (!plan.actions.empty() && action.at_ms < plan.actions.back().at_ms)
                words.fail("a time not before the line above", std::to_string(action.at_ms));
            const std::string_view verb = words.next();
            const auto form = std::find_if(kForms.begin(), kForms.end(), [&](const Form& f) { return f.verb == verb; });
            if (form == kForms.end()) words.fail("what is to happen", verb);
            action.kind = form->kind;
            for (const char part : form->parts) {
                if (part == 'n' || part == 'o')
                    (part == 'n' ? action.node : action.other) = words.node();
                else
                    (part == 'a' ? action.a : part == 'b' ? action.b : action.c) = words.integer<std::uint64_t>();
            }
            plan.actions.push_back(action);
        } else {
            bool is_known = false;
            each_option(plan.options, [&](std::string_view name, auto& value) {
                if (name != first) return;
                is_known = true;
                using Value = std::remove_reference_t<decltype(value)>;
                if constexpr (std::is_same_v<Value, bool>)
                    value = words.integer<int>() != 0;
                else
                    value = words.integer<Value>();
            });
            if (!is_known) words.fail("an option or 'at'", first);
        }
        if (const auto rest = words.next(); !rest.empty()) words.fail("the end of the line", rest);
    }
    check(plan);
    return plan;
}

}  // namespace fastmas::consensus
