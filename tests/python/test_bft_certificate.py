"""fastmas.certificate: a third party checks what a BFT cluster decided, with public keys and real signatures."""

from __future__ import annotations

import hashlib
import struct

import pytest

from fastmas._core.consensus import bft_read_block, bft_validators
from fastmas.certificate import (
    Decision,
    Ed25519Signer,
    Validator,
    encode_certificate,
    genesis_digest,
    precommit_statement,
    verify_certificate,
)
from fastmas.errors import ConfigError

pytest.importorskip("cryptography")

SIGNERS = {node: Ed25519Signer(hashlib.sha256(b"secret %d" % node).digest()) for node in range(1, 5)}
VALIDATORS = [Validator(node, 1, signer.public_key) for node, signer in SIGNERS.items()]
GENESIS = genesis_digest("exchange", VALIDATORS)
SET = bft_validators([(one.id, one.power, one.key) for one in VALIDATORS])


def block_of(commands: list[bytes], height: int = 1, names: bytes = SET) -> bytes:
    """Lay out a block by hand, as cpp/consensus/bft/codec.cpp says it is."""
    body = struct.pack("<QQqI", height, 1, 5, 1) + bytes(32) + names + names + struct.pack("<I", len(commands))
    for sequence, command in enumerate(commands, 1):
        body += struct.pack("<BQQQqI", 1, 9, sequence, sequence - 1, 5, len(command)) + command
    return body


def certify(block: bytes, signers: list[int], *, genesis: bytes = GENESIS, round_: int = 0, height: int = 1) -> bytes:
    digest = bft_read_block(block)[3]
    assert isinstance(digest, bytes)
    statement = precommit_statement(genesis, height, round_, digest)
    return encode_certificate(height, round_, digest, [(node, SIGNERS[node].sign(statement)) for node in signers])


BLOCK = block_of([b"buy 100", b"sell 5"])


def test_a_certificate_proves_its_block() -> None:
    decision = verify_certificate(BLOCK, certify(BLOCK, [1, 2, 4]), VALIDATORS, GENESIS)
    assert isinstance(decision, Decision)
    assert decision.commands == (b"buy 100", b"sell 5")
    assert (decision.height, decision.round, decision.first_index, decision.time_ns) == (1, 0, 1, 5)
    assert decision.signers == (1, 2, 4)


@pytest.mark.parametrize(
    ("block", "certificate", "text"),
    [
        (BLOCK, certify(BLOCK, [1, 2]), "not more than two thirds of the voting power"),
        (BLOCK, certify(BLOCK, [1, 1, 2]), "validators come in order, each once"),
        (BLOCK, certify(BLOCK, [1, 2, 3], genesis=bytes(32)), "a signature is not the validator's"),
        (block_of([b"buy 999"]), certify(BLOCK, [1, 2, 3]), "the certificate is of another block"),
        (BLOCK, certify(BLOCK, [1, 2, 3])[:-1], "certificate cut short"),
        (BLOCK + b"\0", certify(BLOCK, [1, 2, 3]), "bytes after the end"),
        (BLOCK[:50], certify(BLOCK, [1, 2, 3]), "malformed block"),
        (block_of([b"x"], names=bytes(32)), certify(block_of([b"x"], names=bytes(32)), [1, 2, 3]), "another validator"),
    ],
)
def test_what_proves_nothing_says_why(block: bytes, certificate: bytes, text: str) -> None:
    answer = verify_certificate(block, certificate, VALIDATORS, GENESIS)
    assert isinstance(answer, str) and text in answer


def test_every_flipped_bit_is_seen() -> None:
    good = certify(BLOCK, [1, 2, 3])
    for place in range(0, len(good), 7):
        bad = bytearray(good)
        bad[place] ^= 1
        assert isinstance(verify_certificate(BLOCK, bytes(bad), VALIDATORS, GENESIS), str)


def test_wrong_arguments_name_the_cure() -> None:
    with pytest.raises(ConfigError, match="an Ed25519 secret has 32 bytes, got 3; make one with"):
        Ed25519Signer(b"abc")
    with pytest.raises(ConfigError, match="a public key has 32 bytes, got 2"):
        genesis_digest("x", [Validator(1, 1, b"ab")])
    with pytest.raises(ConfigError, match="1 to 63 validators"):
        genesis_digest("x", [])
