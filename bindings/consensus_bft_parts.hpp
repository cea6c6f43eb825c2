// What the files of BFT share: keys and digests as bytes objects, Python callables as signer, verifier and rule.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "bindings.hpp"
#include "consensus/bft/node.hpp"

namespace fastmas::bindings {

using PythonValidator = std::tuple<consensus::NodeId, consensus::bft::Power, py::bytes>;  // id, power, key

inline std::span<const std::byte> span_of(const std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

inline py::bytes to_python(std::span<const std::byte> bytes) {
    return py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

template <std::size_t N>
std::array<std::byte, N> to_array(std::string_view text, const char* what) {
    if (text.size() != N)
        throw base::ConfigError(std::string(what) + " has " + std::to_string(N) + " bytes, got " +
                                std::to_string(text.size()) + "; pass them as they are, not as text");
    std::array<std::byte, N> array;
    std::copy_n(reinterpret_cast<const std::byte*>(text.data()), N, array.begin());
    return array;
}

std::vector<consensus::bft::Validator> to_validators(const std::vector<PythonValidator>& validators);
consensus::bft::ValidatorSet to_set(const std::vector<PythonValidator>& validators);

// Why a callable that a node was given could not answer; empty as long as all could. A node that got an exception in
// the middle of a step is of no more use.
using Failure = std::shared_ptr<std::string>;

// Hands all signatures of a proof over in one call: [(key, bytes, signature)] -> bool.
class PythonVerifier final : public consensus::bft::Verifier {
  public:
    PythonVerifier(py::object verify, Failure failure);
    bool verify(const consensus::bft::PublicKey& key, std::span<const std::byte> bytes,
                const consensus::bft::Signature& signature) override;
    bool verify_all(std::span<const Item> items) override;
    py::object& held() noexcept { return verify_; }

  private:
    bool ask(const py::list& items);

    py::object verify_;
    Failure failure_;
};

// An object with sign(bytes) -> 64 bytes and public_key.
class PythonSigner final : public consensus::bft::Signer {
  public:
    PythonSigner(const py::object& signer, Failure failure);
    consensus::bft::Signature sign(std::span<const std::byte> bytes) override;
    consensus::bft::PublicKey public_key() const override { return key_; }
    py::object& held() noexcept { return sign_; }

  private:
    py::object sign_;
    consensus::bft::PublicKey key_;
    Failure failure_;
};

// A callable: (BftCommand) -> bool.
class PythonRule final : public consensus::bft::CommandRule {
  public:
    PythonRule(py::object rule, Failure failure);
    bool allows(const consensus::bft::Command& command) const override;
    py::object& held() noexcept { return rule_; }

  private:
    py::object rule_;
    Failure failure_;
};

py::tuple to_python(const consensus::bft::Verifier::Item& item);

// What Python keeps of a Ready; valid after advance().
struct BftReadyCopy {
    std::optional<consensus::bft::Snapshot> snapshot;
    std::vector<consensus::bft::Decided> decided;
    std::optional<consensus::bft::HardState> hard_state;
    bool must_sync = false;
    std::uint64_t write = 0;
    std::vector<std::pair<consensus::NodeId, py::bytes>> messages;
    std::vector<consensus::bft::Entry> committed;
};
BftReadyCopy copy_ready(consensus::bft::BftNode& node);

// Two statements of one validator that exclude one another, as anybody can check them.
struct EvidenceCopy {
    const char* kind = "";
    consensus::NodeId culprit = 0;
    consensus::bft::Height height = 0;
    consensus::bft::Round round = 0;
    std::vector<std::pair<py::bytes, py::bytes>> statements;  // what was signed, and the signature
};
std::vector<EvidenceCopy> copy_evidence(const consensus::bft::BftNode& node);

void register_bft_types(py::module_& area);
void register_bft_node(py::module_& area);

}  // namespace fastmas::bindings
