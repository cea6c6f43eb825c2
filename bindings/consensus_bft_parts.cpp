#include "consensus_bft_parts.hpp"

#include "consensus/bft/codec.hpp"
#include "consensus_node_parts.hpp"

namespace fastmas::bindings {

using namespace consensus;
using namespace consensus::bft;

namespace {

std::string type_name(const py::handle& object) {
    return py::str(py::type::of(object).attr("__name__"));
}

PublicKey key_of(const py::object& signer) {
    const py::object key = py::getattr(signer, "public_key", py::none());
    if (!py::isinstance<py::bytes>(key))
        throw base::ConfigError("signer.public_key must be bytes, got " + type_name(key) +
                                "; give the 32 bytes that the signatures are checked with");
    return to_array<32>(std::string_view(py::bytes(key)), "a public key");
}

py::object callable(py::object object, const char* what, const char* cure) {
    if (PyCallable_Check(object.ptr()) == 0)
        throw base::ConfigError(std::string(what) + " must be callable, got " + type_name(object) + "; " + cure);
    return object;
}

bool to_bool(const py::object& answer, const char* what) {
    if (!py::isinstance<py::bool_>(answer))
        throw base::ConfigError(std::string(what) + " must return True or False, got " + type_name(answer) +
                                "; wrap it in bool()");
    return py::cast<bool>(answer);
}

// Runs what calls Python; whatever comes out of it is noted and passed on.
template <class Body>
auto noting(const Failure& failure, const char* what, Body body) {
    try {
        return body();
    } catch (const std::exception& error) {
        const std::string text = error.what();
        *failure = std::string(what) + " failed: " + text.substr(0, text.find('\n'));
        throw;
    }
}

}  // namespace

std::vector<Validator> to_validators(const std::vector<PythonValidator>& validators) {
    std::vector<Validator> all;
    for (const auto& [id, power, key] : validators)
        all.push_back({id, power, to_array<32>(std::string_view(key), "a public key")});
    return all;
}

ValidatorSet to_set(const std::vector<PythonValidator>& validators) {
    return ValidatorSet(to_validators(validators));
}

py::tuple to_python(const Verifier::Item& item) {
    return py::make_tuple(to_python(item.key), to_python(item.bytes), to_python(item.signature));
}

PythonVerifier::PythonVerifier(py::object verify, Failure failure)
    : verify_(
          callable(std::move(verify), "verify", "pass [(key, statement, signature)] -> bool, as Ed25519Verifier is")),
      failure_(std::move(failure)) {}

bool PythonVerifier::verify(const PublicKey& key, std::span<const std::byte> bytes, const Signature& signature) {
    py::list items;
    items.append(py::make_tuple(to_python(key), to_python(bytes), to_python(signature)));
    return ask(items);
}

bool PythonVerifier::verify_all(std::span<const Item> items) {
    py::list list;
    for (const Item& item : items) list.append(to_python(item));
    return ask(list);
}

bool PythonVerifier::ask(const py::list& items) {
    return noting(failure_, "verify", [&] { return to_bool(verify_(items), "verify"); });
}

PythonSigner::PythonSigner(const py::object& signer, Failure failure)
    : sign_(callable(py::getattr(signer, "sign", py::none()), "signer.sign",
                     "pass an object with sign(bytes) -> bytes and public_key, as Ed25519Signer is")),
      key_(key_of(signer)),
      failure_(std::move(failure)) {}

Signature PythonSigner::sign(std::span<const std::byte> bytes) {
    return noting(failure_, "signer", [&] {
        const py::object signature = sign_(to_python(bytes));
        if (!py::isinstance<py::bytes>(signature))
            throw base::ConfigError("sign must return bytes, got " + type_name(signature) +
                                    "; return the signature's 64 bytes");
        return to_array<64>(std::string_view(py::bytes(signature)), "a signature");
    });
}

PythonRule::PythonRule(py::object rule, Failure failure)
    : rule_(callable(std::move(rule), "rule", "pass (BftCommand) -> bool")), failure_(std::move(failure)) {}

bool PythonRule::allows(const consensus::bft::Command& command) const {
    return noting(failure_, "rule", [&] { return to_bool(rule_(command), "rule"); });
}

BftReadyCopy copy_ready(BftNode& node) {
    const Ready& ready = node.ready();
    BftReadyCopy copy;
    copy_what_all_have(ready, copy);
    copy.decided.assign(ready.decided.begin(), ready.decided.end());
    return copy;
}

std::vector<EvidenceCopy> copy_evidence(const BftNode& node) {
    std::vector<EvidenceCopy> all;
    for (const Evidence& held : node.evidence()) {
        EvidenceCopy& copy = all.emplace_back();
        copy.culprit = held.culprit();
        copy.height = held.height();
        const auto add = [&](const auto& statement) {
            copy.round = statement.round;
            copy.statements.emplace_back(to_python(sign_bytes(node.genesis(), statement)),
                                         to_python(statement.signature));
        };
        if (held.kind == Evidence::Kind::proposal) {
            copy.kind = "proposal";
            add(held.first_proposal);
            add(held.second_proposal);
        } else {
            copy.kind = held.first_vote.type == VoteType::prevote ? "prevote" : "precommit";
            add(held.first_vote);
            add(held.second_vote);
        }
    }
    return all;
}

}  // namespace fastmas::bindings
