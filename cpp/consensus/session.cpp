#include "consensus/session.hpp"

#include <algorithm>

#include "consensus/bytes.hpp"

namespace fastmas::consensus {

void SessionTable::forget_expired(std::int64_t time_ns) {
    if (time_ns <= soonest_ns_) return;
    soonest_ns_ = INT64_MAX;
    std::erase_if(clients_, [&](const auto& entry) {
        if (entry.second.expires_ns < time_ns) return true;
        soonest_ns_ = std::min(soonest_ns_, entry.second.expires_ns);
        return false;
    });
}

Admission SessionTable::admit(const Session& session, std::int64_t time_ns) {
    forget_expired(time_ns);
    const auto found = clients_.find(session.client);
    const bool known = found != clients_.end();
    if (known && session.sequence <= found->second.last) return Admission::duplicate;
    if (session.expires_ns < time_ns || session.sequence == 0) return Admission::expired;
    if (!known && clients_.size() >= kMaxClients) return Admission::crowded;
    // those that are kept for good leave room to those that are not
    if (!expires(session) && !(known && found->second.lasts()) && lasting_ >= kMaxLasting) return Admission::crowded;
    return Admission::fresh;
}

const Result* SessionTable::reply(const Session& session) const {
    const auto found = clients_.find(session.client);
    if (found == clients_.end()) return nullptr;
    const Client& client = found->second;
    if (session.sequence < client.first || session.sequence > client.last) return nullptr;
    return &client.replies[static_cast<std::size_t>(session.sequence - client.first)];
}

void SessionTable::record(const Session& session, const Result& result) {
    Client& client = clients_[session.client];
    lasting_ -= client.lasts();
    // of the client: an earlier request that expires later can still come again, unless the client says that none does
    client.expires_ns = is_last(session) ? session.expires_ns : std::max(client.expires_ns, session.expires_ns);
    lasting_ += client.lasts();
    soonest_ns_ = std::min(soonest_ns_, client.expires_ns);
    if (session.sequence != client.last + 1) {
        // the client gave up on the ones between: they can no longer take effect while it is known, and have expired
        // (rule 2 of Session) when it is not, so nobody will ask for their replies
        client.replies.clear();
        client.first = session.sequence;
    }
    client.last = session.sequence;
    client.replies.push_back(result);
    const std::uint64_t acknowledged = is_last(session) ? session.sequence - 1 : session.acknowledged;
    while (!client.replies.empty() && (client.first <= acknowledged || client.replies.size() > kMaxReplies)) {
        client.replies.pop_front();
        ++client.first;
    }
}

void SessionTable::encode(std::vector<std::byte>& out) const {
    Writer writer(out);
    writer.put(static_cast<std::uint32_t>(clients_.size()));
    for (const auto& [id, client] : clients_) {
        writer.put(id);
        writer.put(client.last);
        writer.put(client.expires_ns);
        writer.put(static_cast<std::uint32_t>(client.replies.size()));
        for (const Result& result : client.replies) {
            writer.put(static_cast<std::uint8_t>(result.status));
            writer.put(static_cast<std::uint32_t>(result.reply.size()));
            writer.put(result.reply.bytes());
        }
    }
}

bool SessionTable::decode(std::span<const std::byte>& bytes) {
    clients_.clear();
    lasting_ = 0;
    soonest_ns_ = INT64_MAX;
    Reader reader(bytes);
    std::uint32_t clients = 0;
    if (!reader.get(clients) || clients > kMaxClients) return false;
    std::uint64_t previous = 0;
    for (std::uint32_t i = 0; i < clients; ++i) {
        std::uint64_t id = 0;
        Client client;
        std::uint32_t replies = 0;
        if (!reader.get(id) || !reader.get(client.last) || !reader.get(client.expires_ns) || !reader.get(replies))
            return false;
        if (id <= previous || replies > kMaxReplies || replies > client.last) return false;
        previous = id;
        client.first = client.last + 1 - replies;
        for (std::uint32_t k = 0; k < replies; ++k) {
            std::uint8_t status = 0;
            std::uint32_t size = 0;
            Result result;
            if (!reader.get(status) || status > static_cast<std::uint8_t>(ResultStatus::rejected)) return false;
            if (!reader.get(size) || !reader.get(result.reply, size)) return false;
            result.status = static_cast<ResultStatus>(status);
            client.replies.push_back(std::move(result));
        }
        soonest_ns_ = std::min(soonest_ns_, client.expires_ns);
        lasting_ += client.lasts();
        clients_.emplace(id, std::move(client));
    }
    bytes = reader.rest();
    return true;
}

void put(Writer& writer, const Session& session) {
    writer.put(session.client);
    writer.put(session.sequence);
    writer.put(session.acknowledged);
    if (expires(session)) writer.put(session.expires_ns);
}

bool get(Reader& reader, Session& session, bool expires) noexcept {
    session.expires_ns = INT64_MAX;
    return reader.get(session.client) && reader.get(session.sequence) && reader.get(session.acknowledged) &&
           (!expires || (reader.get(session.expires_ns) && session.expires_ns != INT64_MAX));
}

}  // namespace fastmas::consensus
