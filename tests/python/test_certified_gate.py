"""CertifiedGate: nothing gets out without a certificate, nothing twice, nothing out of order, whoever hands it over."""

from __future__ import annotations

import hashlib
import struct

import pytest

from fastmas._core.consensus import bft_read_block, bft_validators
from fastmas.certificate import (
    CertifiedGate,
    Decision,
    Ed25519Signer,
    Validator,
    encode_certificate,
    genesis_digest,
    precommit_statement,
)
from fastmas.errors import ConfigError

pytest.importorskip("cryptography")

SIGNERS = {node: Ed25519Signer(hashlib.sha256(b"gate %d" % node).digest()) for node in range(1, 7)}
FOUR = [Validator(node, 1, SIGNERS[node].public_key) for node in range(1, 5)]
GENESIS = genesis_digest("exchange", FOUR)


def names(validators: list[Validator]) -> bytes:
    return bft_validators([(one.id, one.power, one.key) for one in validators])


def block_of(
    height: int,
    commands: list[tuple[int, bytes]],
    by: list[Validator] = FOUR,
    then: list[Validator] | None = None,
) -> bytes:
    """Lay out a block by hand, as cpp/consensus/bft/codec.cpp says it is; a command is (kind, bytes)."""
    body = struct.pack("<QQqI", height, 1, 5, 1) + bytes(32) + names(by) + names(then or by)
    body += struct.pack("<I", len(commands))
    for sequence, (kind, command) in enumerate(commands, 1):
        body += struct.pack("<BQQQqI", kind, 9, sequence, sequence - 1, 5, len(command)) + command
    return body


def certify(block: bytes, signers: list[int]) -> bytes:
    content = bft_read_block(block)
    assert not isinstance(content, str)
    statement = precommit_statement(GENESIS, content[0], 0, content[3])
    return encode_certificate(content[0], 0, content[3], [(node, SIGNERS[node].sign(statement)) for node in signers])


def change(node: int, power: int) -> tuple[int, bytes]:
    return 2, struct.pack("<IQ", node, power) + SIGNERS[node].public_key


def test_each_height_goes_out_once_and_in_order() -> None:
    gate = CertifiedGate(GENESIS, FOUR)
    first, second = block_of(1, [(1, b"buy 5")]), block_of(2, [(1, b"sell 5"), (1, b"buy 1")])
    assert gate.admit(second, certify(second, [1, 2, 3])) == "height 2 comes after height 1"
    decision = gate.admit(first, certify(first, [1, 2, 3]))
    assert isinstance(decision, Decision) and decision.commands == (b"buy 5",)
    assert gate.admit(first, certify(first, [2, 3, 4])) == "height 1 was let through already"
    decision = gate.admit(second, certify(second, [1, 2, 4]))
    assert isinstance(decision, Decision) and decision.commands == (b"sell 5", b"buy 1")
    assert (gate.height, gate.admitted, gate.refused) == (2, 2, 2)


def test_without_two_thirds_nothing_goes_out() -> None:
    gate = CertifiedGate(GENESIS, FOUR)
    block = block_of(1, [(1, b"buy 5")])
    for certificate in (b"", certify(block, [1, 2]), certify(block_of(1, [(1, b"buy 500")]), [1, 2, 3])):
        assert isinstance(gate.admit(block, certificate), str)
    assert (gate.height, gate.admitted, gate.refused) == (0, 0, 3)
    assert isinstance(gate.admit(block, certify(block, [1, 2, 3])), Decision)


def test_every_flipped_bit_keeps_it_shut() -> None:
    block = block_of(1, [(1, b"buy 5")])
    good = certify(block, [1, 2, 3])
    gate = CertifiedGate(GENESIS, FOUR)
    for source, other in ((block, good), (good, block)):
        for place in range(0, len(source), 5):
            bad = bytearray(source)
            bad[place] ^= 4
            pair = (bytes(bad), other) if source is block else (other, bytes(bad))
            assert isinstance(gate.admit(*pair), str)
    assert gate.height == 0


def test_it_follows_who_decides() -> None:
    gate = CertifiedGate(GENESIS, FOUR)
    five = [*FOUR, Validator(5, 3, SIGNERS[5].public_key)]
    joins = block_of(1, [(1, b"buy 5"), change(5, 3)], then=five)
    decision = gate.admit(joins, certify(joins, [1, 2, 3]))
    assert isinstance(decision, Decision) and decision.commands == (b"buy 5",)
    assert gate.validators == tuple(five)
    # four of seven votes are not enough any more, and the old set is named in vain
    old = block_of(2, [(1, b"sell 5")])
    assert "another validator set" in str(gate.admit(old, certify(old, [1, 2, 3, 4])))
    block = block_of(2, [(1, b"sell 5"), change(1, 0)], by=five, then=five[1:])
    assert "two thirds" in str(gate.admit(block, certify(block, [1, 2, 3, 4])))
    assert isinstance(gate.admit(block, certify(block, [1, 2, 5])), Decision)
    assert [one.id for one in gate.validators] == [2, 3, 4, 5]
    # a gate that begins here needs no more than the height and who decides
    again = CertifiedGate(GENESIS, gate.validators, height=gate.height)
    block = block_of(3, [(1, b"buy 9")], by=five[1:])
    decision = again.admit(block, certify(block, [2, 3, 5]))
    assert isinstance(decision, Decision) and decision == gate.admit(block, certify(block, [2, 3, 5]))


def test_a_set_that_does_not_follow_is_refused() -> None:
    gate = CertifiedGate(GENESIS, FOUR)
    block = block_of(1, [change(4, 0)], then=FOUR)
    assert "do not lead to the set" in str(gate.admit(block, certify(block, [1, 2, 3])))
    assert gate.validators == tuple(FOUR)


def test_wrong_arguments_name_the_cure() -> None:
    with pytest.raises(ConfigError, match="heights are counted from 1, got -1; leave it out"):
        CertifiedGate(GENESIS, FOUR, height=-1)
    with pytest.raises(ConfigError, match="1 to 63 validators"):
        CertifiedGate(GENESIS, [])
