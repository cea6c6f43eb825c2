#include "consensus/simulation/clients.hpp"

#include <algorithm>

#include "consensus/simulation/hash_set.hpp"

namespace fastmas::consensus {
namespace {

constexpr int kAttempts = 30;
constexpr std::size_t kMaxOpen = 64;
constexpr std::int64_t kShortestLifeNs = 20'000'000;

// Of a request: mostly long enough for an answer, now and then hardly.
std::int64_t lifetime_ns(std::uint64_t number) noexcept {
    const std::uint64_t draw = mix64(number);
    return kShortestLifeNs + static_cast<std::int64_t>(draw % (draw >> 60U == 0 ? 100 : 5'000)) * 1'000'000;
}

std::uint64_t bit(NodeId node) noexcept {
    return std::uint64_t{1} << node;
}

}  // namespace

Clients::Clients(std::vector<std::uint64_t> ids, std::size_t nodes, Trust trust)
    : trust_(std::move(trust)), asked_(nodes + 1), confirmed_(nodes + 1) {
    for (const std::uint64_t id : ids) clients_.push_back({.id = id});
}

Clients::Client& Clients::client(std::uint64_t id) {
    return *std::find_if(clients_.begin(), clients_.end(), [id](const Client& one) { return one.id == id; });
}

bool Clients::knows(std::uint64_t id) const noexcept {
    return std::any_of(clients_.begin(), clients_.end(), [id](const Client& one) { return one.id == id; });
}

Session Clients::request(std::uint64_t id, std::uint64_t sequence, std::uint64_t acknowledged, std::int64_t now_ns) {
    std::vector<Session>& requests = client(id).requests;
    while (requests.size() < sequence) {
        Session next{id, requests.size() + 1, std::min<std::uint64_t>(acknowledged, requests.size())};
        if (id == clients_.back().id) {
            const std::int64_t before = requests.empty() ? INT64_MIN : requests.back().expires_ns;
            next.expires_ns = std::max(before, now_ns + lifetime_ns(ClientHistory::number_of(next)));
            ++counters_.expiring;
        }
        requests.push_back(next);
    }
    return requests[sequence - 1];
}

std::uint64_t Clients::first_request(std::uint64_t id, std::int64_t now_ns) {
    Client& one = client(id);
    const bool is_sent = one.sequence <= one.requests.size();
    if (is_sent && one.requests[one.sequence - 1].expires_ns < now_ns) {
        ++counters_.expired;
        give_up(one);
    }
    if (one.tried != one.sequence) {
        one.tried = one.sequence;
        one.attempts = 0;
    }
    if (++one.attempts > kAttempts) {
        ++counters_.given_up;
        give_up(one);
        one.tried = one.sequence;
        one.attempts = 1;
    }
    return one.sequence;
}

// With what it sent behind that one: only a later request can say that it waits for no reply before it.
void Clients::give_up(Client& one) {
    one.sequence = std::max<std::uint64_t>(one.requests.size(), one.sequence) + 1;
    std::erase_if(open_, [&](const Open& open) {  // the operations stay open
        return open.number >> 32 == one.id && (open.number & 0xffffffffU) < one.sequence;
    });
}

Clients::Open* Clients::find(const Session& session) noexcept {
    const std::uint64_t number = ClientHistory::number_of(session);
    for (Open& open : open_)
        if (open.number == number) return &open;
    return nullptr;
}

void Clients::ask(const Session& session, NodeId node, std::int64_t now_ns) {
    const std::size_t operation = history_.call(session, now_ns);
    if (history_.seen()[operation].return_ns >= 0) return;
    Open* open = find(session);
    if (open == nullptr) {
        if (open_.size() == kMaxOpen) open_.erase(open_.begin());
        open = &open_.emplace_back();
        open->number = ClientHistory::number_of(session);
        open->operation = operation;
    }
    open->last_asked = node;
    if (trust_.weights.empty()) {
        open->asked |= bit(node);
        return;
    }
    open->asked = ~std::uint64_t{0};
    const Recorder::Answer lie{session.sequence, 0};
    for (NodeId liar = 1; liar < trust_.lies.size(); ++liar)
        if (trust_.lies[liar] && (open = find(session)) != nullptr) reply(liar, *open, session, lie, now_ns);
}

void Clients::refused(const Session& session, NodeId node) {
    if (Open* open = find(session); open != nullptr && trust_.weights.empty()) open->asked &= ~bit(node);
}

void Clients::reply(NodeId node, Open& open, const Session& session, const Recorder::Answer& answer,
                    std::int64_t now_ns) {
    if (!trust_.weights.empty()) {
        if ((open.replied & bit(node)) != 0) return;
        open.replied |= bit(node);
        auto same = std::find_if(open.replies.begin(), open.replies.end(),
                                 [&](const Reply& one) { return one.answer == answer; });
        if (same == open.replies.end()) same = open.replies.insert(same, {answer, 0});
        same->weight += trust_.weights[node - 1];
        if (same->weight <= trust_.liars_weight) return;
    } else if (open.last_asked != node) {
        ++counters_.answered_late;
    }
    history_.answer(open.operation, answer, now_ns);
    forget(session);
}

void Clients::forget(const Session& session) {
    Client& one = client(session.client);
    one.sequence = std::max(one.sequence, session.sequence + 1);
    // what it sent before it will not ask for again
    std::erase_if(open_, [&](const Open& other) {
        return other.number >> 32 == session.client && (other.number & 0xffffffffU) <= session.sequence;
    });
}

void Clients::began(NodeId node) {
    for (Open& open : open_)
        if (trust_.weights.empty()) open.asked &= ~bit(node);
    asked_[node].clear();
    confirmed_[node].clear();
}

void Clients::applied(const Server& at, const Session& session, const Result* result) {
    if (!trust_.lies.empty() && trust_.lies[at.node]) return;
    Open* open = find(session);
    if (open == nullptr || (open->asked & bit(at.node)) == 0) return;
    if (result != nullptr) return reply(at.node, *open, session, Recorder::answer_of(result->reply), at.now_ns);
    // the operation stays open; one word is enough: whoever lies about it only makes the client go on
    ++counters_.overtaken;
    forget(session);
}

void Clients::restored(const Server& at) {
    if (!trust_.lies.empty() && trust_.lies[at.node]) return;
    for (std::size_t i = 0; i < open_.size();) {
        const Session session{open_[i].number >> 32, open_[i].number & 0xffffffffU, 0};
        const Result* result = at.applier->sessions().reply(session);
        const std::size_t before = open_.size();
        if (result != nullptr && (open_[i].asked & bit(at.node)) != 0) {
            ++counters_.from_snapshots;
            reply(at.node, open_[i], session, Recorder::answer_of(result->reply), at.now_ns);
        }
        i = open_.size() == before ? i + 1 : 0;
    }
}

void Clients::answered(const Session& session, const Recorder::Answer& answer, std::int64_t call_ns,
                       std::int64_t now_ns) {
    history_.answer(history_.call(session, call_ns), answer, now_ns);
}

void Clients::ask_read(NodeId node, std::uint64_t context, std::int64_t now_ns) {
    asked_[node].push_back({.context = context, .operation = history_.read(0, now_ns)});
}

void Clients::read_refused(NodeId node, std::uint64_t context) {
    std::erase_if(asked_[node], [context](const Read& one) { return one.context == context; });
    ++counters_.reads_refused;
}

void Clients::read(const Server& at, std::uint64_t context, Index index, bool is_confirmed,
                   std::int64_t valid_until_ns) {
    std::vector<Read>& asked = asked_[at.node];
    const auto found =
        std::find_if(asked.begin(), asked.end(), [context](const Read& one) { return one.context == context; });
    if (found == asked.end()) return;
    Read read = *found;
    asked.erase(found);
    if (!is_confirmed) {
        ++counters_.reads_refused;
        return;
    }
    read.index = index;
    read.valid_until_ns = valid_until_ns;
    if (at.applier->log_index() >= index)
        answer_read(at, read);
    else
        confirmed_[at.node].push_back(read);
}

void Clients::advanced(const Server& at) {
    std::vector<Read>& confirmed = confirmed_[at.node];
    std::erase_if(confirmed, [&](const Read& read) {
        if (at.applier->log_index() < read.index) return false;
        answer_read(at, read);
        return true;
    });
}

void Clients::answer_read(const Server& at, const Read& read) {
    const bool is_lease = read.valid_until_ns != INT64_MAX;
    if (is_lease && at.clock_ns >= read.valid_until_ns) {
        ++counters_.leases_run_out;
        return;
    }
    counters_.reads_of_leases += is_lease;
    history_.answer(read.operation, static_cast<Recorder&>(at.applier->machine()).read(), at.now_ns);
}

}  // namespace fastmas::consensus
