"""At what price a bar fills an order, and what that costs: pure functions of integers.

What happened inside a bar is not known, so every rule takes the reading that is worse for the order.
"""

from __future__ import annotations

from fractions import Fraction

from fastmas.messages import BUY, OrderKind

__all__ = ["at_price", "in_range", "share_of", "share_of_bps"]

BPS = 10_000


def at_price(kind: int, side: int, limit: int, price: int) -> int | None:
    """Price of a fill in an auction (the open or the close) at `price`: that price, or None.

    Parameters
    ----------
    kind, side : int
        `OrderKind`; `BUY` or `SELL`.
    limit : int
        Of a limit order; a market order's is not looked at.
    price : int
        All three in price increments.

    Examples
    --------
    >>> from fastmas.messages import BUY, SELL, OrderKind
    >>> at_price(OrderKind.MARKET, BUY, 0, 105), at_price(OrderKind.LIMIT, BUY, 100, 105)
    (105, None)
    >>> at_price(OrderKind.LIMIT, SELL, 100, 105)  # better than asked for: the auction's price is everybody's
    105
    """
    if kind == OrderKind.MARKET:
        return price
    return price if (price <= limit if side == BUY else price >= limit) else None


def in_range(side: int, limit: int, low: int, high: int) -> int | None:
    """Price of a limit order's fill between open and close: its limit, or None.

    Prices must have gone *through* the limit. At an exact touch others stand in front in the queue, and whether the
    trade at that price would have reached this order is not known.

    Examples
    --------
    >>> from fastmas.messages import BUY, SELL
    >>> in_range(BUY, 100, 99, 110), in_range(BUY, 100, 100, 110), in_range(SELL, 100, 90, 101)
    (100, None, 100)
    """
    return limit if (low < limit if side == BUY else high > limit) else None


def share_of_bps(amount_micro: int, rate_bps: Fraction) -> int:
    """A rate in basis points of an amount, rounded to the nearest millionth, halves away from zero.

    Examples
    --------
    >>> from fractions import Fraction
    >>> share_of_bps(1_000_000_000, Fraction(5)), share_of_bps(1_000, Fraction(5)), share_of_bps(-1_000, Fraction(5))
    (500000, 1, -1)
    """
    scale = BPS * rate_bps.denominator
    magnitude = (2 * abs(amount_micro) * rate_bps.numerator + scale) // (2 * scale)
    return magnitude if amount_micro >= 0 else -magnitude


def share_of(volume: int, share: Fraction) -> int:
    """Whole lots in a share of a bar's volume, rounded down.

    Examples
    --------
    >>> from fractions import Fraction
    >>> share_of(999, Fraction(1, 10))
    99
    """
    return volume * share.numerator // share.denominator
