"""CommittedRead: PITFALLS 40, a read-only answer needs f + 1 that match, of a decided height with its certificate."""

from __future__ import annotations

import pytest

pytest.importorskip("cryptography")

from bft_machines import SIGNERS, Machines, validators_of

from fastmas.certificate import CommittedRead, Validator, genesis_digest
from fastmas.consensus import Decided
from fastmas.errors import ConfigError

FOUR = validators_of(range(1, 5))
GENESIS = genesis_digest("fastmas", FOUR)


def decided_blocks(count: int = 2) -> list[Decided]:
    machines = Machines()
    for sequence in range(1, count + 1):
        machines.propose(1, b"%d" % sequence, sequence)
        machines.pump()
    return machines.decided[1]


FIRST, SECOND = decided_blocks()


def test_an_answer_holds_once_somebody_correct_gave_it() -> None:
    read = CommittedRead(GENESIS, FOUR)
    assert read.add(4, FIRST.block, FIRST.certificate, b"a lie") is None  # one liar alone
    assert read.add(4, FIRST.block, FIRST.certificate, b"truth") is None  # which has had its say
    assert read.add(1, FIRST.block, FIRST.certificate, b"truth") is None
    assert read.add(2, FIRST.block, FIRST.certificate, b"truth") == b"truth"
    assert (read.height, read.refused) == (1, 1)


def test_answers_of_different_heights_do_not_match() -> None:
    read = CommittedRead(GENESIS, FOUR)
    assert read.add(1, FIRST.block, FIRST.certificate, b"0") is None
    assert read.add(2, SECOND.block, SECOND.certificate, b"0") is None
    assert read.add(3, SECOND.block, SECOND.certificate, b"0") == b"0"
    assert read.height == 2


def test_a_height_without_a_certificate_counts_for_nothing() -> None:
    read = CommittedRead(GENESIS, FOUR)
    for validator in (1, 2, 3, 4):
        assert read.add(validator, SECOND.block, FIRST.certificate, b"x") is None
        assert read.add(validator, SECOND.block, SECOND.certificate[:-1], b"x") is None
        assert read.add(validator, b"", b"", b"x") is None
    assert read.add(5, FIRST.block, FIRST.certificate, b"x") is None  # a stranger
    assert (read.refused, read.height) == (13, 0)


def test_a_client_never_goes_back() -> None:
    read = CommittedRead(GENESIS, FOUR, at_least=2)
    for validator in (1, 2, 3, 4):
        assert read.add(validator, FIRST.block, FIRST.certificate, b"old") is None
    assert read.refused == 4
    assert read.add(1, SECOND.block, SECOND.certificate, b"new") is None
    assert read.add(2, SECOND.block, SECOND.certificate, b"new") == b"new"


def test_power_counts_and_not_heads() -> None:
    machines = Machines(start=False)
    machines.validators = [Validator(n, power, SIGNERS[n].public_key) for n, power in ((1, 4), (2, 1), (3, 1), (4, 1))]
    for number in range(1, 5):
        machines.start(number)
    machines.propose(1, b"one", 1)
    machines.tick(80)
    decided = machines.decided[1][0]
    read = CommittedRead(machines.nodes[1].genesis, machines.validators)
    assert read.add(2, decided.block, decided.certificate, b"y") is None
    assert read.add(3, decided.block, decided.certificate, b"y") is None  # 2 of 7: they may both lie
    assert read.add(4, decided.block, decided.certificate, b"y") == b"y"
    assert CommittedRead(machines.nodes[1].genesis, machines.validators).add(
        1, decided.block, decided.certificate, b"z"
    ) == (b"z")


def test_wrong_validators_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="there are 1 to 63 validators, got 0"):
        CommittedRead(GENESIS, [])
