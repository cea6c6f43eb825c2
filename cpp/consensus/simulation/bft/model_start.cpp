// Where a world of the exhaustive search begins: at the height's start, or in the middle of what a liar has made of it.
#include "base/errors.hpp"
#include "consensus/simulation/bft/model.hpp"

namespace fastmas::consensus::bft {

BftModel::Participant BftModel::start(NodeId id) const {
    const auto place = static_cast<std::uint8_t>(id - 1);
    Participant at{machine(place), place, world_.lies, false, 0};
    if (place == world_.liar) return at;
    if (world_.begin_in == 2) {
        live_through_two(at);
    } else if (world_.begin_in == 3) {
        live_through_three(at);
    } else if (place != 0) {
        Output nothing;  // said yet: it waits for a proposal
        at.begun = true;
        begin(at, nothing);
    }
    return at;
}

void BftModel::is_told(Participant& at, Kind kind, std::uint8_t from, Round round, char value) const {
    Output known;  // to all: what they live through says so itself
    const Message message{kind, from, at.place, round, kNoRound, value};
    if (from == world_.liar) {  // no lie that it had a choice of
        take(at, message);
        go_on(at, known);
    } else if (from != at.place) {
        deliver(at, message, known);
    }
}

// The time-outs of its steps, as far as it still waits in them.
void BftModel::vote_nil_for_lack_of_time(Participant& at, Round round) const {
    Output known;
    if (at.machine.round() == round && can_time_out(at)) time_out(at, known);
}

void BftModel::live_through_two(Participant& at) const {
    const std::uint8_t correct[] = {0, 1, 3}, liar = 2, place = at.place;
    if (world_.nodes != 4 || world_.liar != liar) throw base::ConfigError("to begin in round 2, node 3 of 4 must lie");
    Output known;
    at.begun = true;
    begin(at, known);
    // Everybody has its own vote, that of the next correct one and a nil of the liar: enough to time out, no polka.
    is_told(at, Kind::proposal, 0, 0, 'A');
    is_told(at, Kind::prevote, liar, 0, '-');
    is_told(at, Kind::prevote, next_correct(place), 0, 'A');
    vote_nil_for_lack_of_time(at, 0);
    for (const std::uint8_t other : correct) is_told(at, Kind::precommit, other, 0, '-');
    heartbeat(at, known);
    if (place == 0) vote_nil_for_lack_of_time(at, 1);
    is_told(at, Kind::proposal, 1, 1, 'B');
    if (place == 3) is_told(at, Kind::prevote, liar, 1, 'B');
    for (const std::uint8_t other : correct) is_told(at, Kind::prevote, other, 1, other == 0 ? '-' : 'B');
    vote_nil_for_lack_of_time(at, 1);
    for (const std::uint8_t other : correct) is_told(at, Kind::precommit, other, 1, other == 3 ? 'B' : '-');
    heartbeat(at, known);
    if (at.machine.round() != 2 || at.machine.locks().locked_round != (place == 3 ? 1 : kNoRound))
        throw base::InvariantError("no correct node lives like this: validator " + std::to_string(place + 1));
}

void BftModel::live_through_three(Participant& at) const {
    const std::uint8_t correct[] = {0, 1, 2}, liar = 3, place = at.place;
    if (world_.nodes != 4 || world_.liar != liar) throw base::ConfigError("to begin in round 3, node 4 of 4 must lie");
    Output known;
    at.begun = true;
    begin(at, known);
    vote_nil_for_lack_of_time(at, 0);
    for (const std::uint8_t other : correct) is_told(at, Kind::prevote, other, 0, other == 0 ? 'A' : '-');
    vote_nil_for_lack_of_time(at, 0);
    for (const std::uint8_t other : correct) is_told(at, Kind::precommit, other, 0, '-');
    heartbeat(at, known);
    if (place == 2) vote_nil_for_lack_of_time(at, 1);
    is_told(at, Kind::proposal, 1, 1, 'B');
    if (place == 0) is_told(at, Kind::prevote, liar, 1, 'B');
    for (const std::uint8_t other : correct) is_told(at, Kind::prevote, other, 1, other == 2 ? '-' : 'B');
    vote_nil_for_lack_of_time(at, 1);
    for (const std::uint8_t other : correct) is_told(at, Kind::precommit, other, 1, other == 0 ? 'B' : '-');
    heartbeat(at, known);
    is_told(at, Kind::proposal, 2, 2, 'C');
    for (const std::uint8_t other : correct) is_told(at, Kind::prevote, other, 2, other == 0 ? '-' : 'C');
    vote_nil_for_lack_of_time(at, 2);
    for (const std::uint8_t other : correct) is_told(at, Kind::precommit, other, 2, '-');
    heartbeat(at, known);
    if (at.machine.round() != 3 || at.machine.locks().locked_round != (place == 0 ? 1 : kNoRound))
        throw base::InvariantError("no correct node lives like this: validator " + std::to_string(place + 1));
}

}  // namespace fastmas::consensus::bft
