"""Commit certificates of a BFT cluster, checked by whoever has the validators' public keys.

A certificate is more than two thirds of the validators' voting power, each with a signature of a precommit for one
block. It proves that the block was decided, to anybody, whoever hands it over: a gateway to the outside takes an order
only with the certificate of the block it stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

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

Verify = Callable[[list[tuple[bytes, bytes, bytes]]], bool]


@dataclass(frozen=True, slots=True)
class Validator:
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


class Ed25519Signer:
    """A validator's secret key; needs the `cryptography` package (`pip install "fastmas[bft]"`).

    Parameters
    ----------
    secret : bytes
        32 bytes; whoever has them signs in this validator's name.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 32:
            raise ConfigError(f"an Ed25519 secret has 32 bytes, got {len(secret)}; make one with os.urandom(32)")
        self._key = _ed25519().Ed25519PrivateKey.from_private_bytes(secret)

    @property
    def public_key(self) -> bytes:
        """The 32 bytes that others check its signatures with."""
        key: bytes = self._key.public_key().public_bytes_raw()
        return key

    def sign(self, statement: bytes) -> bytes:
        """Return the signature, 64 bytes; the same for the same statement."""
        signature: bytes = self._key.sign(statement)
        return signature


def verify_ed25519(items: list[tuple[bytes, bytes, bytes]]) -> bool:
    """Return whether all of [(public key, statement, signature)] are good; needs `cryptography`."""
    from cryptography.exceptions import InvalidSignature

    public_key = _ed25519().Ed25519PublicKey.from_public_bytes
    try:
        for key, statement, signature in items:
            public_key(key).verify(signature, statement)
    except (InvalidSignature, ValueError):
        return False
    return True


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise ConfigError('Ed25519 needs the cryptography package; pip install "fastmas[bft]"') from error
    return ed25519


def _rows(validators: Iterable[Validator]) -> list[tuple[int, int, bytes]]:
    return [(validator.id, validator.power, validator.key) for validator in validators]


def genesis_digest(chain: str, validators: Iterable[Validator]) -> bytes:
    """Name a chain by its name and its first validators: every signature is about one chain."""
    return bft_genesis(chain, _rows(validators))


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
    rows = _rows(validators)
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
