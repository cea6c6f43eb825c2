"""Commit certificates of a BFT cluster, checked by whoever has the validators' public keys.

A certificate is more than two thirds of the validators' voting power, each with a signature of a precommit for one
block. It proves that the block was decided, to anybody, whoever hands it over: a gateway to the outside takes an order
only with the certificate of the block it stands in.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fastmas._core.consensus import (
    bft_check_certificate,
    bft_genesis,
    bft_make_certificate,
    bft_read_block,
    bft_read_certificate,
    bft_statement,
    bft_validators,
)
from fastmas.errors import ConfigError
from fastmas.signatures import Ed25519Signer, Verify, checked_genesis, verify_ed25519

__all__ = [
    "CertifiedGate",
    "CommittedRead",
    "Decision",
    "Ed25519Signer",
    "Validator",
    "Verify",
    "encode_certificate",
    "genesis_digest",
    "precommit_statement",
    "verify_certificate",
    "verify_ed25519",
]

_CHANGE = struct.Struct("<IQ32s")  # a change of a validator: id, power (0 removes), key


class Validator(NamedTuple):
    """Who decides: its node id, its voting power and its public key of 32 bytes."""

    id: int
    power: int
    key: bytes


@dataclass(frozen=True, slots=True)
class Decision:
    """A block whose certificate holds.

    Attributes
    ----------
    height, round : int
        Of the decision.
    first_index : int
        The place of the first command in the log.
    time_ns : int
        Of the block.
    digest : bytes
        Of the block; what was signed.
    signers : tuple of int
        The validators whose signatures it took.
    commands : tuple of bytes
        In their order; changes of validators are left out.
    """

    height: int
    round: int
    first_index: int
    time_ns: int
    digest: bytes
    signers: tuple[int, ...]
    commands: tuple[bytes, ...]


def genesis_digest(
    chain: str,
    validators: Iterable[Validator],
    *,
    max_block_commands: int = 1024,
    max_block_bytes: int = 1 << 20,
    max_command_bytes: int = 1 << 20,
) -> bytes:
    """Name a chain by its name, its first validators and the limits of its blocks: every signature is about one."""
    return bft_genesis(chain, tuple(validators), max_block_commands, max_block_bytes, max_command_bytes)


def precommit_statement(genesis: bytes, height: int, round: int, digest: bytes) -> bytes:
    """Return the 128 bytes that a validator signs to precommit a block."""
    return bft_statement(genesis, 2, height, round, digest)


def encode_certificate(height: int, round: int, digest: bytes, votes: Sequence[tuple[int, bytes]]) -> bytes:
    """Put precommits together: (validator id, signature) of each, by id."""
    return bft_make_certificate(height, round, digest, votes)


def verify_certificate(
    block: bytes, certificate: bytes, validators: Iterable[Validator], genesis: bytes, verify: Verify = verify_ed25519
) -> Decision | str:
    """Check that the block was decided; return it, or what is wrong in words.

    Parameters
    ----------
    block, certificate : bytes
        As a node encodes them. Hostile bytes are an answer like another.
    validators : iterable of Validator
        The set that decides at that height. A block names the digest of the set that decides on it and of the next
        one's, so that who trusts one set can follow a chain of certificates from there.
    genesis : bytes
        `genesis_digest` of the chain.
    verify : callable, default verify_ed25519
        Gets all signatures at once: [(public key, statement, signature)] -> whether all are good.
    """
    rows = tuple(validators)
    content = bft_read_block(block)
    if isinstance(content, str):
        return content
    proof = bft_read_certificate(certificate)
    if isinstance(proof, str):
        return proof
    height, first_index, time_ns, digest, decided_by, _, commands = content
    if (proof[0], proof[2]) != (height, digest):
        return "the certificate is of another block"
    if decided_by != bft_validators(rows):
        return "the block names another validator set"
    problem = bft_check_certificate(genesis, rows, certificate, verify)
    if problem is not None:
        return problem
    return Decision(
        height=height,
        round=proof[1],
        first_index=first_index,
        time_ns=time_ns,
        digest=digest,
        signers=tuple(proof[3]),
        commands=tuple(command for kind, _, _, _, command in commands if kind == 1),
    )


class CertifiedGate:
    """The way to the outside: lets through what a BFT cluster decided, each height once and in order, and nothing else.

    It trusts no node: whoever hands a block over must show its commit certificate. It follows changes of the
    validators, which take effect at the next height. What does not hold is refused in words, counted, and changes
    nothing.

    Parameters
    ----------
    genesis : bytes
        `genesis_digest` of the chain.
    validators : iterable of Validator
        Who decides on the first height that is to come.
    height : int, default 0
        The last height that was let through already: where a restarted gate goes on, with the validators as of then.
    verify : callable, default verify_ed25519
        As for `verify_certificate`.

    Attributes
    ----------
    height : int
        The last height that was let through.
    validators : tuple of Validator
        Who decides on the next one.
    admitted, refused : int
        How many blocks were.

    Examples
    --------
    >>> import hashlib
    >>> from fastmas.certificate import CertifiedGate, Ed25519Signer, Validator, genesis_digest
    >>> keys = [Ed25519Signer(hashlib.sha256(bytes([n])).digest()).public_key for n in range(4)]
    >>> validators = [Validator(n + 1, 1, key) for n, key in enumerate(keys)]
    >>> gate = CertifiedGate(genesis_digest("exchange", validators), validators)
    >>> gate.admit(b"sell everything", b"trust me")
    'malformed block'
    >>> gate.height, gate.refused
    (0, 1)
    """

    def __init__(
        self, genesis: bytes, validators: Iterable[Validator], *, height: int = 0, verify: Verify = verify_ed25519
    ) -> None:
        if height < 0:
            raise ConfigError(f"heights are counted from 1, got {height}; leave it out to begin with the first")
        self._genesis, self._verify = checked_genesis(genesis), verify
        self.validators = tuple(validators)
        bft_validators(self.validators)  # refused here, not at the first block
        self.height = height
        self.admitted = self.refused = 0

    def admit(self, block: bytes, certificate: bytes) -> Decision | str:
        """Let a block through, or say why not.

        Parameters
        ----------
        block, certificate : bytes
            As a node encodes them; hostile bytes are refused like others.

        Returns
        -------
        Decision or str
            What was decided: its `commands` may go out now, and will not come again. Or what is wrong.
        """
        answer = self._check(block, certificate)
        if isinstance(answer, str):
            self.refused += 1
            return answer
        decision, self.validators = answer
        self.height = decision.height
        self.admitted += 1
        return decision

    def _check(self, block: bytes, certificate: bytes) -> tuple[Decision, tuple[Validator, ...]] | str:
        content = bft_read_block(block)
        if isinstance(content, str):
            return content
        height, next_set, commands = content[0], content[5], content[6]
        if height <= self.height:
            return f"height {height} was let through already"
        if height > self.height + 1:
            return f"height {height} comes after height {self.height + 1}"
        decision = verify_certificate(block, certificate, self.validators, self._genesis, self._verify)
        if isinstance(decision, str):
            return decision
        known = {one.id: one for one in self.validators}
        for kind, _, _, _, command in commands:
            if kind == 2 and len(command) == _CHANGE.size:
                change = Validator(*_CHANGE.unpack(command))
                known.pop(change.id, None)
                if change.power:
                    known[change.id] = change
        following = tuple(known[number] for number in sorted(known))
        if not following or bft_validators(following) != next_set:
            return "its changes of validators do not lead to the set that it names"
        return decision, following


class CommittedRead:
    """A read-only answer that was not ordered: believed once somebody correct gave it, and of a decided height only.

    A client asks all validators; each answers from its state machine as of its latest block, with that block and its
    certificate. An answer holds once validators with more than a third of the voting power gave the same for the same
    block: one of them at least is correct. It may be old: what was decided since is not in it. A client passes the
    last height that it has seen as `at_least`, so that it never goes back; a read that must see all that was decided
    before it is a command like others.

    Parameters
    ----------
    genesis : bytes
        `genesis_digest` of the chain.
    validators : iterable of Validator
        Who decides on that height.
    at_least : int, default 1
        Answers of earlier heights are refused.
    verify : callable, default verify_ed25519
        As for `verify_certificate`.

    Attributes
    ----------
    refused : int
        Answers that count for nothing.
    height : int
        Of the answer that holds; 0 before.
    """

    def __init__(
        self, genesis: bytes, validators: Iterable[Validator], *, at_least: int = 1, verify: Verify = verify_ed25519
    ) -> None:
        self._genesis, self._validators, self._verify = checked_genesis(genesis), tuple(validators), verify
        bft_validators(self._validators)  # refused here, not at the first answer
        self._powers = {one.id: one.power for one in self._validators}
        self._at_least = at_least
        self._answers: dict[int, tuple[int, bytes, bytes]] = {}  # by validator: one each, so it is bounded
        self.refused = self.height = 0

    def add(self, validator: int, block: bytes, certificate: bytes, reply: bytes) -> bytes | None:
        """Take the answer of one validator, whom the link has authenticated; return the reply once it holds.

        Parameters
        ----------
        validator : int
            Who says so; of each, the first answer counts.
        block, certificate : bytes
            The latest block that it had applied; hostile bytes are refused like others.
        reply : bytes
            What its state machine said.
        """
        decision = verify_certificate(block, certificate, self._validators, self._genesis, self._verify)
        if (
            validator not in self._powers
            or validator in self._answers
            or isinstance(decision, str)
            or decision.height < self._at_least
        ):
            self.refused += 1
            return None
        answer = self._answers[validator] = (decision.height, decision.digest, reply)
        power = sum(self._powers[one] for one, given in self._answers.items() if given == answer)
        if 3 * power <= sum(self._powers.values()):
            return None
        self.height = decision.height
        return reply
