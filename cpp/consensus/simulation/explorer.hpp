// Every state that the real code of a small cluster can reach, breadth first.
//
// Nothing is simulated twice: one step of one node (its state, an input) is run once by the real code and remembered,
// and a state of the cluster is a handful of numbers that name node states and messages in flight. Time is not part of
// a state: a time-out may fire whenever the node would wait for one. Neither is loss: a message need not ever be
// delivered, and one that is in flight may be delivered at any later moment, so every order, every delay and every loss
// is covered.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/errors.hpp"
#include "consensus/simulation/exploration.hpp"
#include "consensus/simulation/hash_set.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus {

// Model (see raft/model.hpp) has
//   Participant, copyable: a node and its disk; Message;
//   Participant start(NodeId); std::vector<Renaming> symmetry();
//   bool can_time_out / can_heartbeat / can_propose(const Participant&);
//   void time_out / heartbeat(Participant&, StepOutput&); void propose(Participant&, number, StepOutput&);
//   void crash(Participant&, StepOutput&): loses what is not on disk and starts again;
//   void deliver(Participant&, const Message&, StepOutput&);
//   std::uint64_t digest(const Participant&, const Renaming&), the same of Message: equal for equal logical states;
//   void check(const std::vector<const Participant*>&): throws base::InvariantError;
//   bool is_dead(const Participant&, const Message&): neither now nor later will the node act on it or answer. Now is
//     tried out by the real code: a model that believes in a check which the code lacks would hide what comes of it;
//   NodeId sender(const Message&), receiver(const Message&); std::string describe(const Message&).
// Not thread-safe. Memory: about 60 bytes a state.
template <class Model>
class Explorer {
  public:
    using Participant = typename Model::Participant;
    using Message = typename Model::Message;
    using Progress = std::function<void(const Exploration&, std::size_t frontier)>;

    Explorer(Model& model, std::size_t nodes, const Bounds& bounds)
        : model_(model), nodes_(nodes), bounds_(bounds), symmetry_(model.symmetry()) {
        // a state is packed with four bits for each
        for (const std::uint8_t bound :
             {bounds.timeouts, bounds.heartbeats, bounds.proposals, bounds.crashes, bounds.duplicates})
            if (bound > 15)
                throw base::ConfigError("an event may happen 0 to 15 times, got " + std::to_string(bound) +
                                        "; explore a smaller world");
    }

    // Explores until nothing is left, a rule is broken or max_states is reached; `progress` hears of every level.
    Exploration run(const Progress& progress = {});

  private:
    static constexpr std::uint32_t kNone = UINT32_MAX;
    enum class Event : std::uint8_t { time_out, heartbeat, propose, crash, deliver, deliver_again };

    // Named objects: each distinct one is kept once, with a hash for each renaming.
    template <class T>
    struct Names {
        std::unordered_map<std::uint64_t, std::uint32_t> by_digest;
        std::vector<T> items;
        std::vector<std::uint64_t> digests;  // symmetry.size() an item
    };
    struct Outcome {
        std::uint32_t node = 0;        // the node state after it
        std::uint32_t sent_first = 0;  // in sent_
        std::uint32_t sent_count = 0;
        std::uint32_t facts = kNone;  // in facts_
        std::uint32_t violation = kNone;
    };
    // A state of the cluster as words: nodes_ node states, history, budget, count, messages in ascending order.
    struct State {
        std::vector<std::uint32_t> nodes;
        std::vector<std::uint32_t> messages;
        std::uint32_t history = 0;
        Bounds left;
    };
    struct Came {
        std::uint32_t parent;
        std::uint32_t message;  // or the node of another event
        Event event;
    };

    template <class T>
    std::uint32_t name(Names<T>& names, const T& item);
    std::uint32_t name_history(const std::vector<Fact>& facts);
    const Outcome& step(std::uint32_t node_state, Event event, std::uint32_t argument);
    void expand(const State& state, std::uint32_t number);
    void follow(State& next, const Outcome& outcome, const Came& came, std::size_t changed);
    void bury(State& state, std::size_t node);
    void lose(State& next, const Came& came);
    void visit(const State& next, const Came& came);
    bool is_dead(std::uint32_t node_state, std::uint32_t message);
    bool acts_on(std::uint32_t node_state, std::uint32_t message);
    std::uint64_t hash(const State& state) const;
    static void pack(const State& state, std::vector<std::uint32_t>& words);
    std::size_t unpack(const std::vector<std::uint32_t>& words, std::size_t at, State& state) const;
    void report(const Came& came, const std::string& text);
    std::string describe(const Came& came) const;

