"""The commands that the log carries to the replicated state, and the replies that come back: canonical bytes.

Every command is ``b"fmC1"``, its kind, three zero bytes, and its body. There is one encoding of each command: what
decodes encodes to the same bytes. A decoder refuses anything else with a `ConfigError`.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmas.errors import ConfigError
from fastmas.messages import Fill, Intent, OrderUpdate
from fastmas.replica.limits import Limits
from fastmas.replica.reply import Reply, decode_reply
from fastmas.replica.wire import Reader, Writer

__all__ = [
    "Bust",
    "Command",
    "InstrumentTerms",
    "Kill",
    "Kind",
    "Marks",
    "Open",
    "Parameters",
    "Reconcile",
    "Reply",
    "Reports",
    "Wake",
    "decode",
    "decode_reply",
    "encode_bust",
    "encode_intent",
    "encode_kill",
    "encode_limits",
    "encode_marks",
    "encode_open",
    "encode_parameters",
    "encode_reconcile",
    "encode_reports",
    "encode_wake",
]

MAX_INSTRUMENTS = 1 << 16
MAX_MONEY = 2**63 - 1
_MAGIC = b"fmC1"
_HEADER = struct.Struct("<4sBBBB")
_MARKS_HEADER = struct.Struct("<4sI q I I")


class Kind(IntEnum):
    """What a command is; the fifth byte of its encoding."""

    OPEN = 1
    INTENT = 2
    REPORTS = 3
    MARKS = 4
    PARAMETERS = 5
    KILL = 6
    LIMITS = 7
    RECONCILE = 8
    BUST = 9
    WAKE = 10


class InstrumentTerms(NamedTuple):
    """What the books must know of an instrument: what a price increment is worth, and how many units a lot has."""

    id: int
    price_increment_micro: int
    lot_size: int


class Open(NamedTuple):
    """Opens the books: always the first command."""

    currency: str
    capital: int
    instruments: tuple[InstrumentTerms, ...]
    limits: Limits
    settle_after_ns: int
    fail_after_ns: int


class Reports(NamedTuple):
    """What the venue said, in its order."""

    reports: tuple[Fill | OrderUpdate, ...]


class Marks(NamedTuple):
    """Prices at which holdings are valued from `ts_ns` on; instruments ascend."""

    ts_ns: int
    instruments: tuple[int, ...]
    prices: tuple[int, ...]


class Parameters(NamedTuple):
    """Agents' parameter vectors, by name."""

    vectors: dict[str, NDArray[np.float64]]


class Kill(NamedTuple):
    """Turns the kill switch on or off."""

    on: bool


class Reconcile(NamedTuple):
    """A venue's whole truth: what it reported, and which client order ids are open there."""

    open_orders: tuple[int, ...]
    reports: tuple[Fill | OrderUpdate, ...]


class Bust(NamedTuple):
    """A venue takes executions back: (client_order_id, execution_id) each."""

    executions: tuple[tuple[int, int], ...]


class Wake(NamedTuple):
    """Calls the actions' `on_wakeup`, as one of them asked for."""

    at_ns: int


Command = Open | Intent | Reports | Marks | Parameters | Kill | Limits | Reconcile | Bust | Wake


def _header(kind: Kind) -> Writer:
    writer = Writer()
    writer.raw(_HEADER.pack(_MAGIC, kind, 0, 0, 0))
    return writer


@lru_cache(maxsize=64)
def _marks_body(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}I{'4x' * (count & 1)}{count}q")


def _require(condition: bool, rule: str, got: object) -> None:
    if not condition:
        raise ConfigError(f"{rule}, got {got!r}")


# -- encoders --------------------------------------------------------------------------------------------------------


def encode_open(
    currency: str,
    capital: int,
    instruments: Iterable[Sequence[int]],
    limits: Limits,
    settle_after_ns: int = 0,
    fail_after_ns: int = 0,
) -> bytes:
    """The first command: currency, initial capital, instruments and limits.

    Parameters
    ----------
    currency : str
        1 to 12 upper-case letters or digits.
    capital : int
        In millionths of the currency unit.
    instruments : iterable of (id, price_increment_micro, lot_size)
        In any order; a price increment in millionths of the currency unit.
    limits : Limits
    settle_after_ns : int, default 0
        From a fill's time to its settlement; 0 settles at once.
    fail_after_ns : int, default 0
        From the day of settlement to the deadline after which an undeliverable contract expires; 0 for no deadline.
    """
    terms = sorted(InstrumentTerms(*(operator.index(value) for value in row)) for row in instruments)
    command = Open(currency, capital, tuple(terms), limits, settle_after_ns, fail_after_ns)
    _check_open(command)
    writer = _header(Kind.OPEN)
    writer.text(currency)
    writer.pack("qqqI", capital, settle_after_ns, fail_after_ns, len(terms))
    for row in terms:
        writer.pack("Iqq", *row)
    limits.write(writer)
    return writer.bytes()


