#include <atomic>

#include "consensus/bft/codec.hpp"
#include "consensus_bft_docs.hpp"
#include "consensus_bft_parts.hpp"
#include "consensus_node_parts.hpp"

namespace fastmas::bindings {
namespace {

using namespace consensus;
using namespace consensus::bft;

// Whether it is worth decoding: the type stands after length and version.
bool has_signatures(std::span<const std::byte> bytes) noexcept {
    return bytes.size() > 5 && bytes[5] != std::byte{static_cast<unsigned char>(MessageType::status)} &&
           bytes[5] != std::byte{static_cast<unsigned char>(MessageType::commands)};
}

// A node whose signer, verifier and rule are Python's: they may release the interpreter's lock, raise, or call back.
class PythonBft {
  public:
    PythonBft(BftConfig config, const py::object& signer, py::object verify, py::object rule, PersistentState stored)
        : id_(config.id) {
        if (!rule.is_none()) config.rule = rule_ = std::make_shared<PythonRule>(std::move(rule), failure_);
        if (!signer.is_none()) signer_ = std::make_shared<PythonSigner>(signer, failure_);
        verifier_ = std::make_shared<PythonVerifier>(std::move(verify), failure_);
        node_ = std::make_unique<BftNode>(std::move(config), signer_, verifier_, std::move(stored));
    }

    // What the garbage collector must know of: a rule is often a method of the very object that holds the node.
    template <class Visit>
    int each_held(Visit visit) {
        int result = 0;
        if (rule_) result = visit(rule_->held());
        if (result == 0 && signer_) result = visit(signer_->held());
        return result == 0 ? visit(verifier_->held()) : result;
    }

    template <class Body>
    auto enter(Body body) {
        // [N1 acquire] pairs with [N1 release] in Leave: what an earlier call did to the node is seen
        if (busy_.exchange(true, std::memory_order_acquire))
            throw base::ConfigError("node " + std::to_string(id_) +
                                    " was called while it is in another call; call it from one thread, and not from "
                                    "its own signer, verifier or rule");
        struct Leave {
            std::atomic<bool>& flag;
            // [N1 release] pairs with [N1 acquire] above
            ~Leave() { flag.store(false, std::memory_order_release); }
        } leave{busy_};
        if (!failure_->empty())
            throw base::InvariantError("node " + std::to_string(id_) + " stopped when its " + *failure_ +
                                       "; start it again from what it has stored");
        return body(*node_);
    }

    bool step(const py::bytes& data) {
        return enter([&](BftNode& node) {
            Message message;
            if (decode(span_of(std::string_view(data)), message) != nullptr) return false;
            const auto dropped = node.counters().dropped;
            node.step(message);
            return node.counters().dropped == dropped;
        });
    }

    py::list signatures(const std::vector<py::bytes>& messages) {
        return enter([&](BftNode& node) {
            std::vector<Message> decoded;
            for (const py::bytes& data : messages) {
                const auto bytes = span_of(std::string_view(data));
                if (has_signatures(bytes) && decode(bytes, decoded.emplace_back()) != nullptr) decoded.pop_back();
            }
            std::vector<Verifier::Item> items;
            node.signatures(decoded, items);
            py::list out;
            for (const Verifier::Item& item : items) out.append(to_python(item));
            return out;
        });
    }

    py::dict peer(NodeId id) {
        return enter([&](BftNode& node) {
            const PeerCounters counters = node.peer(id);
            py::dict out;
            out["forged"] = counters.forged;
            out["invalid"] = counters.invalid;
            out["unread"] = counters.unread;
            out["overflown"] = counters.overflown;
            return out;
        });
    }

