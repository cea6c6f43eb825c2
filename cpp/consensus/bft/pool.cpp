#include "consensus/bft/pool.hpp"

#include <algorithm>
#include <utility>

namespace fastmas::consensus::bft {

// The client's next request that is at hand. Those before it, if any, it has given up: they go once this is decided.
CommandPool::Requests::const_iterator CommandPool::next_of(std::uint64_t client, const Requests& requests,
                                                           const ClientMarks& marks) noexcept {
    const std::uint64_t last = marks.last(client);
    return std::find_if(requests.begin(), requests.end(), [&](const auto& held) {
        const Session& session = held.second.command.session;
        return ClientMarks::follows(last, session) && marks.admits(session) && marks.has_room(session);
    });
}

void CommandPool::drop(Requests& requests, Requests::iterator at) {
    Usage& usage = usage_[at->second.from];
    const std::size_t size = at->second.command.bytes.size();
    --usage.commands;
    usage.bytes -= size;
    --size_;
    bytes_ -= size;
    at->second = Item();
    spare_items_.nodes.push_back(requests.extract(at));
}

CommandPool::Requests& CommandPool::requests_of(std::uint64_t client) {
    const auto known = clients_.find(client);
    if (known != clients_.end()) return known->second;
    if (spare_clients_.nodes.empty()) return clients_[client];
    auto node = std::move(spare_clients_.nodes.back());
    spare_clients_.nodes.pop_back();
    node.key() = client;
    return clients_.insert(std::move(node)).position->second;
}

CommandPool::Clients::iterator CommandPool::forget_empty(Clients::iterator client) {
    if (!client->second.empty()) return std::next(client);
    const auto next = std::next(client);
    spare_clients_.nodes.push_back(clients_.extract(client));
    return next;
}

CommandPool::Added CommandPool::add(const Command& command, NodeId from, const ClientMarks& marks) {
    const Session& session = command.session;
    if (session.sequence <= marks.last(session.client)) return Added::duplicate;
    if (!marks.admits(session)) return Added::expired;
    if (const auto client = clients_.find(session.client); client != clients_.end()) {
        const auto known = client->second.find(session.sequence);
        if (known != client->second.end()) {
            if (from != own_ || known->second.from == own_) return Added::duplicate;
            drop(client->second, known);  // what the client itself says counts, not what was said in its name
        }
    }
    Usage& usage = usage_[from];
    const std::size_t share = from == own_ ? 1 : limits_.others_share;
    if (size_ >= limits_.commands || bytes_ + command.bytes.size() > limits_.bytes ||
        usage.commands >= limits_.commands / share || usage.bytes + command.bytes.size() > limits_.bytes / share)
        return Added::full;
    ++usage.commands;
    usage.bytes += command.bytes.size();
    ++size_;
    bytes_ += command.bytes.size();
    Requests& requests = requests_of(session.client);
    if (spare_items_.nodes.empty()) {
        requests.emplace(session.sequence, Item{command, from, arrivals_++, 0});
    } else {
        auto node = std::move(spare_items_.nodes.back());
        spare_items_.nodes.pop_back();
        node.key() = session.sequence;
        node.mapped() = Item{command, from, arrivals_++, 0};
        requests.insert(requests.end(), std::move(node));
    }
    return Added::added;
}

bool CommandPool::has(const Session& session) const noexcept {
    const auto client = clients_.find(session.client);
    return client != clients_.end() && client->second.contains(session.sequence);
}

std::vector<Command> CommandPool::take(const ChainLimits& limits, const ClientMarks& marks) const {
    struct Head {
        const Requests* requests;
        Requests::const_iterator at;
        std::uint64_t last;
        bool is_new;
        bool lasts;
    };
    std::vector<Head> heads;
    for (const auto& [client, requests] : clients_)
        if (const auto at = next_of(client, requests, marks); at != requests.end())
            heads.push_back({&requests, at, marks.last(client), !marks.has(client), marks.lasts(client)});
    std::sort(heads.begin(), heads.end(),
              [](const Head& a, const Head& b) { return a.at->second.arrival < b.at->second.arrival; });
    std::vector<Command> taken;
    taken.reserve(std::min<std::size_t>(size_, limits.max_block_commands));
    std::size_t bytes = 0;
    ClientMarks::Room room = marks.room();
    for (Head& head : heads) {
        for (; head.at != head.requests->end(); ++head.at) {
            const Command& command = head.at->second.command;
            if (!ClientMarks::follows(head.last, command.session) || !marks.admits(command.session)) break;
            const bool begins_to_last = !expires(command.session) && !head.lasts;
            if ((head.is_new && room.clients == 0) || (begins_to_last && room.lasting == 0)) break;
            room.clients -= std::exchange(head.is_new, false);
            room.lasting -= begins_to_last;
            head.lasts = head.lasts || begins_to_last;
            bytes += command.bytes.size();
            if (taken.size() == limits.max_block_commands || bytes > limits.max_block_bytes) return taken;
            taken.push_back(command);
            head.last = command.session.sequence;
        }
    }
    return taken;
}

bool CommandPool::has_eligible(const ClientMarks& marks) const noexcept {
    for (const auto& [client, requests] : clients_)
        if (next_of(client, requests, marks) != requests.end()) return true;
    return false;
}

void CommandPool::reject(const Session& session) {
    const auto client = clients_.find(session.client);
    if (client == clients_.end()) return;
    if (const auto at = client->second.find(session.sequence); at != client->second.end()) drop(client->second, at);
    (void)forget_empty(client);
}

void CommandPool::remove_decided(const Block& block) {
    for (const Command& command : block.commands) {
        const auto client = clients_.find(command.session.client);
        if (client == clients_.end()) continue;
        while (!client->second.empty() && client->second.begin()->first <= command.session.sequence)
            drop(client->second, client->second.begin());
        (void)forget_empty(client);
    }
}

void CommandPool::remove_decided(const ClientMarks& marks) {
    for (auto client = clients_.begin(); client != clients_.end();) {
        const std::uint64_t last = marks.last(client->first);
        while (!client->second.empty() && client->second.begin()->first <= last)
            drop(client->second, client->second.begin());
        client = forget_empty(client);
    }
}

void CommandPool::waiting(std::size_t most, bool only_own, std::vector<Command>& out) const {
    for (const auto& [client, requests] : clients_)
        for (const auto& [sequence, item] : requests) {
            if (only_own && item.from != own_) continue;
            if (out.size() == most) return;
            out.push_back(item.command);
        }
}

void CommandPool::expire(const ClientMarks& marks, std::uint32_t calls) {
    for (auto client = clients_.begin(); client != clients_.end();) {
        Requests& requests = client->second;
        const bool waits = next_of(client->first, requests, marks) == requests.end();
        for (auto at = requests.begin(); at != requests.end();) {
            const auto next = std::next(at);
            at->second.age = waits ? at->second.age + 1 : 0;
            // what is over by the blocks' time is over for good: no block can hold it any more
            if (at->second.age >= calls || !marks.admits(at->second.command.session)) drop(requests, at);
            at = next;
        }
        client = forget_empty(client);
    }
}

}  // namespace fastmas::consensus::bft