def _check_open(command: Open) -> None:
    currency = command.currency
    _require(
        isinstance(currency, str) and 1 <= len(currency) <= 12 and currency.isascii() and currency.isalnum()
        and currency == currency.upper(),
        "currency must be 1 to 12 upper-case letters or digits", currency,
    )  # fmt: skip
    _require(
        type(command.capital) is int and 0 < command.capital <= MAX_MONEY,
        "capital must be a positive int of millionths that fits 64 bits", command.capital,
    )  # fmt: skip
    ids = [row.id for row in command.instruments]
    _require(1 <= len(ids) <= MAX_INSTRUMENTS, f"instruments must number 1 to {MAX_INSTRUMENTS}", len(ids))
    _require(all(map(operator.lt, ids, ids[1:])), "instrument ids must differ and ascend", ids[:20])
    for row in command.instruments:
        _require(
            0 <= row.id < 2**32 - 1 and 0 < row.price_increment_micro < 2**31 and 0 < row.lot_size < 2**31,
            "an instrument is (id < 2**32 - 1, price_increment_micro > 0, lot_size > 0)", tuple(row),
        )  # fmt: skip
    for name in ("settle_after_ns", "fail_after_ns"):
        value = getattr(command, name)
        _require(type(value) is int and 0 <= value < 2**60, f"{name} must be an int from 0 to 2**60", value)
    _require(isinstance(command.limits, Limits), "limits must be a Limits", command.limits)


def encode_intent(intent: Intent) -> bytes:
    """One atomic basket of target holdings."""
    _require(isinstance(intent, Intent), "an intent command takes an Intent", intent)
    return _HEADER.pack(_MAGIC, Kind.INTENT, 0, 0, 0) + intent.to_bytes()


def _write_reports(writer: Writer, reports: Iterable[Fill | OrderUpdate]) -> None:
    rows = list(reports)
    writer.pack("I", len(rows))
    for report in rows:
        kind = type(report)
        _require(kind is Fill or kind is OrderUpdate, "a report is a Fill or an OrderUpdate", report)
        writer.pack("I", 1 if kind is Fill else 2)
        writer.raw(bytes(report))


def encode_reports(reports: Iterable[Fill | OrderUpdate]) -> bytes:
    """What the venue said, in its order."""
    writer = _header(Kind.REPORTS)
    _write_reports(writer, reports)
    return writer.bytes()


def encode_marks(ts_ns: int, instruments: Any, prices: Any) -> bytes:
    """Prices at which holdings are valued from `ts_ns` on.

    Parameters
    ----------
    ts_ns : int
    instruments : sequence or array of int
        Ids, in any order, each once.
    prices : sequence or array of int
        In price increments, > 0, as many as instruments.
    """
    ids, values = [operator.index(i) for i in instruments], [operator.index(price) for price in prices]
    _require(len(ids) == len(values), "marks need as many prices as instruments", (len(ids), len(values)))
    rows = sorted(zip(ids, values, strict=True))
    command = Marks(operator.index(ts_ns), tuple(row[0] for row in rows), tuple(row[1] for row in rows))
    _check_marks(command)
    header = _MARKS_HEADER.pack(_MAGIC, Kind.MARKS, command.ts_ns, len(rows), 0)
    return header + _marks_body(len(rows)).pack(*command.instruments, *command.prices)


def _check_marks(command: Marks) -> None:
    ids = command.instruments
    _require(0 <= command.ts_ns <= MAX_MONEY, "marks need a time in ns from 0 to 2**63 - 1", command.ts_ns)
    _require(1 <= len(ids) <= MAX_INSTRUMENTS, f"marks must number 1 to {MAX_INSTRUMENTS}", len(ids))
    if not all(map(operator.lt, ids, ids[1:])):
        raise ConfigError(f"marks must name each instrument once, ascending, got {ids[:20]}")
    if min(command.prices) <= 0 or max(command.prices) > MAX_MONEY:
        worst = next(row for row in zip(ids, command.prices, strict=True) if not 0 < row[1] <= MAX_MONEY)
        raise ConfigError(f"a mark must be a price > 0 in increments, got {worst[1]} for instrument {worst[0]}")


