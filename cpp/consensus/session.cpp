#include "consensus/session.hpp"

#include <algorithm>

#include "consensus/bytes.hpp"

namespace fastmas::consensus {

bool SessionTable::seen(const Session& session) const {
    const auto found = clients_.find(session.client);
    return found != clients_.end() && session.sequence <= found->second.last;
}

const Result* SessionTable::reply(const Session& session) const {
    const auto found = clients_.find(session.client);
    if (found == clients_.end()) return nullptr;
    const Client& client = found->second;
    if (session.sequence < client.first || session.sequence > client.last) return nullptr;
    return &client.replies[static_cast<std::size_t>(session.sequence - client.first)];
}

void SessionTable::record(const Session& session, Index index, const Result& result) {
    auto found = clients_.find(session.client);
    if (found == clients_.end()) {
        if (clients_.size() == kMaxClients)
            clients_.erase(std::min_element(clients_.begin(), clients_.end(), [](const auto& a, const auto& b) {
                return a.second.last_index < b.second.last_index;
            }));
        found = clients_.emplace(session.client, Client{}).first;
    }
    Client& client = found->second;
    if (session.sequence != client.last + 1) {
        // the client gave up on the ones between: they can no longer take effect, so nobody will ask for their replies
        client.replies.clear();
        client.first = session.sequence;
    }
    client.last = session.sequence;
    client.last_index = index;
    client.replies.push_back(result);
    while (!client.replies.empty() && (client.first <= session.acknowledged || client.replies.size() > kMaxReplies)) {
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
        writer.put(client.last_index);
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
    Reader reader(bytes);
    std::uint32_t clients = 0;
    if (!reader.get(clients) || clients > kMaxClients) return false;
    std::uint64_t previous = 0;
    for (std::uint32_t i = 0; i < clients; ++i) {
        std::uint64_t id = 0;
        Client client;
        std::uint32_t replies = 0;
        if (!reader.get(id) || !reader.get(client.last) || !reader.get(client.last_index) || !reader.get(replies))
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
        clients_.emplace(id, std::move(client));
    }
    bytes = reader.rest();
    return true;
}

}  // namespace fastmas::consensus
