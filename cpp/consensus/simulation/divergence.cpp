#include "consensus/simulation/divergence.hpp"

#include <algorithm>

#include "consensus/quorum.hpp"

namespace fastmas::consensus {

DivergenceMonitor::Open& DivergenceMonitor::open(std::uint64_t index) {
    for (std::size_t i = 0; i < open_count_; ++i)
        if (open_[i].index == index) return open_[i];
    if (open_count_ == open_.size()) open_.emplace_back();
    Open& fresh = open_[open_count_++];
    fresh.index = index;
    fresh.votes.clear();
    return fresh;
}

DivergenceMonitor::Verdict DivergenceMonitor::vote(NodeId node, std::uint64_t index, std::uint64_t fingerprint) {
    Verdict verdict;
    if (index > decided_.size()) {
        decided_.resize(index);
        fingerprints_.resize(index);
    }
    if (decided_[index - 1]) {
        verdict.agrees = fingerprints_[index - 1] == fingerprint;
        return verdict;
    }
    std::vector<Vote>& votes = open(index).votes;
    const auto mine = std::find_if(votes.begin(), votes.end(), [&](const Vote& vote) { return vote.node == node; });
    if (mine != votes.end())
        mine->fingerprint = fingerprint;
    else
        votes.push_back({node, fingerprint});

    const auto count = [&](std::uint64_t value) {
        return static_cast<std::size_t>(
            std::count_if(votes.begin(), votes.end(), [&](const Vote& vote) { return vote.fingerprint == value; }));
    };
    if (count(fingerprint) < quorum_size(nodes_)) {
        std::size_t best = 0;
        for (const Vote& vote : votes) best = std::max(best, count(vote.fingerprint));
        verdict.impossible = best + (nodes_ - votes.size()) < quorum_size(nodes_);
        return verdict;
    }
    verdict.decided_now = true;
    for (const Vote& vote : votes)
        if (vote.fingerprint != fingerprint) verdict.diverged.push_back(vote.node);
    decided_[index - 1] = true;
    fingerprints_[index - 1] = fingerprint;
    std::swap(open(index), open_[open_count_ - 1]);
    --open_count_;
    return verdict;
}

DivergenceMonitor::Verdict DivergenceMonitor::copied(NodeId node, std::uint64_t index) {
    if (index > decided_.size() || decided_[index - 1]) return {};
    const std::vector<Vote>& votes = open(index).votes;
    const auto same = [&](const Vote& one) { return one.fingerprint == votes.front().fingerprint; };
    if (votes.empty() || !std::all_of(votes.begin(), votes.end(), same)) return {};
    return vote(node, index, votes.front().fingerprint);
}

}  // namespace fastmas::consensus