def encode_parameters(vectors: Mapping[str, Any]) -> bytes:
    """Parameter vectors of agents: kept bit for bit; those not named keep what they have."""
    writer = _header(Kind.PARAMETERS)
    writer.pack("I", len(vectors))
    for name in sorted(vectors):
        vector = np.asarray(vectors[name], dtype="<f8")
        _check_vector(name, vector)
        writer.text(name)
        writer.sized(vector.tobytes())
    return writer.bytes()


def _check_vector(name: str, vector: NDArray[np.float64]) -> None:
    _require(isinstance(name, str) and 1 <= len(name) <= 64, "an agent's name has 1 to 64 characters", name)
    if vector.ndim != 1 or not np.all(np.isfinite(vector)):
        raise ConfigError(f"parameters of {name!r} must be one vector of finite numbers, got {vector.tolist()}")


def encode_kill(on: bool) -> bytes:
    """Turn the kill switch on (no order passes; cancels do) or off."""
    _require(type(on) is bool, "the kill switch is True or False", on)
    writer = _header(Kind.KILL)
    writer.pack("B", on)
    return writer.bytes()


def encode_limits(limits: Limits) -> bytes:
    """Replace the limits."""
    _require(isinstance(limits, Limits), "limits must be a Limits", limits)
    writer = _header(Kind.LIMITS)
    limits.write(writer)
    return writer.bytes()


def encode_reconcile(open_orders: Iterable[int], reports: Iterable[Fill | OrderUpdate]) -> bytes:
    """A venue's whole truth, as a new leader asks for it.

    Parameters
    ----------
    open_orders : iterable of int
        Client order ids that rest or wait at the venue now.
    reports : iterable of Fill or OrderUpdate
        Everything it may have said that the log has not; what the log has is recognised and skipped.
    """
    ids = sorted(operator.index(i) for i in open_orders)
    _require(
        all(map(operator.lt, ids, ids[1:])) and all(0 <= i < 2**64 for i in ids),
        "open orders must be distinct u64 ids", ids[:20],
    )  # fmt: skip
    writer = _header(Kind.RECONCILE)
    writer.pack(f"I{len(ids)}Q", len(ids), *ids)
    _write_reports(writer, reports)
    return writer.bytes()


def encode_bust(executions: Iterable[tuple[int, int]]) -> bytes:
    """A venue takes back executions, each (client_order_id, execution_id), that have not settled yet."""
    rows = [(operator.index(order), operator.index(execution)) for order, execution in executions]
    _require(len(rows) > 0 and all(0 <= i < 2**64 for row in rows for i in row), "a bust names u64 ids", rows)
    writer = _header(Kind.BUST)
    writer.pack("I", len(rows))
    for row in rows:
        writer.pack("QQ", *row)
    return writer.bytes()


def encode_wake(at_ns: int) -> bytes:
    """Call the actions' `on_wakeup` for a time that one of them asked for."""
    _require(type(at_ns) is int and 0 <= at_ns <= MAX_MONEY, "a wake-up needs a time in ns from 0 to 2**63 - 1", at_ns)
    writer = _header(Kind.WAKE)
    writer.pack("q", at_ns)
    return writer.bytes()


# -- decoder ---------------------------------------------------------------------------------------------------------


def decode(data: bytes) -> Command:
    """The command that `data` encodes.

    Raises
    ------
    ConfigError
        `data` is not exactly what an encoder of this module makes.
    """
    if type(data) is bytes and len(data) >= 24 and data[4] == Kind.MARKS:
        return _decode_marks(data)
    reader = Reader(data, "command")
    magic, kind, *zeros = reader.unpack("4sBBBB")
    if magic != _MAGIC or any(zeros):
        raise ConfigError(f"a command begins with {_MAGIC!r}, its kind and three zeros, got {data[:8]!r}")
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise ConfigError(f"command kind {kind} is not known; kinds are {[k.name for k in Kind]}")
    command: Command = decoder(reader)
    reader.end()
    return command