    Model& model_;
    std::size_t nodes_;
    Bounds bounds_;
    std::vector<Renaming> symmetry_;
    Names<Participant> participants_;
    Names<Message> messages_;
    std::map<std::vector<std::uint64_t>, std::uint32_t> history_names_;
    std::vector<std::vector<Fact>> histories_;
    std::vector<std::uint64_t> history_digests_;
    std::unordered_map<std::uint64_t, Outcome> outcomes_;
    std::unordered_map<std::uint64_t, std::uint32_t> history_steps_;  // (history, facts) -> history
    std::vector<std::uint32_t> receivers_, links_;  // of each message: index of the node; from and to as one number
    std::unordered_map<std::uint64_t, bool> dead_;  // (node state, message)
    std::vector<std::uint32_t> sent_;
    std::vector<std::vector<Fact>> facts_;
    std::vector<std::string> violations_;
    std::string mistaken_;  // a message that was called dead and is not
    HashSet visited_;
    std::vector<Came> came_;
    std::vector<std::uint32_t> next_level_;
    Exploration result_;
    StepOutput<Message> output_;
};

template <class Model>
template <class T>
std::uint32_t Explorer<Model>::name(Names<T>& names, const T& item) {
    const std::uint64_t digest = model_.digest(item, symmetry_.front());
    const auto [found, is_new] = names.by_digest.try_emplace(digest, static_cast<std::uint32_t>(names.items.size()));
    if (is_new) {
        names.items.push_back(item);
        for (const Renaming& renaming : symmetry_) names.digests.push_back(model_.digest(item, renaming));
    }
    return found->second;
}

template <class Model>
std::uint32_t Explorer<Model>::name_history(const std::vector<Fact>& facts) {
    std::vector<std::uint64_t> words;
    for (const Fact& fact : facts) {
        words.push_back(reinterpret_cast<std::uintptr_t>(fact.rule));  // a rule is one string in the program
        words.push_back(fact.key);
        words.push_back(fact.value);
    }
    const auto [found, is_new] =
        history_names_.try_emplace(std::move(words), static_cast<std::uint32_t>(histories_.size()));
    if (is_new) {
        histories_.push_back(facts);
        for (const Renaming& renaming : symmetry_) {
            std::uint64_t sum = 0;
            for (const Fact& fact : facts) {
                const std::uint64_t value = fact.value_is_node ? renaming[fact.value - 1] : fact.value;
                std::uint64_t rule = 0;
                for (const char* c = fact.rule; *c != 0; ++c) rule = rule * 31 + static_cast<unsigned char>(*c);
                sum += mix64(mix64(mix64(rule) ^ fact.key) + value);
            }
            history_digests_.push_back(sum);
        }
    }
    return found->second;
}

