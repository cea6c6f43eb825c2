"""What applying a command answers: its effects, to be sent on by the gateway, and the head of the state after it.

The bytes before the head are the effects, and the head covers them: two replicas whose effects differ by a bit have
different heads from that commit on.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastmas.errors import ConfigError
from fastmas.messages import Cancel, Order, Replace
from fastmas.replica.wire import Reader

__all__ = ["STATUSES", "Reply", "Totals", "decode_reply", "encode_effects"]

STATUSES = ("accepted", "rejected", "expired")
# magic, status, kind, zeros; sizes of reason, orders, cancels, replaces, wake-ups, touched; index, seven totals
_EFFECTS = struct.Struct("<4sBBH6IQ7q")
_MAGIC = b"fmR1"


class Totals(NamedTuple):
    """The books' totals after the command, in millionths of the currency unit."""

    cash: int
    holdings_value: int
    capital: int
    realised: int
    unrealised: int
    fees: int
    slippage: int

    @property
    def equity(self) -> int:
        return self.cash + self.holdings_value


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command led to.

    Attributes
    ----------
    index : int
        Its commit index.
    status : str
        ``"accepted"``, ``"rejected"`` by the guard, or ``"expired"``.
    reason : str
        The rule in words when it was not accepted.
    orders, cancels, replaces : list
        The outbox, in the order in which it goes to the venue.
    wakeups : list of int
        Times in ns at which the actions asked to be woken.
    totals : Totals
    touched : bytes
        What else changed, for the head's sake.
    head : bytes
        SHA-256 over everything so far: commands and effects.
    """

    index: int
    status: str
    reason: str
    orders: list[Order]
    cancels: list[Cancel]
    replaces: list[Replace]
    wakeups: list[int]
    totals: Totals
    touched: bytes
    head: bytes


def encode_effects(
    index: int,
    kind: int,
    status: int,
    totals: Sequence[int],
    touched: bytes = b"",
    reason: str = "",
    orders: Sequence[Order] = (),
    cancels: Sequence[Cancel] = (),
    replaces: Sequence[Replace] = (),
    wakeups: Sequence[int] = (),
) -> bytes:
    """Everything of a reply but its head."""
    why = reason.encode("utf-8")
    fixed = _EFFECTS.pack(
        _MAGIC, status, kind, 0, len(why), len(orders), len(cancels), len(replaces), len(wakeups), len(touched),
        index, *totals,
    )  # fmt: skip
    if not why and not orders and not cancels and not replaces and not wakeups:
        return fixed + touched
    parts = [fixed, touched, why]
    parts += map(bytes, orders)
    parts += map(bytes, cancels)
    parts += map(bytes, replaces)
    parts.append(struct.pack(f"<{len(wakeups)}q", *wakeups))
    return b"".join(parts)


def decode_reply(data: bytes) -> Reply:
    """Read a reply of `TradingState.apply`.

    Raises
    ------
    ConfigError
        `data` is not one.
    """
    reader = Reader(data, "reply")
    magic, status, kind, zero, why, orders, cancels, replaces, wakeups, touched, index, *totals = reader.unpack(
        _EFFECTS.format[1:]
    )
    if magic != _MAGIC or status >= len(STATUSES) or kind == 0 or zero:
        raise ConfigError(f"a reply begins with {_MAGIC!r} and a status below {len(STATUSES)}, got {data[:8]!r}")
    extra = reader.raw(touched)
    try:
        reason = reader.raw(why).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError("a reply's reason is not UTF-8: damaged") from error
    outbox: list[list[Any]] = [
        [_read(reader, record) for _ in range(count)]
        for record, count in ((Order, orders), (Cancel, cancels), (Replace, replaces))
    ]
    times = list(reader.unpack(f"{wakeups}q"))
    head = reader.raw(32)
    reader.end()
    return Reply(index, STATUSES[status], reason, outbox[0], outbox[1], outbox[2], times, Totals(*totals), extra, head)


def _read(reader: Reader, record: Any) -> Any:
    return record.from_bytes(reader.raw(record.dtype.itemsize))
