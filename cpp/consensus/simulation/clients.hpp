// The clients of a simulated cluster and the servers they talk to: who was asked what, and who answers when.
#pragma once

#include <cstdint>
#include <vector>

#include "consensus/simulation/client_history.hpp"
#include "consensus/simulation/observer.hpp"

namespace fastmas::consensus {

// A client sends its next requests to a node, and the same again to others until it has an answer or gives up. An
// answer comes from the state machine of a node that was asked since it last began, at the moment that machine has it.
// Where nodes may lie, requests reach all of them, and an answer counts once nodes of more than the liars' weight gave
// it; the liars agree on a wrong one and are quick.
class Clients final : public SimObserver {
  public:
    struct Trust {
        std::vector<std::uint64_t> weights;  // by node, from 1; empty: whoever answers is believed
        std::vector<bool> lies;
        std::uint64_t liars_weight = 0;
    };
    // The requests of the last of them expire, some soon.
    Clients(std::vector<std::uint64_t> ids, std::size_t nodes, Trust trust);

    bool knows(std::uint64_t client) const noexcept;
    // The first request the client has no answer to. After too many attempts, or when its time is over, it gives up on
    // it and on those it has sent since, for ever.
    std::uint64_t first_request(std::uint64_t client, std::int64_t now_ns);
    // A request: what it is when it is sent first, it stays (rules 1 and 2 of Session).
    Session request(std::uint64_t client, std::uint64_t sequence, std::uint64_t acknowledged, std::int64_t now_ns);
    // It sends this request to the node now.
    void ask(const Session& session, NodeId node, std::int64_t now_ns);
    // The node refused it on the spot.
    void refused(const Session& session, NodeId node);
    // A request that somebody else made and saw answered.
    void answered(const Session& session, const Recorder::Answer& answer, std::int64_t call_ns, std::int64_t now_ns);
    // Somebody asks the node for the state; `context` is what the node's read() is given.
    void ask_read(NodeId node, std::uint64_t context, std::int64_t now_ns);
    // The node refused it on the spot.
    void read_refused(NodeId node, std::uint64_t context);

    void began(NodeId node) override;
    void applied(const Server& at, const Session& session, const Result* result) override;
    void restored(const Server& at) override;
    void advanced(const Server& at) override;
    void read(const Server& at, std::uint64_t context, Index index, bool is_confirmed,
              std::int64_t valid_until_ns) override;

    struct Counters {
        std::uint64_t given_up = 0;
        std::uint64_t expiring = 0;  // requests with an expiry
        std::uint64_t expired = 0;   // of those, without an answer by then
        std::uint64_t overtaken = 0;
        std::uint64_t answered_late = 0;  // by a node that had been asked before another one was
        std::uint64_t reads_of_leases = 0;
        std::uint64_t leases_run_out = 0;  // before the read could be answered
        std::uint64_t reads_refused = 0;
        std::uint64_t from_snapshots = 0;  // answered out of the session table of a snapshot
    };
    const Counters& counters() const noexcept { return counters_; }
    const ClientHistory& history() const noexcept { return history_; }

  private:
    struct Client {
        std::uint64_t id;
        std::uint64_t sequence = 1;
        std::uint64_t tried = 0;  // the request it last sent first,
        int attempts = 0;         // and how often
        std::vector<Session> requests = {};
    };
    struct Reply {
        Recorder::Answer answer;
        std::uint64_t weight = 0;
    };
    // A request under way.
    struct Open {
        std::uint64_t number = 0;
        std::size_t operation = 0;
        std::uint64_t asked = 0;    // one bit a node
        std::uint64_t replied = 0;  // where one answer is not enough
        NodeId last_asked = kNoNode;
        std::vector<Reply> replies;
    };
    struct Read {
        std::uint64_t context = 0;
        std::size_t operation = 0;
        Index index = 0;
        std::int64_t valid_until_ns = 0;
    };
    Client& client(std::uint64_t id);
    void give_up(Client& one);
    void forget(const Session& session);
    Open* find(const Session& session) noexcept;
    void reply(NodeId node, Open& open, const Session& session, const Recorder::Answer& answer, std::int64_t now_ns);
    void answer_read(const Server& at, const Read& read);

    std::vector<Client> clients_;
    Trust trust_;
    std::vector<Open> open_;
    std::vector<std::vector<Read>> asked_;      // by node: not confirmed yet, in the order of asking
    std::vector<std::vector<Read>> confirmed_;  // by node: the machine is not there yet
    ClientHistory history_;
    Counters counters_;
};

}  // namespace fastmas::consensus
