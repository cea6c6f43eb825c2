"""Hostile bytes: what is no command and no snapshot is refused with a ConfigError, and changes nothing."""

from __future__ import annotations

import random

import pytest
from replica_log import DAY, Entry, Log
from test_replica_commands_unit import ALL_BYTES

from fastmas.errors import ConfigError, FastmasError
from fastmas.messages import OrderKind
from fastmas.replica import Limits, TradingState, commands, decode_reply
from fastmas.replica.commands import decode


def mutations(data: bytes, seed: int, count: int) -> list[bytes]:
    """Flipped bits, cuts, insertions, repetitions and extreme numbers, a few at once."""
    rng = random.Random(seed)
    out = []
    for _ in range(count):
        mutant = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(mutant) + 1)
            kind = rng.randrange(5)
            if kind == 0 and at < len(mutant):
                mutant[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                del mutant[at:]
            elif kind == 2:
                mutant[at:at] = rng.randbytes(rng.randint(1, 9))
            elif kind == 3:
                mutant[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", bytes(4), b"\xff\xff\xff\x7f", b"\0\0\0\x80"])
            else:
                mutant[at:] = mutant[: len(mutant) - at]
        out.append(bytes(mutant))
    return out


def busy_log(**options: int) -> Log:
    """Books with a bit of everything in them."""
    log = Log(Limits(allow_short=True, max_orders=50), **options)
    orders = log.intend({1: 50, 2: -30, 7: 5}, ts_ns=DAY).orders
    log.report(log.fill(orders[0], 20_000, 10, ts_ns=DAY, fee=3), log.fill(orders[1], 10_000, ts_ns=DAY, slippage=1))
    log.commit(commands.encode_parameters({"risk": [0.5, 1.0], "blend": []}))
    log.mark(DAY + 5, {1: 9_000, 2: 21_000})
    return log


def encode_again(command: object) -> bytes:
    """The encoder's bytes of a decoded command."""
    name = type(command).__name__.lower()
    if name in ("intent", "limits"):
        return getattr(commands, f"encode_{name}")(command)  # type: ignore[no-any-return]
    arguments = [getattr(command, field) for field in command._fields]  # type: ignore[attr-defined]
    return getattr(commands, f"encode_{name}")(*arguments)  # type: ignore[no-any-return]


@pytest.mark.parametrize("number", range(len(ALL_BYTES)))
def test_the_decoder_takes_only_what_an_encoder_makes(number: int) -> None:
    data = ALL_BYTES[number]
    taken = 0
    for mutant in mutations(data, number, 1500):
        try:
            command = decode(mutant)
        except ConfigError:
            continue
        taken += 1
        assert encode_again(command) == mutant
    assert encode_again(decode(data)) == data and taken < 1500


@pytest.mark.parametrize("number", range(len(ALL_BYTES)))
def test_a_state_survives_hostile_commands_untouched(number: int) -> None:
    log = busy_log(settle_after_ns=DAY)
    kept, entry = log.state.snapshot(), log.entries[-1].index + 1
    for mutant in mutations(ALL_BYTES[number], 100 + number, 120):
        try:
            log.state.apply(Entry(entry, 0, mutant))
        except FastmasError as error:
            assert log.state.snapshot() == kept, (mutant, error)
        else:
            assert log.state.balanced
            log.state.restore(kept)


@pytest.mark.parametrize("settle_after_ns", [0, DAY])
def test_a_snapshot_that_was_altered_is_refused_and_changes_nothing(settle_after_ns: int) -> None:
    log = busy_log(settle_after_ns=settle_after_ns)
    kept = log.state.snapshot()
    state = TradingState()
    state.restore(kept)
    assert state.snapshot() == kept and state.head == log.state.head
    refused = 0
    for mutant in mutations(kept, settle_after_ns, 700):
        if mutant == kept:
            continue
        try:
            state.restore(mutant)
        except ConfigError:
            refused += 1
            assert state.snapshot() == kept
        else:
            assert state.snapshot() == mutant, "what is taken is taken whole"
            state.restore(kept)
    assert refused > 300


def test_every_cut_of_a_snapshot_is_refused() -> None:
    kept = busy_log(settle_after_ns=DAY).state.snapshot()
    for size in range(len(kept)):
        with pytest.raises(ConfigError):
            TradingState().restore(kept[:size])


def test_replies_that_were_altered_raise_nothing_but_config_errors() -> None:
    log = busy_log()
    order = commands.encode_intent(commands.Intent(1, {1: 60, 2: 0}))
    data = log.state.apply(Entry(99, 0, order))
    assert decode_reply(data).orders[0].kind == OrderKind.MARKET
    for mutant in mutations(data, 7, 1500):
        try:
            decode_reply(mutant)
        except ConfigError:
            continue
