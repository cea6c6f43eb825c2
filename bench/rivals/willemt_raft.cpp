#include "willemt_raft.hpp"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

extern "C" {
#include "raft.h"
}

namespace fastmas::bench {
namespace {

struct Wire {
    enum Kind : std::uint8_t { append, reply } kind = append;
    int from = 0, to = 0;
    msg_appendentries_t request{};
    std::vector<msg_entry_t> entries;
    msg_appendentries_response_t answer{};
};

class Trio {
  public:
    Trio() {
        raft_cbs_t calls{};
        calls.send_requestvote = [](raft_server_t*, void*, raft_node_t*, msg_requestvote_t*) { return 0; };
        calls.send_appendentries = [](raft_server_t* raft, void* self, raft_node_t* to, msg_appendentries_t* message) {
            static_cast<Trio*>(self)->send(raft_get_nodeid(raft), raft_node_get_id(to), *message);
            return 0;
        };
        calls.applylog = [](raft_server_t*, void*, raft_entry_t*, raft_index_t) { return 0; };
        calls.persist_vote = [](raft_server_t*, void*, raft_node_id_t) { return 0; };
        calls.persist_term = [](raft_server_t*, void*, raft_term_t, raft_node_id_t) { return 0; };
        calls.log_offer = [](raft_server_t*, void*, raft_entry_t* entry, raft_index_t) {
            void* const copy = std::malloc(entry->data.len);
            std::memcpy(copy, entry->data.buf, entry->data.len);
            entry->data.buf = copy;
            return 0;
        };
        const auto forget = [](raft_server_t*, void*, raft_entry_t* entry, raft_index_t) {
            std::free(entry->data.buf);
            return 0;
        };
        calls.log_poll = calls.log_pop = calls.log_clear = forget;
        for (int id = 1; id <= 3; ++id) {
            raft_server_t* const raft = raft_new();
            raft_set_callbacks(raft, &calls, this);
            for (int peer = 1; peer <= 3; ++peer) raft_add_node(raft, nullptr, peer, peer == id ? 1 : 0);
            nodes_.push_back(raft);
            raft_set_current_term(raft, 1);
        }
        raft_become_leader(nodes_[0]);
        deliver();
    }
    Trio(const Trio&) = delete;
    Trio& operator=(const Trio&) = delete;
    ~Trio() {
        for (raft_server_t* raft : nodes_) {
            raft_clear(raft);
            raft_free(raft);
        }
    }

    void propose(const std::vector<std::byte>& content, int batch) {
        msg_entry_t entry{};
        for (int i = 0; i < batch; ++i) {
            entry.id = ++last_id_;
            entry.data.buf = const_cast<std::byte*>(content.data());  // copied by log_offer
            entry.data.len = static_cast<unsigned>(content.size());
            msg_entry_response_t response;
            raft_recv_entry(nodes_[0], &entry, &response);
        }
        deliver();
        raft_periodic(nodes_[0], raft_get_request_timeout(nodes_[0]));  // a heartbeat tells of the commit
        deliver();
        for (raft_server_t* raft : nodes_) raft_apply_all(raft);
    }
    bool all_applied(long entries) const {
        for (raft_server_t* raft : nodes_)
            if (raft_get_last_applied_idx(raft) != entries) return false;
        return true;
    }

  private:
    Wire& next() {
        if (count_ == wire_.size()) wire_.emplace_back();
        return wire_[count_++];
    }
    void send(int from, int to, const msg_appendentries_t& message) {
        Wire& wire = next();
        wire.kind = Wire::append;
        wire.from = from;
        wire.to = to;
        wire.request = message;
        wire.entries.assign(message.entries, message.entries + message.n_entries);
    }
    void deliver() {
        for (std::size_t i = 0; i < count_; ++i) {
            if (wire_[i].kind == Wire::append) {
                Wire wire;
                std::swap(wire, wire_[i]);  // what it calls back may make wire_ grow
                wire.request.entries = wire.entries.data();
                raft_server_t* const node = nodes_[static_cast<std::size_t>(wire.to) - 1];
                msg_appendentries_response_t answer{};
                raft_recv_appendentries(node, raft_get_node(node, wire.from), &wire.request, &answer);
                std::swap(wire, wire_[i]);  // its memory
                Wire& back = next();
                back.kind = Wire::reply;
                back.from = wire_[i].to;
                back.to = wire_[i].from;
                back.answer = answer;
            } else {
                msg_appendentries_response_t answer = wire_[i].answer;
                raft_server_t* const node = nodes_[static_cast<std::size_t>(wire_[i].to) - 1];
                raft_recv_appendentries_response(node, raft_get_node(node, wire_[i].from), &answer);
            }
        }
        count_ = 0;
    }

    std::vector<raft_server_t*> nodes_;
    std::vector<Wire> wire_;
    std::size_t count_ = 0;
    int last_id_ = 0;
};

}  // namespace

double willemt_raft_ns(std::size_t payload_bytes, int batch, int entries) {
    Trio trio;
    const std::vector<std::byte> content(payload_bytes);
    const int bursts = entries / batch;
    for (int i = 0; i < bursts / 5; ++i) trio.propose(content, batch);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < bursts; ++i) trio.propose(content, batch);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!trio.all_applied(static_cast<long>(bursts / 5 + bursts) * batch)) return -1.0;
    return seconds * 1e9 / (static_cast<double>(bursts) * batch);
}

}  // namespace fastmas::bench
