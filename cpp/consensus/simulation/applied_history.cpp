#include "consensus/simulation/applied_history.hpp"

namespace fastmas::consensus {

std::string AppliedHistory::on_apply(NodeId node, Index log_index, std::int64_t time_ns, const Session& session,
                                     const Applied& applied) {
    if (applied.kind != Applied::Kind::effect || applied.result.status == ResultStatus::broken) return "";
    const auto broken = [&] { return "command " + std::to_string(applied.index); };
    if (applied.index != ++commands_of_[node]) return broken();
    if (applied.index <= requests_.size()) {
        const Request& known = requests_[applied.index - 1];
        return known.log_index == log_index && known.session == session ? "" : broken();
    }
    requests_.push_back({session, log_index});
    if (time_ns > session.expires_ns)
        return broken() + ", " + std::to_string(time_ns - session.expires_ns) + " ns late";
    if (session.client == 0) return "";
    std::uint64_t& last = sequences_[session.client];
    if (session.sequence <= last) return "request " + std::to_string(session.sequence);
    last = session.sequence;
    return "";
}

}  // namespace fastmas::consensus