  private:
    NodeId id_;
    Failure failure_ = std::make_shared<std::string>();
    std::atomic<bool> busy_{false};
    std::shared_ptr<PythonRule> rule_;      // nullptr: none
    std::shared_ptr<PythonSigner> signer_;  // nullptr: none
    std::shared_ptr<PythonVerifier> verifier_;
    std::unique_ptr<BftNode> node_;
};

// A method or property of the node itself, guarded.
template <class R, class... A>
auto call(R (BftNode::*method)(A...)) {
    return
        [method](PythonBft& n, A... args) { return n.enter([&](BftNode& node) { return (node.*method)(args...); }); };
}
template <class R>
auto look(R (BftNode::*method)() const noexcept) {
    return [method](PythonBft& n) {
        return n.enter([&](BftNode& node) -> std::remove_cvref_t<R> { return (node.*method)(); });
    };
}

std::pair<const char*, Index> propose(PythonBft& n, const py::bytes& command, std::int64_t now_ns, std::uint64_t client,
                                      std::uint64_t sequence, std::uint64_t acknowledged,
                                      std::optional<std::int64_t> expires_ns) {
    return n.enter([&](BftNode& node) {
        const Session session = to_session(client, sequence, acknowledged, expires_ns);
        const Submission made = node.propose(Payload(std::string_view(command)), session, now_ns);
        return std::pair(name_of(made.status), made.index);
    });
}

std::pair<const char*, Index> change_validator(PythonBft& n, const PythonValidator& target, std::int64_t now_ns,
                                               std::uint64_t client, std::uint64_t sequence, std::uint64_t acknowledged,
                                               std::optional<std::int64_t> expires_ns) {
    return n.enter([&](BftNode& node) {
        const Session session = to_session(client, sequence, acknowledged, expires_ns);
        const Submission made = node.propose_change(to_validators({target}).front(), session, now_ns);
        return std::pair(name_of(made.status), made.index);
    });
}

void tick(PythonBft& n, std::optional<std::int64_t> now_ns) {
    n.enter([&](BftNode& node) {
        if (now_ns) node.set_clock(*now_ns);
        node.tick();
    });
}

std::unique_ptr<PythonBft> make_node(
    NodeId id, const std::vector<PythonValidator>& validators, py::object verify, const py::object& signer,
    std::string chain, std::vector<NodeId> peers, py::object rule, std::uint32_t propose_ticks,
    std::uint32_t prevote_ticks, std::uint32_t precommit_ticks, std::uint32_t timeout_growth_ticks,
    std::uint32_t status_ticks, std::uint32_t checkpoint_every, std::int64_t max_clock_ahead_ns,
    std::uint32_t max_block_commands, std::uint32_t max_block_bytes, std::uint32_t max_command_bytes,
    std::size_t max_pool_commands, std::size_t max_pool_bytes, std::size_t max_message_bytes,
    std::uint32_t max_wrong_messages, std::size_t max_evidence, bool async_storage, HardState hard_state,
    std::vector<Decided> decided, std::optional<Snapshot> snapshot, std::optional<Snapshot> proven) {
    BftConfig config;
    config.id = id;
    config.chain = std::move(chain);
    config.validators = to_validators(validators);
    config.peers = std::move(peers);
    config.propose_ticks = propose_ticks;
    config.prevote_ticks = prevote_ticks;
    config.precommit_ticks = precommit_ticks;
    config.timeout_growth_ticks = timeout_growth_ticks;
    config.status_ticks = status_ticks;
    config.checkpoint_every = checkpoint_every;
    config.max_clock_ahead_ns = max_clock_ahead_ns;
    config.limits = {max_block_commands, max_block_bytes, max_command_bytes};
    config.max_pool_commands = max_pool_commands;
    config.max_pool_bytes = max_pool_bytes;
    config.max_message_bytes = max_message_bytes;
    config.max_wrong_messages = max_wrong_messages;
    config.max_evidence = max_evidence;
    config.async_storage = async_storage;
    return std::make_unique<PythonBft>(std::move(config), signer, std::move(verify), std::move(rule),
                                       PersistentState{std::move(hard_state), std::move(snapshot).value_or(Snapshot{}),
                                                       std::move(decided), std::move(proven).value_or(Snapshot{})});
}

template <class... Options>
void define_init(py::class_<PythonBft>& type, Options&&... options) {
    const BftConfig usual;
    type.def(py::init(&make_node), py::arg("node"), py::arg("validators"), py::kw_only(), py::arg("verify"),
             py::arg("signer") = py::none(), py::arg("chain") = usual.chain, py::arg("peers") = std::vector<NodeId>(),
             py::arg("rule") = py::none(), py::arg("propose_ticks") = usual.propose_ticks,
             py::arg("prevote_ticks") = usual.prevote_ticks, py::arg("precommit_ticks") = usual.precommit_ticks,
             py::arg("timeout_growth_ticks") = usual.timeout_growth_ticks, py::arg("status_ticks") = usual.status_ticks,
             py::arg("checkpoint_every") = usual.checkpoint_every,
             py::arg("max_clock_ahead_ns") = usual.max_clock_ahead_ns,
             py::arg("max_block_commands") = usual.limits.max_block_commands,
             py::arg("max_block_bytes") = usual.limits.max_block_bytes,
             py::arg("max_command_bytes") = usual.limits.max_command_bytes,
             py::arg("max_pool_commands") = usual.max_pool_commands, py::arg("max_pool_bytes") = usual.max_pool_bytes,
             py::arg("max_message_bytes") = usual.max_message_bytes,
             py::arg("max_wrong_messages") = usual.max_wrong_messages, py::arg("max_evidence") = usual.max_evidence,
             py::arg("async_storage") = false, std::forward<Options>(options)...);
}

}  // namespace

void register_bft_node(py::module_& area) {
    py::class_<PythonBft> type(area, "BftNode", docs::kBftNode, collected<PythonBft>());
    define_init(type, py::arg("hard_state") = HardState(), py::arg("decided") = std::vector<Decided>(),
                py::arg("snapshot") = py::none(), py::arg("proven") = py::none());
    type.def("tick", &tick, py::arg("now_ns") = py::none(), docs::kBftTick)
        .def("step", &PythonBft::step, py::arg("message"), docs::kBftStep)
        .def("signatures", &PythonBft::signatures, py::arg("messages"), docs::kBftSignatures)
        .def("propose", &propose, py::arg("command"), py::arg("now_ns") = 0, py::arg("client") = 0,
             py::arg("sequence") = 0, py::arg("acknowledged") = 0, py::arg("expires_ns") = py::none(),
             docs::kBftPropose)
        .def("change_validator", &change_validator, py::arg("validator"), py::arg("now_ns") = 0, py::arg("client") = 0,
             py::arg("sequence") = 0, py::arg("acknowledged") = 0, py::arg("expires_ns") = py::none(),
             docs::kBftChangeValidator)
        .def("has_ready", look(&BftNode::has_ready), "Whether there is something to do.")
        .def(
            "ready", [](PythonBft& n) { return n.enter([](BftNode& node) { return copy_ready(node); }); },
            "What is to be done now: a `BftReady`, complete until `advance`.")
        .def("advance", call(&BftNode::advance), "All that the last `ready()` asked for is done.")
        .def("stored", call(&BftNode::stored), py::arg("write"), docs::kBftStored)
        .def(
            "checkpoint",
            [](PythonBft& n, const py::bytes& state) {
                return n.enter([&](BftNode& node) { return node.checkpoint(Payload(std::string_view(state))); });
            },
            py::arg("state"), docs::kBftCheckpoint)
        .def(
            "compact",
            [](PythonBft& n, Index index, const py::bytes& state) {
                n.enter([&](BftNode& node) { node.compact(index, Payload(std::string_view(state))); });
            },
            py::arg("index"), py::arg("state"), docs::kBftCompact)
        .def("peer", &PythonBft::peer, py::arg("node"), docs::kBftPeer)
        .def_property_readonly("node", look(&BftNode::id))
        .def_property_readonly(
            "genesis", [](PythonBft& n) { return n.enter([](BftNode& node) { return to_python(node.genesis()); }); })
        .def_property_readonly("height", look(&BftNode::height))
        .def_property_readonly("round",
                               [](PythonBft& n) {
                                   return n.enter([](BftNode& node) {
                                       return node.round() == kNoRound ? std::nullopt : std::optional(node.round());
                                   });
                               })
        .def_property_readonly(
            "step_name", [](PythonBft& n) { return n.enter([](BftNode& node) { return to_string(node.step_now()); }); })
        .def_property_readonly("proposer", call(&BftNode::proposer))
        .def_property_readonly("validators",
                               [](PythonBft& n) {
                                   return n.enter([](BftNode& node) {
                                       std::vector<PythonValidator> all;
                                       for (const Validator& one : node.chain().validators->all())
                                           all.emplace_back(one.id, one.power, to_python(one.key));
                                       return all;
                                   });
                               })
        .def_property_readonly("commit_index", look(&BftNode::commit_index))
        .def_property_readonly("applied_index", look(&BftNode::applied_index))
        .def_property_readonly("is_checkpoint_due", look(&BftNode::checkpoint_due))
        .def_property_readonly("first_kept_height", look(&BftNode::first_kept_height), docs::kBftFirstKept)
        .def_property_readonly(
            "proven",
            [](PythonBft& n) {
                return n.enter([](BftNode& node) {
                    return node.proven() == nullptr ? std::nullopt : std::optional(*node.proven());
                });
            },
            docs::kBftProven)
        .def_property_readonly("is_idle", look(&BftNode::is_idle))
        .def_property_readonly(
            "evidence", [](PythonBft& n) { return n.enter([](BftNode& node) { return copy_evidence(node); }); },
            "What it has seen of equivocation: a list of `Evidence`.")
        .def_property_readonly(
            "verified", [](PythonBft& n) { return n.enter([](BftNode& node) { return node.counters().verified; }); })
        .def_property_readonly(
            "dropped", [](PythonBft& n) { return n.enter([](BftNode& node) { return node.counters().dropped; }); });
}

}  // namespace fastmas::bindings