template <class Model>
auto Explorer<Model>::step(std::uint32_t node_state, Event event, std::uint32_t argument) -> const Outcome& {
    const std::uint64_t key = std::uint64_t{node_state} << 32 | std::uint64_t{argument} << 3 |
                              static_cast<std::uint64_t>(event == Event::deliver_again ? Event::deliver : event);
    if (const auto found = outcomes_.find(key); found != outcomes_.end()) return found->second;
    ++result_.steps;
    Participant participant = participants_.items[node_state];
    output_.clear();
    Outcome outcome;
    try {
        switch (event) {
            case Event::time_out:
                model_.time_out(participant, output_);
                break;
            case Event::heartbeat:
                model_.heartbeat(participant, output_);
                break;
            case Event::propose:
                model_.propose(participant, argument, output_);
                break;
            case Event::crash:
                model_.crash(participant, output_);
                break;
            case Event::deliver:
            case Event::deliver_again:
                model_.deliver(participant, messages_.items[argument], output_);
                break;
        }
    } catch (const base::InvariantError& error) {
        outcome.violation = static_cast<std::uint32_t>(violations_.size());
        violations_.emplace_back(error.what());
    }
    outcome.node = outcome.violation == kNone ? name(participants_, participant) : node_state;
    outcome.sent_first = static_cast<std::uint32_t>(sent_.size());
    for (const Message& message : output_.sent) {
        sent_.push_back(name(messages_, message));
        if (messages_.items.size() > receivers_.size()) {
            receivers_.push_back(static_cast<std::uint32_t>(model_.receiver(message) - 1));
            links_.push_back(static_cast<std::uint32_t>((model_.sender(message) - 1) * nodes_) + receivers_.back());
        }
    }
    outcome.sent_count = static_cast<std::uint32_t>(sent_.size()) - outcome.sent_first;
    if (!output_.facts.empty()) {
        outcome.facts = static_cast<std::uint32_t>(facts_.size());
        facts_.push_back(output_.facts);
    }
    return outcomes_.emplace(key, outcome).first->second;
}

template <class Model>
std::uint64_t Explorer<Model>::hash(const State& state) const {
    const std::uint64_t left = std::uint64_t{state.left.timeouts} | std::uint64_t{state.left.heartbeats} << 8 |
                               std::uint64_t{state.left.proposals} << 16 | std::uint64_t{state.left.crashes} << 24 |
                               std::uint64_t{state.left.duplicates} << 32;
    const std::size_t width = symmetry_.size();
    std::uint64_t best = UINT64_MAX;
    for (std::size_t r = 0; r < width; ++r) {
        // sums, so that neither the order of the nodes nor that of the messages matters
        std::uint64_t sum = history_digests_[state.history * width + r];
        for (const std::uint32_t node : state.nodes) sum += participants_.digests[node * width + r];
        for (const std::uint32_t message : state.messages) sum += messages_.digests[message * width + r];
        best = std::min(best, mix64(sum ^ mix64(left)));
    }
    return best;
}

template <class Model>
void Explorer<Model>::pack(const State& state, std::vector<std::uint32_t>& words) {
    words.insert(words.end(), state.nodes.begin(), state.nodes.end());
    words.push_back(state.history);
    words.push_back(std::uint32_t{state.left.timeouts} | std::uint32_t{state.left.heartbeats} << 4 |
                    std::uint32_t{state.left.proposals} << 8 | std::uint32_t{state.left.crashes} << 12 |
                    std::uint32_t{state.left.duplicates} << 16);
    words.push_back(static_cast<std::uint32_t>(state.messages.size()));
    words.insert(words.end(), state.messages.begin(), state.messages.end());
}

template <class Model>
std::size_t Explorer<Model>::unpack(const std::vector<std::uint32_t>& words, std::size_t at, State& state) const {
    const auto from = words.begin() + static_cast<std::ptrdiff_t>(at);
    const auto after_nodes = from + static_cast<std::ptrdiff_t>(nodes_);
    state.nodes.assign(from, after_nodes);
    state.history = after_nodes[0];
    const std::uint32_t left = after_nodes[1];
    const auto part = [left](int shift) { return static_cast<std::uint8_t>(left >> shift & 15U); };
    state.left = {
        .timeouts = part(0), .heartbeats = part(4), .proposals = part(8), .crashes = part(12), .duplicates = part(16)};
    const auto first = after_nodes + 3;
    state.messages.assign(first, first + static_cast<std::ptrdiff_t>(after_nodes[2]));
    return at + nodes_ + 3 + after_nodes[2];
}

template <class Model>
bool Explorer<Model>::is_dead(std::uint32_t node_state, std::uint32_t message) {
    const std::uint64_t key = std::uint64_t{node_state} << 32 | message;
    if (const auto found = dead_.find(key); found != dead_.end()) return found->second;
    const bool is_dead = model_.is_dead(participants_.items[node_state], messages_.items[message]);
    dead_.emplace(key, is_dead);
    if (is_dead && mistaken_.empty() && acts_on(node_state, message))
        mistaken_ =
            "what the model takes for dead does nothing: broken by " + model_.describe(messages_.items[message]);
    return is_dead;
}

