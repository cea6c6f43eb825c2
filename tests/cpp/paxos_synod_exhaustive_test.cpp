// Every history of a small synod: the real Acceptor, Proposer and Learner, all orders, losses and doublings.
//
// Messages are never taken away: one that was sent may be delivered at any later moment, any number of times, or never.
// A state is what acceptors and proposers hold and what was ever sent. Proposers crash between ballots by beginning a
// new one whenever they like, up to a bound. The same search, with proposers that do not adopt (they ask for their own
// value, or for the commonest), finds two decisions: that is what adoption is for, and that the search can fail.
#include <algorithm>
#include <cstdio>
#include <deque>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "check.hpp"
#include "consensus/paxos/synod.hpp"

using namespace fastmas::consensus;
using namespace fastmas::consensus::paxos;

namespace {

enum class Rule { highest_ballot, own_wish };

struct World {
    std::size_t acceptors;
    std::size_t proposers;
    std::uint64_t ballots;  // begun by all of them together
    Quorums quorums;
    Rule rule;
    // Proposer k begins ballot k.k at the start, and no other. Nothing is lost by it but which ballot is whose, since a
    // prepare may be delivered as late as one likes; and there are far fewer states.
    bool at_start = false;
};

// A letter for a value, so that states are short: 'A' is proposer 1's wish.
char letter(const Payload& value) {
    return value.empty() ? '-' : value.text()[0];
}
Payload wish(std::size_t proposer) {
    return Payload(std::string_view(std::string(1, static_cast<char>('A' + proposer))));
}

struct Sent {
    char type;  // p(repare) P(romise) a(ccept) A(ccepted)
    NodeId from;
    Ballot ballot, other;
    char value;
    friend auto operator<=>(const Sent&, const Sent&) = default;
};

struct State {
    std::vector<Acceptor> acceptors;
    std::vector<Proposer> proposers;
    std::set<Sent> sent;
};

// The state with acceptor i called renamed[i].
std::string key(const State& state, const std::vector<std::size_t>& renamed) {
    std::vector<std::string> acceptors(state.acceptors.size()), sent;
    const auto text_of = [](const Ballot& ballot) { return static_cast<char>('0' + ballot.number * 8 + ballot.node); };
    for (std::size_t a = 0; a < acceptors.size(); ++a) {
        const AcceptorState& of = state.acceptors[a].state();
        acceptors[renamed[a]] = {text_of(of.promised), text_of(of.accepted), letter(of.value)};
    }
    std::string text;
    for (const std::string& acceptor : acceptors) text += acceptor;
    for (const Proposer& proposer : state.proposers) {
        text += {text_of(proposer.tried()), static_cast<char>('0' + static_cast<int>(proposer.phase()))};
        if (proposer.phase() != Proposer::Phase::idle) text += letter(proposer.value());
    }
    for (const Sent& one : state.sent) {
        const bool is_answer = one.type == 'P' || one.type == 'A';
        const std::size_t from = is_answer ? renamed[one.from - 1] + 1 : one.from;
        sent.push_back({one.type, static_cast<char>('0' + from), text_of(one.ballot), text_of(one.other), one.value});
    }
    std::sort(sent.begin(), sent.end());
    for (const std::string& one : sent) text += one;
    return text;
}

// Equal for states that differ only in what the acceptors are called.
std::string key(const State& state) {
    std::vector<std::size_t> renamed(state.acceptors.size());
    std::iota(renamed.begin(), renamed.end(), std::size_t{0});
    std::string least;
    do {
        std::string text = key(state, renamed);
        if (least.empty() || text < least) least = std::move(text);
    } while (std::next_permutation(renamed.begin(), renamed.end()));
    return least;
}

struct Outcome {
    std::uint64_t states = 0;
    std::set<char> decided;  // over all histories
    bool disagreed = false;  // in one history
    std::string how;
};

class Search {
  public:
    explicit Search(World world) : world_(world) {}

