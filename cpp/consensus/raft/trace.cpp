#include "consensus/raft/trace.hpp"

namespace fastmas::consensus::raft {
namespace {

// The specification has no pre-votes: a node that only asks is a follower still, and what it asks is left out.
const char* role_name(Role role) noexcept {
    switch (role) {
        case Role::leader:
            return "StateLeader";
        case Role::candidate:
            return "StateCandidate";
        default:
            return "StateFollower";
    }
}

struct Names {
    const char* sends;
    const char* receives;
    const char* type;
};

// Nothing for messages that the specification does not know.
const Names* names_of(const Message& message) noexcept {
    static constexpr Names vote{"SendRequestVoteRequest", "ReceiveRequestVoteRequest", "MsgVote"};
    static constexpr Names vote_reply{"SendRequestVoteResponse", "ReceiveRequestVoteResponse", "MsgVoteResp"};
    static constexpr Names append{"SendAppendEntriesRequest", "ReceiveAppendEntriesRequest", "MsgApp"};
    static constexpr Names append_reply{"SendAppendEntriesResponse", "ReceiveAppendEntriesResponse", "MsgAppResp"};
    static constexpr Names snapshot{"SendAppendEntriesRequest", "ReceiveSnapshot", "MsgSnap"};
    switch (message.type) {
        case MessageType::vote:
            return &vote;
        case MessageType::vote_reply:
            return &vote_reply;
        case MessageType::append:
            return &append;
        case MessageType::append_reply:
            return &append_reply;
        case MessageType::snapshot:
            // the specification knows whole snapshots: one is sent and received with its last part
            if (message.snapshot->offset + message.snapshot->state.size() != message.snapshot->size) return nullptr;
            return &snapshot;
        default:
            return nullptr;
    }
}

std::string quoted(NodeId node) {
    std::string text(1, '"');
    text += std::to_string(node);
    text += '"';
    return text;
}

}  // namespace

void TraceLog::line(const char* name, const RaftNode& node, const Message* message) {
    std::string conf[2];  // the voters, and those of the old configuration while it is joint
    const Membership& now = node.membership();
    for (const bool old : {false, true})
        for (const NodeId voter : old ? now.outgoing : now.voters) {
            if (!conf[old].empty()) conf[old] += ',';
            conf[old] += quoted(voter);
        }
    text_ += std::string(R"({"tag":"trace","event":{"name":")") + name + R"(","nid":)" + quoted(node.id()) +
             R"(,"state":{"term":)" + std::to_string(node.term()) + R"(,"vote":)" + quoted(node.vote()) +
             R"(,"commit":)" + std::to_string(node.commit_index()) + R"(},"role":")" + role_name(node.role()) +
             R"(","log":)" + std::to_string(node.log().last_index()) + R"(,"conf":[[)" + conf[0] + "],[" + conf[1] +
             "]]";
    if (message != nullptr) {
        const bool is_snapshot = message->type == MessageType::snapshot;
        const std::size_t entries = is_snapshot ? message->snapshot->index : message->entries.size();
        text_ += std::string(R"(,"msg":{"type":")") + names_of(*message)->type + R"(","term":)" +
                 std::to_string(message->term) + R"(,"from":)" + quoted(message->from) + R"(,"to":)" +
                 quoted(message->to) + R"(,"entries":)" + std::to_string(entries) + R"(,"logTerm":)" +
                 std::to_string(message->log_term) + R"(,"index":)" + std::to_string(message->index) + R"(,"commit":)" +
                 std::to_string(message->commit) + R"(,"vote":"0","reject":)" + (message->reject ? "true" : "false") +
                 R"(,"rejectHint":)" + std::to_string(message->hint_index) + "}";
    }
    text_ += "}}\n";
}

void TraceLog::started(const RaftNode& node) {
    known_[node.id()] = {node.role(), node.term(), node.log().last_index(), node.commit_index()};
    line("InitState", node, nullptr);
}

void TraceLog::receives(const RaftNode& node, const Message& message) {
    if (const Names* names = names_of(message)) line(names->receives, node, &message);
}

void TraceLog::sends(const RaftNode& node, const Message& message) {
    if (const Names* names = names_of(message)) line(names->sends, node, &message);
}

void TraceLog::stored(const RaftNode& node) {
    line("Ready", node, nullptr);
}

void TraceLog::changed(const RaftNode& node) {
    Known& known = known_[node.id()];
    const bool followed = known.role == Role::follower || known.role == Role::pre_candidate;
    const bool follows = node.role() == Role::follower || node.role() == Role::pre_candidate;
    if (!follows && (followed || node.term() != known.term)) line("BecomeCandidate", node, nullptr);
    if (node.role() == Role::leader && known.role != Role::leader) line("BecomeLeader", node, nullptr);
    if (follows && (!followed || node.term() != known.term)) line("BecomeFollower", node, nullptr);
    if (node.role() == Role::leader)
        for (Index index = known.role == Role::leader ? known.last : node.log().last_index() - 1;
             index < node.log().last_index(); ++index)
            line("Replicate", node, nullptr);
    if (node.role() == Role::leader && node.commit_index() != known.commit) line("Commit", node, nullptr);
    known = {node.role(), node.term(), node.log().last_index(), node.commit_index()};
}

}  // namespace fastmas::consensus::raft
