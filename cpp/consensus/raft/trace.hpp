// What a Raft cluster did, as lines of JSON that a model checker can hold against a specification of Raft.
#pragma once

#include <string>
#include <unordered_map>

#include "consensus/raft/message.hpp"
#include "consensus/raft/node.hpp"

namespace fastmas::consensus::raft {

// One line an event: its name, the node, its term, vote, commit, role, log length and membership, and the message there
// was. The names are those of the trace specification that etcd's Raft publishes (Traceetcdraft.tla): InitState,
// BecomeCandidate, BecomeLeader, BecomeFollower, Replicate, Commit, Ready (what it has is on disk now, and comes back
// after a crash), Send... and Receive... of each message.
// The driver tells of everything around a node's calls: before a message is stepped, after every call, at every send.
// Not thread-safe; costs only whoever uses it.
class TraceLog {
  public:
    void started(const RaftNode& node);                           // new, or back from a crash
    void receives(const RaftNode& node, const Message& message);  // before step
    void sends(const RaftNode& node, const Message& message);
    void changed(const RaftNode& node);  // after any call
    void stored(const RaftNode& node);   // what a Ready asked to be stored is durable
    const std::string& text() const noexcept { return text_; }

  private:
    struct Known {
        Role role = Role::follower;
        Term term = 0;
        Index last = 0;
        Index commit = 0;
    };
    void line(const char* name, const RaftNode& node, const Message* message);

    std::string text_;
    std::unordered_map<NodeId, Known> known_;
};

}  // namespace fastmas::consensus::raft
