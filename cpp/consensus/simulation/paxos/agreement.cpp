#include "consensus/simulation/paxos/agreement.hpp"

#include <algorithm>
#include <memory>

namespace fastmas::consensus::paxos {
namespace {

class Run {
  public:
    Run(const AgreementOptions& options, const std::vector<Payload>& values)
        : options_(options),
          values_(values),
          network_(values.size(), options.network, options.seed),
          random_(base::derive_seed(options.seed, "agreement")),
          crashes_left_(options.crashes),
          members_(values.size()) {
        options_.quorums = checked(options.quorums, values.size());
        const std::size_t needed = std::max(options_.quorums.prepare, options_.quorums.accept);
        if (options.crashes > values.size() - needed)
            throw base::ConfigError("at most " + std::to_string(values.size() - needed) + " of " +
                                    std::to_string(values.size()) + " agents may crash at once, got crashes=" +
                                    std::to_string(options.crashes) + "; take fewer, or more agents");
    }

    Agreement run() {
        // whoever speaks first is a matter of the seed; the others wait as long as a ballot may take
        const auto first = static_cast<NodeId>(1 + random_.below(members_.size()));
        for (NodeId id = 1; id <= members_.size(); ++id) boot(id);
        at(first).node->propose(values_[first - 1], true);
        process(first);
        while (known_ < members_.size()) {
            if (now_ns_ > options_.timeout_ns) {
                agreement_.text = "no agreement within " + std::to_string(options_.timeout_ns / 1'000'000) +
                                  " ms of virtual time: " + std::to_string(known_) + " of " +
                                  std::to_string(members_.size()) + " agents know a decision; lower the loss";
                break;
            }
            run_one();
        }
        agreement_.decided = known_ == members_.size();
        agreement_.network = network_.counters();
        agreement_.time_ns = now_ns_;
        for (const Member& member : members_) agreement_.rounds += member.ballots + member.node->ballots();
        for (std::size_t i = 0; i < values_.size() && agreement_.proposer == kNoNode; ++i)
            if (agreement_.decided && values_[i] == agreement_.value) agreement_.proposer = static_cast<NodeId>(i + 1);
        if (agreement_.decided && agreement_.proposer == kNoNode)
            throw base::InvariantError("nontriviality: only a value that was proposed may be chosen (PMS §2.1)");
        return std::move(agreement_);
    }

  private:
    struct Member {
        std::unique_ptr<SynodNode> node;
        SynodState disk;
        bool is_up = true;
        bool knows = false;
        std::int64_t next_tick_ns = 0;
        std::int64_t back_ns = 0;
        std::uint64_t ballots = 0;  // of earlier lives
    };
    Member& at(NodeId id) { return members_[id - 1]; }

    void boot(NodeId id) {
        SynodConfig config;
        config.id = id;
        config.nodes = members_.size();
        config.quorums = options_.quorums;
        config.seed = options_.seed + agreement_.crashes * 0x9e3779b97f4a7c15ULL;
        // a ballot takes four delays: whoever has waited that long has a reason to try himself
        config.retry_ticks = static_cast<std::uint32_t>(6 * options_.network.delay_high_ns / options_.tick_ns + 2);
        Member& member = at(id);
        if (member.node) member.ballots += member.node->ballots();
        member.node = std::make_unique<SynodNode>(config, member.disk);
        member.is_up = true;
        member.next_tick_ns = now_ns_ + random_.between(1, options_.tick_ns);
        member.node->propose(values_[id - 1], false);
    }

    void run_one() {
        std::int64_t next_ns = INT64_MAX;
        NodeId next = kNoNode;
        for (NodeId id = 1; id <= members_.size(); ++id) {
            const Member& member = at(id);
            const std::int64_t ns = member.is_up ? member.next_tick_ns : member.back_ns;
            if (ns < next_ns) next_ns = ns, next = id;
        }
        if (!network_.empty() && network_.next_ns() <= next_ns) {
            now_ns_ = network_.next_ns();
            const SynodMessage* message = network_.receive();
            if (message == nullptr || !at(message->to).is_up) return;
            const NodeId to = message->to;
            at(to).node->step(*message);
            process(to);
            return;
        }
        now_ns_ = next_ns;
        Member& member = at(next);
        if (!member.is_up) {
            boot(next);
            return;
        }
        member.next_tick_ns += options_.tick_ns;
        member.node->tick();
        process(next);
    }

    void process(NodeId id) {
        Member& member = at(id);
        while (member.node->has_ready()) {
            const SynodReady& ready = member.node->ready();
            if (ready.state != nullptr) member.disk = *ready.state;
            for (const SynodMessage& message : ready.messages) {
                if (message.type == SynodType::accept && crashes_left_ != 0 && random_.below(2) == 0) {
                    crash(id);
                    return;
                }
                send(message);
            }
            member.node->advance();
        }
        if (member.knows || !member.node->is_decided()) return;
        learn(member);
    }

    void learn(Member& member) {
        member.knows = true;
        const SynodNode& node = *member.node;
        if (known_++ == 0) {
            agreement_.value = node.decision();
            agreement_.ballot = node.decided_ballot();
        } else if (!(agreement_.value == node.decision())) {
            throw base::InvariantError("agreement: two nodes learnt different decisions, in ballots " +
                                       to_string(agreement_.ballot) + " and " + to_string(node.decided_ballot()));
        }
    }

    void send(const SynodMessage& message) {
        if (options_.trace)
            agreement_.trace.push_back({now_ns_, message.type, message.from, message.to, message.ballot});
        network_.send(message, now_ns_);
    }

    void crash(NodeId id) {
        --crashes_left_;
        ++agreement_.crashes;
        at(id).is_up = false;
        // long enough that the others must finish, or begin, what it left
        at(id).back_ns = now_ns_ + 40 * options_.network.delay_high_ns + 40 * options_.tick_ns;
    }

    AgreementOptions options_;
    const std::vector<Payload>& values_;
    SimNetwork<SynodMessage> network_;
    base::Prng random_;
    std::size_t crashes_left_;
    std::vector<Member> members_;
    std::size_t known_ = 0;
    std::int64_t now_ns_ = 0;
    Agreement agreement_;
};

}  // namespace

Agreement agree(const AgreementOptions& options, const std::vector<Payload>& values) {
    if (values.empty() || values.size() > kMaxNodes)
        throw base::ConfigError("agree takes 1 to " + std::to_string(kMaxNodes) + " proposals, got " +
                                std::to_string(values.size()) + "; agree in groups");
    return Run(options, values).run();
}

}  // namespace fastmas::consensus::paxos
