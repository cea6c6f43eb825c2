"""Commands and replies: one encoding each, and a clear refusal of everything else."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from replica_log import INSTRUMENTS, Log, update

from fastmas.errors import ConfigError
from fastmas.messages import Fill, Intent, OrderStatus, OrderUpdate
from fastmas.replica import InstrumentTerms, Limits, commands, decode_reply
from fastmas.replica.commands import Kind, decode

FILL = Fill(execution_id=9, client_order_id=1 << 16, ts_ns=5, instrument=7, side=-1, price=3, quantity=4, fee=-1)
UPDATE = OrderUpdate(client_order_id=1 << 16, ts_ns=5, instrument=7, status=OrderStatus.CANCELLED, reason=2)
LIMITS = Limits(max_position_lots=0, max_leverage_bps=10_000, min_cash=-5, allow_short=True)
OPEN = commands.encode_open("USD", 10**12, INSTRUMENTS, LIMITS, settle_after_ns=5, fail_after_ns=6)

EVERY: dict[Kind, tuple[bytes, Any]] = {
    Kind.OPEN: (OPEN, commands.Open("USD", 10**12, tuple(InstrumentTerms(*row) for row in INSTRUMENTS), LIMITS, 5, 6)),
    Kind.INTENT: (commands.encode_intent(Intent(3, {2: -5, 1: 9}, 8)), Intent(3, {1: 9, 2: -5}, 8)),
    Kind.REPORTS: (commands.encode_reports([FILL, UPDATE]), commands.Reports((FILL, UPDATE))),
    Kind.MARKS: (commands.encode_marks(9, [7, 1, 2], [70, 10, 20]), commands.Marks(9, (1, 2, 7), (10, 20, 70))),
    Kind.KILL: (commands.encode_kill(True), commands.Kill(True)),
    Kind.LIMITS: (commands.encode_limits(LIMITS), LIMITS),
    Kind.RECONCILE: (commands.encode_reconcile([9, 3], [FILL]), commands.Reconcile((3, 9), (FILL,))),
    Kind.BUST: (commands.encode_bust([(9, 1), (3, 2)]), commands.Bust(((9, 1), (3, 2)))),
    Kind.WAKE: (commands.encode_wake(77), commands.Wake(77)),
}
PARAMETERS = commands.encode_parameters({"b": [1.5, -0.0], "a": []})
ALL_BYTES = [data for data, _ in EVERY.values()] + [PARAMETERS]


@pytest.mark.parametrize("kind", EVERY)
def test_a_command_comes_back_as_it_went(kind: Kind) -> None:
    data, command = EVERY[kind]
    assert data[4] == kind and decode(data) == command


def test_parameters_come_back_bit_for_bit() -> None:
    command = decode(PARAMETERS)
    assert isinstance(command, commands.Parameters) and list(command.vectors) == ["a", "b"]
    assert command.vectors["b"].tobytes() == np.array([1.5, -0.0]).tobytes() and len(command.vectors["a"]) == 0
    assert not command.vectors["b"].flags.writeable


def test_marks_take_arrays_and_have_one_encoding() -> None:
    ids, prices = np.array([1, 2, 7], dtype=np.uint32), np.array([10, 20, 70], dtype=np.int64)
    assert commands.encode_marks(9, ids, prices) == EVERY[Kind.MARKS][0]
    assert commands.encode_marks(np.int64(9), reversed([1, 2, 7]), reversed([10, 20, 70])) == EVERY[Kind.MARKS][0]
    assert len(commands.encode_marks(9, [1, 2], [1, 1])) == 48 and len(EVERY[Kind.MARKS][0]) == 64


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: commands.encode_open("usd", 1, INSTRUMENTS, LIMITS),
         "currency must be 1 to 12 upper-case letters or digits, got 'usd'"),
        (lambda: commands.encode_open("USD", 0, INSTRUMENTS, LIMITS),
         "capital must be a positive int of millionths that fits 64 bits, got 0"),
        (lambda: commands.encode_open("USD", 1.5, INSTRUMENTS, LIMITS), "capital must be a positive int"),  # type: ignore[arg-type]
        (lambda: commands.encode_open("USD", 1, [], LIMITS), "instruments must number 1 to 65536, got 0"),
        (lambda: commands.encode_open("USD", 1, [(1, 1, 1), (1, 2, 2)], LIMITS),
         "instrument ids must differ and ascend, got [1, 1]"),
        (lambda: commands.encode_open("USD", 1, [(1, 0, 1)], LIMITS),
         "an instrument is (id < 2**32 - 1, price_increment_micro > 0, lot_size > 0), got (1, 0, 1)"),
        (lambda: commands.encode_open("USD", 1, [(2**32 - 1, 1, 1)], LIMITS), "an instrument is (id < 2**32 - 1"),
        (lambda: commands.encode_open("USD", 1, INSTRUMENTS, LIMITS, -1),
         "settle_after_ns must be an int from 0 to 2**60, got -1"),
        (lambda: commands.encode_open("USD", 1, INSTRUMENTS, None), "limits must be a Limits, got None"),  # type: ignore[arg-type]
        (lambda: commands.encode_intent(5), "an intent command takes an Intent, got 5"),  # type: ignore[arg-type]
        (lambda: commands.encode_marks(1, [1, 2], [1]), "marks need as many prices as instruments, got (2, 1)"),
        (lambda: commands.encode_marks(1, [], []), "marks must number 1 to 65536, got 0"),
        (lambda: commands.encode_marks(1, [1, 1], [1, 2]), "marks must name each instrument once, ascending, got (1,"),
        (lambda: commands.encode_marks(1, [1, 2], [1, 0]),
         "a mark must be a price > 0 in increments, got 0 for instrument 2"),
        (lambda: commands.encode_marks(-1, [1], [1]), "marks need a time in ns from 0 to 2**63 - 1, got -1"),
        (lambda: commands.encode_parameters({"a": [np.nan]}),
         "parameters of 'a' must be one vector of finite numbers, got [nan]"),
        (lambda: commands.encode_parameters({"a": [[1.0]]}), "parameters of 'a' must be one vector of finite numbers"),
        (lambda: commands.encode_parameters({"": [1.0]}), "an agent's name has 1 to 64 characters, got ''"),
        (lambda: commands.encode_kill(1), "the kill switch is True or False, got 1"),  # type: ignore[arg-type]
        (lambda: commands.encode_limits(5), "limits must be a Limits, got 5"),  # type: ignore[arg-type]
        (lambda: commands.encode_reconcile([1, 1], []), "open orders must be distinct u64 ids, got [1, 1]"),
        (lambda: commands.encode_bust([]), "a bust names u64 ids, got []"),
        (lambda: commands.encode_wake(-1), "a wake-up needs a time in ns from 0 to 2**63 - 1, got -1"),
        (lambda: Limits(max_orders=-1), "max_orders must be an int from 0 to 2**63 - 1 or None for no limit, got -1"),
        (lambda: Limits(max_orders=1.0), "max_orders must be an int from 0"),  # type: ignore[arg-type]
        (lambda: Limits(order_window_ns=0), "order_window_ns must be an int from 1 to 2**63 - 1, got 0"),
        (lambda: Limits(order_window_ns=None), "order_window_ns must be an int"),  # type: ignore[arg-type]
        (lambda: Limits(allow_short=1), "allow_short must be True or False, got 1"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_cannot_be_encoded(make: Any, text: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(text)):
        make()


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


MARKS = EVERY[Kind.MARKS][0]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("text", "a command is bytes, got str"),
        (b"", "this command ends at byte 0, byte 8 is needed: cut or damaged"),
        (b"fmC2\x06\0\0\0\1", "a command begins with b'fmC1', its kind and three zeros, got b'fmC2\\x06\\x00\\x00"),
        (b"fmC1\x06\1\0\0\1", "a command begins with b'fmC1', its kind and three zeros"),
        (b"fmC1\x63\0\0\0", "command kind 99 is not known; kinds are ['OPEN', 'INTENT', 'REPORTS', 'MARKS', "),
        (b"fmC1\x06\0\0\0\2", "the kill switch is 0 or 1, got 2"),
        (commands.encode_kill(True) + b"\0", "this command has 1 bytes after its end: damaged, or of another version"),
        (MARKS[:20], "a marks command has at least 24 bytes: cut or damaged"),
        (MARKS + b"\0", "marks of 3 instruments cannot have 65 bytes: cut or damaged"),
        (patched(MARKS, 16, b"\xff\xff\xff\xff"), "marks of 4294967295 instruments cannot have 64 bytes"),
        (patched(MARKS, 5, b"\1"), "a command begins with b'fmC1'"),
        (patched(MARKS, 0, b"fmC0"), "a command begins with b'fmC1'"),
        (patched(MARKS, 36, b"\1"), "marks have bytes other than zero in their padding: damaged"),
        (patched(MARKS, 28, b"\1"), "marks must name each instrument once, ascending, got (1, 1, 7)"),
        (patched(MARKS, 40, bytes(8)), "a mark must be a price > 0 in increments, got 0 for instrument 1"),
        (patched(EVERY[Kind.REPORTS][0], 8, b"\xff\xff\xff\xff"), "this command announces 4294967295 items of 4 bytes"),
        (patched(EVERY[Kind.REPORTS][0], 12, b"\3"), "a report is a Fill (1) or an OrderUpdate (2), got 3"),
        (patched(EVERY[Kind.REPORTS][0], len(EVERY[Kind.REPORTS][0]) - 1, b"\1"),
         "bytes are no OrderUpdate: padding byte 31 is not zero"),
        (patched(PARAMETERS, 16, b"\xff"), "this command holds text that is not UTF-8: b'\\xff'"),
        (patched(PARAMETERS, 16, b"z"), "parameters must name each agent once, in order, got 'b'"),
        (patched(PARAMETERS, len(PARAMETERS) - 1, b"\x7f").replace(b"\0\0\0\0\0\0\0\x7f", b"\0\0\0\0\0\0\xf0\x7f"),
         "parameters of 'b' must be one vector of finite numbers, got [1.5, inf]"),
        (b"fmC1\x05\0\0\0\1\0\0\0\1\0\0\0a\1\0\0\0z", "parameters of 'a' must be whole float64 numbers in bytes, got"),
        (patched(EVERY[Kind.LIMITS][0], 9, b"\1"), "limits have mask bits up to 8 and a flag, got 0x1"),
        (patched(EVERY[Kind.LIMITS][0], 24, b"\7"), "limits give max_order_notional as absent and as 7"),
        (patched(EVERY[Kind.RECONCILE][0], 12, b"\x09"), "open orders must differ and ascend, got (9, 9)"),
        (b"fmC1\x09\0\0\0\0\0\0\0", "a bust names at least one execution, got 0"),
        (patched(EVERY[Kind.WAKE][0], 15, b"\xff"), "a wake-up needs a time in ns"),
    ],
)  # fmt: skip
def test_what_is_no_command(data: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        decode(data)


def test_replies_come_back() -> None:
    log = Log(Limits(max_position_lots=100))
    reply = log.intend({1: 10, 2: 20})
    assert reply.index == 3 and reply.status == "accepted" and len(reply.orders) == 2 and reply.head == log.state.head
    assert log.intend({1: 101}).reason.startswith("position: instrument 1 could reach 101 lots")
    booked = log.report(log.fill(reply.orders[0], 10_000), update(reply.orders[1], OrderStatus.CANCELLED))
    assert booked.totals.cash == log.state.cash and booked.totals.equity == log.state.equity
    assert booked.totals.capital == log.state.capital and booked.totals.realised == 0


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (5, "a reply is bytes, got int"),
        (b"fmR1", "this reply ends at byte 4, byte 96 is needed"),
        (b"fmR2" + bytes(200), "a reply begins with b'fmR1' and a status below 3"),
        (b"fmR1\3\1" + bytes(200), "a reply begins with b'fmR1' and a status below 3"),
        (b"fmR1\0\1\0\0" + bytes(120) + b"more", "this reply has 4 bytes after its end"),
        (b"fmR1\0\1\0\0\1\0\0\0" + bytes(84) + b"\xff" + bytes(32), "a reply's reason is not UTF-8: damaged"),
        (b"fmR1\0\1\0\0" + b"\0\0\0\0" * 4 + b"\xff\xff\xff\xff" + bytes(100), "this reply ends at byte 128"),
    ],
)
def test_what_is_no_reply(data: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        decode_reply(data)
