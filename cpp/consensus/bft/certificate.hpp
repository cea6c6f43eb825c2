// Proofs that hold outside the cluster: commit certificates and evidence of equivocation.
#pragma once

#include "consensus/bft/signing.hpp"
#include "consensus/bft/validators.hpp"

namespace fastmas::consensus::bft {

// What is wrong with the certificate, or nullptr when more than two thirds of the set's power signed a precommit for
// its value at its height and round. Needs the public keys of the set that decides at that height, nothing else: no
// node, no chain, no trust in who hands it over (PITFALLS 39). Bounded work: at most one check a validator.
const char* verify_certificate(const Digest& genesis, const ValidatorSet& set, const Certificate& certificate,
                               Verifier& verifier);

// What is wrong with the evidence, or nullptr when it proves that its culprit, of this set, signed two statements that
// exclude one another.
const char* verify_evidence(const Digest& genesis, const ValidatorSet& set, const Evidence& evidence,
                            Verifier& verifier);

// Recomputes what Block::id is said to be. O(bytes).
Digest block_digest(const Block& block);

}  // namespace fastmas::consensus::bft