template <class Model>
bool Explorer<Model>::acts_on(std::uint32_t node_state, std::uint32_t message) {
    Participant participant = participants_.items[node_state];
    output_.clear();
    try {
        model_.deliver(participant, messages_.items[message], output_);
    } catch (const base::InvariantError&) {
        return true;
    }
    return !output_.sent.empty() ||
           model_.digest(participant, symmetry_.front()) != participants_.digests[node_state * symmetry_.size()];
}

// Takes out what the node will never act on: states that differ in nothing else have the same future.
template <class Model>
void Explorer<Model>::bury(State& state, std::size_t node) {
    std::erase_if(state.messages, [&](std::uint32_t message) {
        return receivers_[message] == node && is_dead(state.nodes[node], message);
    });
}

template <class Model>
void Explorer<Model>::follow(State& next, const Outcome& outcome, const Came& came, std::size_t changed) {
    if (outcome.violation != kNone) return report(came, violations_[outcome.violation]);
    next.nodes[changed] = outcome.node;
    for (std::uint32_t i = 0; i < outcome.sent_count; ++i) {
        const std::uint32_t message = sent_[outcome.sent_first + i];
        if (is_dead(next.nodes[receivers_[message]], message)) continue;
        const auto at = std::lower_bound(next.messages.begin(), next.messages.end(), message);
        // the same message twice in flight: as if one had been lost
        if (at == next.messages.end() || *at != message) next.messages.insert(at, message);
    }
    bury(next, changed);
    if (!mistaken_.empty()) return report(came, mistaken_);
    if (outcome.facts != kNone) {
        const auto [found, is_new] =
            history_steps_.try_emplace(std::uint64_t{next.history} << 32 | outcome.facts, std::uint32_t{0});
        if (is_new) {
            std::vector<Fact> facts = histories_[next.history];
            for (const Fact& fact : facts_[outcome.facts]) {
                const auto same_key = [&](const Fact& known) {
                    return std::string_view(known.rule) == fact.rule && known.key == fact.key;
                };
                const auto known = std::find_if(facts.begin(), facts.end(), same_key);
                if (known == facts.end())
                    facts.push_back(fact);
                else if (known->value != fact.value)
                    return report(came, std::string(fact.rule) + ": broken at " + std::to_string(fact.key));
            }
            std::sort(facts.begin(), facts.end(), [](const Fact& a, const Fact& b) {
                return std::pair(std::string_view(a.rule), a.key) < std::pair(std::string_view(b.rule), b.key);
            });
            found->second = name_history(facts);
        }
        next.history = found->second;
    }
    lose(next, came);
}

// Where a link holds more than it may, any one of its messages is lost: each choice is a state.
template <class Model>
void Explorer<Model>::lose(State& next, const Came& came) {
    if (bounds_.per_link != 0) {
        for (const std::uint32_t message : next.messages) {
            const auto shares_link = [&](std::uint32_t other) { return links_[other] == links_[message]; };
            if (std::count_if(next.messages.begin(), next.messages.end(), shares_link) <= bounds_.per_link) continue;
            for (const std::uint32_t victim : next.messages) {
                if (!shares_link(victim)) continue;
                State less = next;
                less.messages.erase(std::lower_bound(less.messages.begin(), less.messages.end(), victim));
                lose(less, came);
            }
            return;
        }
    }
    visit(next, came);
}

template <class Model>
void Explorer<Model>::visit(const State& next, const Came& came) {
    ++result_.transitions;
    if (!visited_.insert(hash(next))) return;
    try {
        std::vector<const Participant*> all;
        for (const std::uint32_t node : next.nodes) all.push_back(&participants_.items[node]);
        model_.check(all);
    } catch (const base::InvariantError& error) {
        return report(came, error.what());
    }
    came_.push_back(came);
    pack(next, next_level_);
}

