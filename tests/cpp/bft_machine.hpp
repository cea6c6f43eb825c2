// Algorithm 1 driven by hand: no signatures, no blocks, no time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "consensus/bft/tendermint.hpp"

namespace fastmas::testing {

using namespace fastmas::consensus;
using namespace fastmas::consensus::bft;

inline ValidatorSet set_of(const std::vector<Power>& powers) {
    std::vector<Validator> validators;
    for (const Power power : powers) {
        Validator validator;
        validator.id = static_cast<NodeId>(validators.size() + 1);
        validator.power = power;
        validators.push_back(validator);
    }
    return ValidatorSet(std::move(validators));
}

inline Digest value_of(char name) {
    Digest digest{};
    digest[0] = static_cast<std::byte>(name);
    return digest;
}

// The machine of one validator. With equal powers the proposer of round r is at place r mod n.
struct Machine {
    Tendermint machine;

    explicit Machine(std::size_t place = 3, const std::vector<Power>& powers = {1, 1, 1, 1})
        : machine(std::make_shared<const ValidatorSet>(set_of(powers)), Rotation::Priorities(powers.size(), 0), place) {
    }
    Tendermint* operator->() { return &machine; }

    std::vector<Action> take() {
        machine.run();
        std::vector<Action> actions = machine.actions();
        machine.clear_actions();
        return actions;
    }
    std::vector<Action> start() {
        machine.start();
        return take();
    }
    std::vector<Action> proposal(Round round, char value, Round pol_round = kNoRound, bool valid = true,
                                 bool timely = true) {
        machine.add_proposal({round, pol_round, value_of(value), valid, timely});
        return take();
    }
    // '-' is nil
    VoteSet::Added add(VoteType type, std::size_t place, Round round, char value) {
        Vote vote;
        vote.type = type;
        vote.height = 1;
        vote.round = round;
        vote.value = value == '-' ? kNil : value_of(value);
        vote.validator = static_cast<NodeId>(place + 1);
        return machine.add_vote(place, vote);
    }
    std::vector<Action> votes(VoteType type, std::vector<std::size_t> places, Round round, char value) {
        for (const std::size_t place : places) add(type, place, round, value);
        return take();
    }
    std::vector<Action> prevotes(std::vector<std::size_t> places, Round round, char value) {
        return votes(VoteType::prevote, std::move(places), round, value);
    }
    std::vector<Action> precommits(std::vector<std::size_t> places, Round round, char value) {
        return votes(VoteType::precommit, std::move(places), round, value);
    }
    std::vector<Action> timeout(Step step, Round round) {
        machine.timeout(step, round);
        return take();
    }
    // Locks on the value in a round where this node is not the proposer.
    void lock(Round round, char value) {
        proposal(round, value);
        prevotes({0, 1, 2}, round, value);
    }
    // Goes to a later round without having voted there.
    void enter(Round round) {
        for (Round at = machine.round(); at < round; ++at) timeout(Step::precommit, at);
    }
};

// "prevote 0 A" and so on, to compare with.
inline std::string text_of(const std::vector<Action>& actions) {
    std::string text;
    const auto name = [](const Digest& value) {
        return value == kNil ? std::string("-") : std::string(1, static_cast<char>(value[0]));
    };
    for (const Action& action : actions) {
        if (!text.empty()) text += "; ";
        switch (action.kind) {
            case Action::Kind::propose:
                text += "propose " + std::to_string(action.round) + " " + name(action.value) + " " +
                        std::to_string(action.valid_round);
                break;
            case Action::Kind::vote:
                text += std::string(action.type == VoteType::prevote ? "prevote " : "precommit ") +
                        std::to_string(action.round) + " " + name(action.value);
                break;
            case Action::Kind::schedule:
                text += std::string("schedule ") + to_string(action.step) + " " + std::to_string(action.round);
                break;
            case Action::Kind::decide:
                text += "decide " + std::to_string(action.round) + " " + name(action.value);
                break;
        }
    }
    return text;
}

}  // namespace fastmas::testing