def _decode_marks(data: bytes) -> Marks:
    magic, kind, ts_ns, count, zero = _MARKS_HEADER.unpack_from(data)
    if magic != _MAGIC or kind != Kind.MARKS or zero:
        raise ConfigError(f"a command begins with {_MAGIC!r}, its kind and three zeros, got {data[:8]!r}")
    if not 1 <= count <= MAX_INSTRUMENTS or len(data) != 24 + (count + 1) // 2 * 8 + 8 * count:
        raise ConfigError(f"marks of {count} instruments cannot have {len(data)} bytes: cut or damaged")
    values = _marks_body(count).unpack_from(data, 24)
    if count & 1 and data[24 + 4 * count : 28 + 4 * count] != b"\0\0\0\0":
        raise ConfigError("marks have bytes other than zero in their padding: damaged")
    command = Marks(ts_ns, values[:count], values[count:])
    _check_marks(command)
    return command


def _read_open(reader: Reader) -> Open:
    currency = reader.text()
    capital, settle_after_ns, fail_after_ns = reader.unpack("qqq")
    terms = tuple(InstrumentTerms(*reader.unpack("Iqq")) for _ in range(reader.count(20)))
    command = Open(currency, capital, terms, Limits.read(reader), settle_after_ns, fail_after_ns)
    _check_open(command)
    return command


def _read_intent(reader: Reader) -> Intent:
    return Intent.from_bytes(reader.raw(reader.left))


def read_reports(reader: Reader) -> tuple[Fill | OrderUpdate, ...]:
    """Reports as `encode_reports` writes them."""
    reports: list[Fill | OrderUpdate] = []
    for _ in range(reader.count(4)):
        (tag,) = reader.unpack("I")
        if tag not in (1, 2):
            raise ConfigError(f"a report is a Fill (1) or an OrderUpdate (2), got {tag}")
        kind: Any = Fill if tag == 1 else OrderUpdate
        reports.append(kind.from_bytes(reader.raw(kind.dtype.itemsize)))
    return tuple(reports)


def _read_reports(reader: Reader) -> Reports:
    return Reports(read_reports(reader))


def _read_parameters(reader: Reader) -> Parameters:
    return Parameters(read_vectors(reader))


def read_vectors(reader: Reader) -> dict[str, NDArray[np.float64]]:
    """Parameter vectors as `encode_parameters` writes them; read-only."""
    vectors: dict[str, NDArray[np.float64]] = {}
    last = ""
    for _ in range(reader.count(8)):
        name, data = reader.text(), reader.sized()
        _require(name > last, "parameters must name each agent once, in order", name)
        _require(len(data) % 8 == 0, f"parameters of {name!r} must be whole float64 numbers in bytes", len(data))
        vector = np.frombuffer(data, dtype="<f8")
        _check_vector(name, vector)
        vectors[name] = vector
        last = name
    return vectors


def _read_flag(reader: Reader) -> Kill:
    (on,) = reader.unpack("B")
    _require(on <= 1, "the kill switch is 0 or 1", on)
    return Kill(bool(on))


def _read_reconcile(reader: Reader) -> Reconcile:
    count = reader.count(8)
    ids = reader.unpack(f"{count}Q")
    _require(all(map(operator.lt, ids, ids[1:])), "open orders must differ and ascend", ids[:20])
    return Reconcile(ids, read_reports(reader))


def _read_bust(reader: Reader) -> Bust:
    count = reader.count(16)
    _require(count > 0, "a bust names at least one execution", count)
    return Bust(tuple((order, execution) for order, execution in (reader.unpack("QQ") for _ in range(count))))


def _read_wake(reader: Reader) -> Wake:
    (at_ns,) = reader.unpack("q")
    _require(at_ns >= 0, "a wake-up needs a time in ns from 0 to 2**63 - 1", at_ns)
    return Wake(at_ns)


def _refuse_marks(reader: Reader) -> Marks:
    raise ConfigError("a marks command has at least 24 bytes: cut or damaged")


_DECODERS: dict[int, Any] = {
    Kind.OPEN: _read_open,
    Kind.INTENT: _read_intent,
    Kind.REPORTS: _read_reports,
    Kind.MARKS: _refuse_marks,
    Kind.PARAMETERS: _read_parameters,
    Kind.KILL: _read_flag,
    Kind.LIMITS: Limits.read,
    Kind.RECONCILE: _read_reconcile,
    Kind.BUST: _read_bust,
    Kind.WAKE: _read_wake,
}
