// The shortest plan found that fails as a long one does.
#include <algorithm>
#include <string_view>

#include "consensus/simulation/bft/protocol.hpp"
#include "consensus/simulation/paxos/protocol.hpp"
#include "consensus/simulation/raft/protocol.hpp"
#include "consensus/simulation/scenario.hpp"

namespace fastmas::consensus {

template <class P>
Plan shrink(Plan plan, const std::string& failure, std::size_t attempts) {
    const auto sentence = [](std::string_view text) { return text.substr(0, text.find(':')); };
    const auto still_fails = [&](const Plan& shorter) {
        if (attempts == 0) return false;
        --attempts;
        Scenario<P> scenario(shorter);
        try {
            scenario.run();
        } catch (const std::exception& error) {
            return sentence(error.what()) == sentence(failure);
        }
        return false;
    };
    // halves first, then ever smaller parts (Zeller's ddmin)
    for (std::size_t part = std::max<std::size_t>(plan.actions.size() / 2, 1); part > 0 && attempts != 0;) {
        bool is_shorter = false;
        for (std::size_t from = 0; from < plan.actions.size();) {
            Plan shorter = plan;
            const auto begin = shorter.actions.begin() + static_cast<std::ptrdiff_t>(from);
            const auto count = std::min(part, plan.actions.size() - from);
            shorter.actions.erase(begin, begin + static_cast<std::ptrdiff_t>(count));
            if (still_fails(shorter)) {
                plan = std::move(shorter);
                is_shorter = true;
            } else {
                from += part;
            }
        }
        if (part == 1 && !is_shorter) break;
        part = std::max<std::size_t>(part / 2, 1);
    }
    {
        // what comes after the last action is needed only as far as it shows the failure
        Plan shorter = plan;
        shorter.seconds = plan.actions.empty() ? 0 : plan.actions.back().at_ms / 1000 + 1;
        if (still_fails(shorter)) plan = std::move(shorter);
    }
    return plan;
}

template Plan shrink<bft::BftProtocol>(Plan, const std::string&, std::size_t);
template Plan shrink<bft::LyingBftProtocol>(Plan, const std::string&, std::size_t);
template Plan shrink<raft::RaftProtocol>(Plan, const std::string&, std::size_t);
template Plan shrink<paxos::PaxosProtocol>(Plan, const std::string&, std::size_t);

}  // namespace fastmas::consensus
