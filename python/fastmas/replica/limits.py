"""The limits of the pre-trade guard: a plain value, part of the log."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from fastmas.errors import ConfigError
from fastmas.replica.wire import Reader, Writer

__all__ = ["Limits"]

_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What the guard lets through. None means no limit; money is in millionths of the currency unit.

    Attributes
    ----------
    max_position_lots : int or None
        Lots of one instrument, long or short, that holdings and orders in flight may reach, whichever of them fill.
    max_order_notional : int or None
        Value of one order.
    max_gross_notional : int or None
        Value of all positions, longs and shorts added, orders in flight included.
    max_leverage_bps : int or None
        The same as a share of equity: 10_000 is once.
    max_orders : int or None
        Orders and replacements within `order_window_ns` of decision time.
    order_window_ns : int
        Default one second.
    max_daily_loss : int or None
        Equity lost since the last mark of the day before (UTC); beyond it only orders that reduce a position pass.
    min_cash : int or None
        Cash that must be left when everything in flight has filled at its mark.
    allow_short : bool
        Whether a position may be below zero.

    Examples
    --------
    >>> from fastmas.replica import Limits
    >>> limits = Limits(max_leverage_bps=15_000, allow_short=False)  # one and a half times the equity, long only
    >>> limits.max_leverage_bps, limits.max_orders
    (15000, None)
    """

    max_position_lots: int | None = None
    max_order_notional: int | None = None
    max_gross_notional: int | None = None
    max_leverage_bps: int | None = None
    max_orders: int | None = None
    order_window_ns: int = 1_000_000_000
    max_daily_loss: int | None = None
    min_cash: int | None = None
    allow_short: bool = False

    def __post_init__(self) -> None:
        for name in _NAMES:
            value = getattr(self, name)
            least = -_MAX if name == "min_cash" else 1 if name == "order_window_ns" else 0
            if value is None and name != "order_window_ns":
                continue
            if type(value) is not int or not least <= value <= _MAX:
                unlimited = "" if name == "order_window_ns" else " or None for no limit"
                raise ConfigError(f"{name} must be an int from {least} to 2**63 - 1{unlimited}, got {value!r}")
        if type(self.allow_short) is not bool:
            raise ConfigError(f"allow_short must be True or False, got {self.allow_short!r}")

    def write(self, writer: Writer) -> None:
        values = [getattr(self, name) for name in _NAMES]
        mask = sum(1 << bit for bit, value in enumerate(values) if value is not None)
        writer.pack("II8q", mask, self.allow_short, *[value or 0 for value in values])

    @classmethod
    def read(cls, reader: Reader) -> Limits:
        mask, allow_short, *values = reader.unpack("II8q")
        if mask >= 1 << len(_NAMES) or allow_short > 1:
            raise ConfigError(f"limits have mask bits up to {len(_NAMES)} and a flag, got {mask:#x} and {allow_short}")
        given: dict[str, Any] = {}
        for bit, (name, value) in enumerate(zip(_NAMES, values, strict=True)):
            if not mask >> bit & 1 and value != 0:
                raise ConfigError(f"limits give {name} as absent and as {value}; encode it with encode_limits")
            given[name] = value if mask >> bit & 1 else None
        return cls(**given, allow_short=bool(allow_short))


_NAMES = tuple(field.name for field in fields(Limits) if field.name != "allow_short")