template <class Model>
void Explorer<Model>::expand(const State& state, std::uint32_t number) {
    State next;
    const auto take = [&](std::size_t node, Event event, std::uint32_t argument, std::uint8_t Bounds::*budget) {
        // what it gives is copied: the table may move when the next step is run
        const Outcome outcome = step(state.nodes[node], event, argument);
        next = state;
        if (budget != nullptr) --(next.left.*budget);
        if (event == Event::deliver)
            next.messages.erase(std::lower_bound(next.messages.begin(), next.messages.end(), argument));
        // A step that changes nothing and says nothing: what comes after it comes from here as well.
        const bool is_idle = outcome.violation == kNone && outcome.node == state.nodes[node] &&
                             outcome.sent_count == 0 && outcome.facts == kNone;
        const bool may_skip = event == Event::deliver || event == Event::deliver_again || event == Event::crash;
        if (is_idle && may_skip) return;
        const bool is_message = event == Event::deliver || event == Event::deliver_again;
        follow(next, outcome, {number, is_message ? argument : static_cast<std::uint32_t>(node), event}, node);
    };
    for (std::size_t node = 0; node < nodes_ && result_.violation.empty(); ++node) {
        // a copy would be costly, a reference would dangle: names may grow in take()
        const auto participant = [&]() -> const Participant& { return participants_.items[state.nodes[node]]; };
        if (state.left.timeouts != 0 && model_.can_time_out(participant()))
            take(node, Event::time_out, 0, &Bounds::timeouts);
        if (state.left.heartbeats != 0 && model_.can_heartbeat(participant()))
            take(node, Event::heartbeat, 0, &Bounds::heartbeats);
        if (state.left.proposals != 0 && model_.can_propose(participant()))
            take(node, Event::propose, state.left.proposals, &Bounds::proposals);
        if (state.left.crashes != 0) take(node, Event::crash, 0, &Bounds::crashes);
    }
    for (const std::uint32_t message : state.messages) {
        if (!result_.violation.empty()) return;
        const std::size_t node = receivers_[message];
        take(node, Event::deliver, message, nullptr);
        if (state.left.duplicates != 0) take(node, Event::deliver_again, message, &Bounds::duplicates);
    }
}

template <class Model>
Exploration Explorer<Model>::run(const Progress& progress) {
    State start;
    for (std::size_t i = 0; i < nodes_; ++i)
        start.nodes.push_back(name(participants_, model_.start(static_cast<NodeId>(i + 1))));
    start.history = name_history({});
    start.left = bounds_;
    visited_.insert(hash(start));
    came_.push_back({kNone, 0, Event::time_out});
    std::vector<std::uint32_t> level;
    pack(start, level);
    std::uint32_t number = 0;
    State state;
    while (!level.empty() && result_.violation.empty() && visited_.size() < bounds_.max_states) {
        next_level_.clear();
        for (std::size_t at = 0; at < level.size() && result_.violation.empty(); ++number) {
            at = unpack(level, at, state);
            expand(state, number);
            if (visited_.size() >= bounds_.max_states) break;
        }
        level.swap(next_level_);
        ++result_.depth;
        result_.states = visited_.size();
        result_.node_states = participants_.items.size();
        result_.messages = messages_.items.size();
        if (progress) progress(result_, came_.size() - number);
    }
    result_.is_complete = level.empty() && result_.violation.empty();
    return result_;
}

template <class Model>
std::string Explorer<Model>::describe(const Came& came) const {
    const std::string node = "node " + std::to_string(came.message + 1);
    switch (came.event) {
        case Event::time_out:
            return node + " times out";
        case Event::heartbeat:
            return node + " sends heartbeats";
        case Event::propose:
            return node + " is given a command";
        case Event::crash:
            return node + " crashes and restarts";
        case Event::deliver:
            return "arrives: " + model_.describe(messages_.items[came.message]);
        case Event::deliver_again:
            return "arrives, and will again: " + model_.describe(messages_.items[came.message]);
    }
    return "";
}

template <class Model>
void Explorer<Model>::report(const Came& came, const std::string& text) {
    result_.violation = text;
    result_.path.push_back(describe(came));
    for (std::uint32_t at = came.parent; came_[at].parent != kNone; at = came_[at].parent)
        result_.path.push_back(describe(came_[at]));
    std::reverse(result_.path.begin(), result_.path.end());
}

}  // namespace fastmas::consensus
