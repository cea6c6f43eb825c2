"""What is traded, and the grid its prices and quantities live on."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from fastmas.errors import ConfigError

__all__ = ["MICRO", "Instrument"]

MICRO = 1_000_000
"""Micro-units in one unit of currency."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument and its units.

    Attributes
    ----------
    id : int
        What messages name it by; from 1 to 2**32 - 2 (0 is "not set", 2**32 - 1 is the whole universe).
    symbol : str
        What people call it.
    price_increment : float
        The smallest price step, in units of `currency`; a whole number of millionths. Prices in messages are integers
        in it. The default, 0.001, keeps split-adjusted prices below a dollar undistorted.
    lot_size : int
        Units (shares) in one lot. Quantities in messages are integers in it.
    currency : str
        Three letters.

    Examples
    --------
    >>> from fastmas.market.instrument import Instrument
    >>> apple = Instrument(1, "AAPL")
    >>> apple.to_ticks(125.674), apple.to_price(125_674), apple.notional_micro(125_674, 10)
    (125674, 125.674, 1256740000)
    """

    id: int
    symbol: str
    price_increment: float = 0.001
    lot_size: int = 1
    currency: str = "USD"

    def __post_init__(self) -> None:
        if not isinstance(self.id, int) or not 1 <= self.id < 2**32 - 1:
            raise ConfigError(f"an instrument's id must be an integer from 1 to {2**32 - 2}, got {self.id!r}")
        if not isinstance(self.symbol, str) or not self.symbol or self.symbol != self.symbol.strip():
            raise ConfigError(f"an instrument's symbol must be text without blanks at its ends, got {self.symbol!r}")
        micro = Fraction(repr(float(self.price_increment))) * MICRO if self.price_increment > 0 else Fraction(0)
        if micro < 1 or micro.denominator != 1:
            raise ConfigError(
                f"price_increment must be a positive whole number of millionths, got {self.price_increment!r}; "
                "try 0.001 or 0.01"
            )
        if not isinstance(self.lot_size, int) or self.lot_size < 1:
            raise ConfigError(f"lot_size must be an integer of at least 1, got {self.lot_size!r}")
        if len(self.currency) != 3 or not self.currency.isalpha() or not self.currency.isupper():
            raise ConfigError(f"currency must be three capital letters such as 'USD', got {self.currency!r}")

    @property
    def price_increment_micro(self) -> int:
        """The price increment in millionths of the currency unit."""
        return round(self.price_increment * MICRO)

    def to_ticks(self, price: float) -> int:
        """Round a price in currency units to the nearest price increment; ties go to the even one."""
        return round(price * MICRO / self.price_increment_micro)

    def to_price(self, ticks: int) -> float:
        """The price in currency units of a number of price increments."""
        return ticks * self.price_increment_micro / MICRO

    def notional_micro(self, ticks: int, lots: int) -> int:
        """Value of `lots` at a price of `ticks`, in millionths of the currency unit; exact."""
        return ticks * self.price_increment_micro * lots * self.lot_size