    Outcome run() {
        State start;
        start.acceptors.resize(world_.acceptors);
        for (NodeId id = 1; id <= world_.proposers; ++id) {
            start.proposers.emplace_back(id, world_.acceptors, world_.quorums);
            if (!world_.at_start) continue;
            start.proposers.back().heard({id - 1U, id});
            start.sent.insert({'p', id, start.proposers.back().begin(wish(id - 1)), {}, '-'});
        }
        visit(start, 0, "");
        while (!queue_.empty() && !outcome_.disagreed) {
            const auto [state, number] = std::move(queue_.front());
            queue_.pop_front();
            expand(state, number);
        }
        return outcome_;
    }

  private:
    void visit(const State& state, std::size_t parent, std::string event) {
        if (!seen_.insert(key(state)).second) return;
        ++outcome_.states;
        came_.emplace_back(parent, std::move(event));
        std::map<Ballot, std::pair<std::size_t, char>> votes;
        for (const Sent& sent : state.sent)
            if (sent.type == 'A') {
                auto& [count, value] = votes[sent.ballot];
                ++count;
                value = sent.value;
            }
        std::set<char> chosen;
        for (const auto& [ballot, vote] : votes)
            if (vote.first >= checked(world_.quorums, world_.acceptors).accept) chosen.insert(vote.second);
        outcome_.decided.insert(chosen.begin(), chosen.end());
        if (chosen.size() > 1 && !outcome_.disagreed) {
            outcome_.disagreed = true;
            for (std::size_t at = came_.size() - 1; at != 0; at = came_[at].first)
                outcome_.how = "\n  " + came_[at].second + outcome_.how;
        }
        queue_.emplace_back(state, came_.size() - 1);
    }

    void expand(const State& state, std::size_t number) {
        for (std::size_t p = 0; p < world_.proposers; ++p) {
            if (world_.at_start || began(state) >= world_.ballots) break;
            State next = state;
            const Ballot ballot = next.proposers[p].begin(wish(p));
            next.sent.insert({'p', static_cast<NodeId>(p + 1), ballot, {}, '-'});
            visit(next, number, "proposer " + std::to_string(p + 1) + " begins ballot " + to_string(ballot));
        }
        for (const Sent& sent : state.sent) {
            if (sent.type == 'p' || sent.type == 'a')
                for (std::size_t a = 0; a < world_.acceptors; ++a) ask(state, sent, a, number);
            else
                answer(state, sent, number);
        }
    }

    static std::uint64_t began(const State& state) {
        std::uint64_t count = 0;
        for (const Sent& sent : state.sent) count += sent.type == 'p';
        return count;
    }

    void ask(const State& state, const Sent& sent, std::size_t a, std::size_t number) {
        State next = state;
        Acceptor& acceptor = next.acceptors[a];
        const auto from = static_cast<NodeId>(a + 1);
        if (sent.type == 'p') {
            if (!acceptor.prepare(sent.ballot)) return;
            const Proposer& proposer = next.proposers[sent.ballot.node - 1];
            if (proposer.ballot() == sent.ballot && proposer.phase() == Proposer::Phase::preparing)
                next.sent.insert({'P', from, sent.ballot, acceptor.state().accepted, letter(acceptor.state().value)});
        } else {
            if (!acceptor.accept(sent.ballot, Payload(std::string_view(&sent.value, 1)))) return;
            next.sent.insert({'A', from, sent.ballot, {}, sent.value});
        }
        visit(next, number,
              "acceptor " + std::to_string(from) + (sent.type == 'p' ? " promises " : " accepts ") +
                  (sent.type == 'p' ? "" : std::string(1, sent.value) + " in ") + to_string(sent.ballot));
    }

