// RaftNode: snapshots on their way to a follower that lacks what was compacted away (paper §7, figure 13).
#include <algorithm>
#include <utility>

#include "consensus/applier.hpp"
#include "consensus/raft/node.hpp"

namespace fastmas::consensus::raft {

std::uint64_t checksum_of(std::span<const std::byte> state) noexcept {
    return hash_bytes(state, 7);
}

SnapshotPart::SnapshotPart(Snapshot whole)
    : Snapshot(std::move(whole)), size(state.size()), checksum(checksum_of(state.bytes())) {}

void RaftNode::send_snapshot(Progress& peer) {
    if (checksum_index_ != snapshot_.index) {
        checksum_index_ = snapshot_.index;
        checksum_ = checksum_of(snapshot_.state.bytes());
    }
    // It stays the same to its end even if a later one is taken meanwhile, else a slow link would never see one end.
    SnapshotPart& whole = *(peer.sending = SnapshotPart());
    static_cast<Snapshot&>(whole) = snapshot_;
    if (peer.witness) whole.state = Payload();
    whole.size = whole.state.size();
    whole.checksum = peer.witness ? checksum_of({}) : checksum_;
    peer.state = Progress::State::snapshot;
    peer.snapshot_index = snapshot_.index;
    peer.asked_again = false;
    send_part(peer);
}

void RaftNode::send_part(Progress& peer) {
    peer.snapshot_ticks = 0;
    const SnapshotPart& whole = std::as_const(*peer.sending);
    const auto rest = whole.state.bytes().subspan(whole.offset);
    SnapshotPart part;
    part.index = whole.index;
    part.term = whole.term;
    part.time_ns = whole.time_ns;
    part.membership = whole.membership;
    part.offset = whole.offset;
    part.size = whole.size;
    part.checksum = whole.checksum;
    part.state = rest.size() == whole.size && rest.size() <= config_.max_snapshot_part_bytes
                     ? whole.state
                     : Payload(rest.first(std::min(rest.size(), config_.max_snapshot_part_bytes)));
    send(MessageType::snapshot, peer.id, hard_.term).snapshot = std::move(part);
}

void RaftNode::handle_snapshot_reply(const Message& message) {
    Progress* peer = find(message.from);
    if (role_ != Role::leader || peer == nullptr) return;
    peer->active = true;
    // late: of a transfer that is over
    if (peer->state != Progress::State::snapshot || message.index != peer->snapshot_index) return;
    SnapshotPart& sending = *peer->sending;
    const std::uint64_t wanted = message.hint_index;
    if (wanted > sending.size) {
        ++counters_.dropped;
        return;
    }
    // One part at a time: the answer to it asks for what comes after it. All others are late or doubled, unless the
    // part had to be sent again: then the follower may have restarted, and have less than it had.
    if (wanted == sending.offset || wanted == sending.size) return;
    if (wanted < sending.offset && !peer->asked_again) return;
    if (wanted == 0 && snapshot_.index > peer->snapshot_index) {
        // from the start: then rather the latest
        send_snapshot(*peer);
        return;
    }
    peer->asked_again = false;
    sending.offset = wanted;
    send_part(*peer);
}

void RaftNode::handle_snapshot(const Message& message) {
    if (role_ == Role::leader)
        poison("nodes " + std::to_string(config_.id) + " and " + std::to_string(message.from) + " both lead term " +
               std::to_string(hard_.term));
    if (is_early()) {
        leader_ = kNoNode;
        return;
    }
    if (role_ != Role::follower || leader_ != message.from) become_follower(hard_.term, message.from);
    election_elapsed_ = contact_elapsed_ = 0;
    const SnapshotPart& part = *message.snapshot;
    if (part.index <= commit_) {
        // stale: the log is past it, and neither commit nor applied moves backwards
        send(MessageType::append_reply, message.from, hard_.term).index = commit_;
        return;
    }
    // Late, of a transfer that this leader has given up for a later snapshot: it does not go back to an earlier one.
    if (incoming_index_ > part.index && incoming_->term == message.term) return;
    // figure 13, step 5: what is there of another one is discarded
    if (incoming_index_ == 0 || !incoming_->head.is_of_same(part)) {
        incoming_ = Incoming{part, {}, message.term};
        incoming_->head.state = Payload();
        incoming_index_ = part.index;
    }
    incoming_->term = message.term;
    // step 3: written at its offset; parts come in order, so one that is early or doubled is none
    std::vector<std::byte>& bytes = incoming_->bytes;
    if (part.offset == bytes.size()) bytes.insert(bytes.end(), part.state.bytes().begin(), part.state.bytes().end());
    if (bytes.size() == part.size) {
        if (checksum_of(bytes) == part.checksum) {
            Snapshot whole = std::move(incoming_->head);
            whole.state = Payload(bytes);
            drop_incoming();
            install(std::move(whole));
            send(MessageType::append_reply, message.from, hard_.term).index = snapshot_.index;
            return;
        }
        // it is not what was announced: all of it again
        ++counters_.damaged_snapshots;
        bytes.clear();
    }
    // step 4: replies, and waits for more
    Message& reply = send(MessageType::snapshot_reply, message.from, hard_.term);
    reply.index = part.index;
    reply.hint_index = bytes.size();
}

void RaftNode::drop_incoming() noexcept {
    incoming_.reset();
    incoming_index_ = 0;
}

// All at once: log, membership, commit and applied change in one step, and reach disk and state machine in one Ready.
void RaftNode::install(Snapshot snapshot) {
    // steps 6 and 7: entries it covers go; a suffix that agrees with it stays
    log_.restore(snapshot);
    if (log_.last_index() == snapshot.index) {
        // nothing after it stayed: what is on its way to the disk from there on is foreign
        writes_.truncated_from(snapshot.index + 1);
        written_ = snapshot.index;
    }
    written_ = std::max(written_, snapshot.index);
    snapshot_ = std::move(snapshot);
    restore_membership(snapshot_);
    snapshot_pending_ = true;
    applied_ = snapshot_.index;
    catch_up();
    set_commit(snapshot_.index);
}

}  // namespace fastmas::consensus::raft