    void answer(const State& state, const Sent& sent, std::size_t number) {
        if (sent.type != 'P') return;  // acceptances are counted by visit()
        const std::size_t p = sent.ballot.node - 1;
        State next = state;
        const Payload value = sent.value == '-' ? Payload() : Payload(std::string_view(&sent.value, 1));
        const bool adopt = world_.rule == Rule::highest_ballot;
        // the order of promises means nothing: all that were sent for this ballot may have arrived, or any of them
        std::vector<Sent> others;
        for (const Sent& other : state.sent)
            if (other.type == 'P' && other.ballot == sent.ballot && other.from != sent.from) others.push_back(other);
        if (next.proposers[p].ballot() != sent.ballot) return;
        const std::size_t needed = checked(world_.quorums, world_.acceptors).prepare;
        for (std::uint32_t subset = 0; subset < (1U << others.size()); ++subset) {
            State tried = state;
            bool is_quorum = tried.proposers[p].promised(sent.from, sent.ballot, sent.other, value);
            std::size_t count = 1;
            for (std::size_t k = 0; k < others.size(); ++k) {
                if ((subset >> k & 1U) == 0 || is_quorum) continue;
                const Payload more =
                    others[k].value == '-' ? Payload() : Payload(std::string_view(&others[k].value, 1));
                is_quorum = tried.proposers[p].promised(others[k].from, others[k].ballot, others[k].other, more);
                ++count;
            }
            if (!is_quorum || count != needed) continue;
            const char asked = adopt ? letter(tried.proposers[p].value()) : letter(wish(p));
            tried.sent.insert({'a', static_cast<NodeId>(p + 1), sent.ballot, {}, asked});
            // it listens to no promise of this ballot any more
            std::erase_if(tried.sent, [&](const Sent& one) { return one.type == 'P' && one.ballot == sent.ballot; });
            visit(tried, number,
                  "proposer " + std::to_string(p + 1) + " asks for " + asked + " in " + to_string(sent.ballot));
        }
    }

    World world_;
    Outcome outcome_;
    std::deque<std::pair<State, std::size_t>> queue_;
    std::unordered_set<std::string> seen_;
    std::vector<std::pair<std::size_t, std::string>> came_;  // from which state, by what
};

Outcome explore(const char* name, World world) {
    const Outcome outcome = Search(world).run();
    std::printf("%s: %llu states%s\n", name, static_cast<unsigned long long>(outcome.states), outcome.how.c_str());
    return outcome;
}

}  // namespace

TEST(two_proposers_and_three_acceptors_never_decide_twice) {
    const Outcome outcome = explore("majorities of 3, two proposers, two ballots", {3, 2, 2, {}, Rule::highest_ballot});
    CHECK(!outcome.disagreed);
    CHECK(outcome.decided == (std::set<char>{'A', 'B'}));  // either may win: the search has seen both
}

// With two ballots a value that is not the highest ballot's is never among the promises.
TEST(three_ballots_never_decide_twice) {
    const Outcome outcome = explore("majorities of 3, three ballots", {3, 3, 3, {}, Rule::highest_ballot, true});
    CHECK(!outcome.disagreed);
    CHECK(outcome.decided == (std::set<char>{'A', 'B', 'C'}));
    CHECK(!explore("majorities of 3, four ballots", {3, 4, 4, {}, Rule::highest_ballot, true}).disagreed);
    CHECK(!explore("prepare 3, accept 2 of 4, three ballots", {4, 3, 3, {3, 2}, Rule::highest_ballot, true}).disagreed);
    CHECK(!explore("prepare 2, accept 1 of 2, three ballots", {2, 3, 3, {2, 1}, Rule::highest_ballot, true}).disagreed);
}

TEST(flexible_quorums_never_decide_twice) {
    CHECK(!explore("prepare 3, accept 1 of 3", {3, 2, 2, {3, 1}, Rule::highest_ballot}).disagreed);
    CHECK(!explore("prepare 1, accept 3 of 3", {3, 2, 2, {1, 3}, Rule::highest_ballot}).disagreed);
    CHECK(!explore("prepare 3, accept 2 of 4", {4, 2, 2, {3, 2}, Rule::highest_ballot}).disagreed);
}

TEST(without_adoption_two_values_are_decided) {
    const Outcome outcome = explore("no adoption: each asks for its own value", {3, 2, 2, {}, Rule::own_wish});
    CHECK(outcome.disagreed);
    CHECK(outcome.how.find("asks for A") != std::string::npos && outcome.how.find("asks for B") != std::string::npos);
}

TEST_MAIN
