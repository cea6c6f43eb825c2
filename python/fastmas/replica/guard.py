"""The pre-trade guard: looks at the whole basket with everything in flight, and lets it pass or names the rule it
breaks.

Which of the orders in flight will fill is not known, so a position limit holds for the worst case: all buys and no
sells, or all sells and no buys. Gross value, leverage and cash are looked at as they will be once everything has
filled at its mark: a basket that sells one instrument to buy another is not twice the exposure, since sells precede
buys. What only takes risk off passes every limit but the kill switch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastmas.messages import BUY, Order
from fastmas.replica.books import Books
from fastmas.replica.orders import WorkingOrder

__all__ = ["refusal"]


def _value(books: Books, column: int, lots: int, limit_price: int) -> int:
    return lots * (limit_price or books.portfolio.marks[column]) * books.portfolio.multipliers[column]


def _spends(books: Books, working: WorkingOrder) -> int:
    """Cash that an order in flight takes when it fills; negative for what a sale brings."""
    order = working.order
    # Which of its prices will hold is not known: the dearest one to buy, the cheapest one to sell.
    known = [working.limit_price, *(request.limit_price for request in working.requests if request.quantity)]
    limit_price = (max if order.side == BUY else min)(known)
    return int(order.side) * _value(books, books.portfolio.index[order.instrument], working.in_flight, limit_price)


class _Basket:
    """What new orders and replacements add, by instrument."""

    __slots__ = ("buys", "count", "sells", "spends")

    def __init__(self, books: Books, orders: Iterable[Order], replaced: Iterable[WorkingOrder]) -> None:
        self.buys: dict[int, int] = {}
        self.sells: dict[int, int] = {}
        self.spends = 0
        self.count = 0
        for order in orders:
            self._add(order, order.quantity)
            column = books.portfolio.index[order.instrument]
            self.spends += order.side * _value(books, column, order.quantity, order.limit_price)
        for working in replaced:
            before = books.orders.working[working.order.client_order_id]
            self._add(working.order, working.in_flight - before.in_flight)
            self.spends += _spends(books, working) - _spends(books, before)

    def _add(self, order: Order, lots: int) -> None:
        self.count += 1
        side = self.buys if order.side == BUY else self.sells
        side[order.instrument] = side.get(order.instrument, 0) + lots


def refusal(books: Books, orders: Sequence[Order], replaced: Sequence[WorkingOrder], decided_ns: int) -> str | None:
    """The rule that a basket breaks, in words; None when it may pass.

    Parameters
    ----------
    books : Books
    orders : sequence of Order
        New orders, already known to be well formed.
    replaced : sequence of WorkingOrder
        Orders in flight as they are while a replacement is under way.
    decided_ns : int
        When the basket was decided; what the order rate counts by.
    """
    if not orders and not replaced:
        return None
    if books.killed:
        return "the kill switch is on: no order passes; cancels do"
    limits, portfolio = books.limits, books.portfolio
    for order in orders:
        column = portfolio.index[order.instrument]
        if not portfolio.marks[column]:
            return f"instrument {order.instrument} has no mark yet, so an order in it cannot be valued"
    basket = _Basket(books, orders, replaced)
    if limits.max_order_notional is not None:
        rows = [(order, order.quantity, order.limit_price) for order in orders]
        rows += [(working.order, *working.requests[-1]) for working in replaced]
        for order, lots, limit_price in rows:
            value = _value(books, portfolio.index[order.instrument], lots, limit_price)
            if value > limits.max_order_notional:
                return (
                    f"order notional: {lots} lots of instrument {order.instrument} are worth {value} millionths, "
                    f"the limit is {limits.max_order_notional}"
                )
    return (
        _position_refusal(books, basket)
        or _exposure_refusal(books, basket)
        or _cash_refusal(books, basket)
        or _rate_refusal(books, basket, decided_ns)
    )


def _position_refusal(books: Books, basket: _Basket) -> str | None:
    limit = books.limits.max_position_lots
    if not books.limits.allow_short:
        for instrument, sells in basket.sells.items():
            selling = books.orders.selling.get(instrument, 0) + sells
            held = books.held(instrument)
            if sells > 0 and held - selling < 0:
                return (
                    f"short sale: instrument {instrument} could reach {held - selling} lots "
                    f"({held} held, {selling} to sell); allow_short is False"
                )
    if limit is None:
        return None
    for side, flight, sign in ((basket.buys, books.orders.buying, 1), (basket.sells, books.orders.selling, -1)):
        for instrument, lots in side.items():
            held, moving = books.held(instrument), flight.get(instrument, 0) + lots
            if lots > 0 and sign * held + moving > limit:
                return (
                    f"position: instrument {instrument} could reach {held + sign * moving} lots "
                    f"({held} held, {moving} to {'buy' if sign > 0 else 'sell'}), the limit is {limit}"
                )
    return None


def _exposure_refusal(books: Books, basket: _Basket) -> str | None:
    limits, portfolio = books.limits, books.portfolio
    if limits.max_gross_notional is None and limits.max_leverage_bps is None and limits.max_daily_loss is None:
        return None
    before: dict[int, int] = {}
    moving = {*books.orders.buying, *books.orders.selling, *books.unsettled, *basket.buys, *basket.sells}
    for instrument in sorted(moving):  # a set's order depends on its history, and a restored replica has another one
        before[portfolio.index[instrument]] = books.orders.net(instrument) + books.unsettled.get(instrument, 0)
    after = dict(before)
    for side, sign in ((basket.buys, 1), (basket.sells, -1)):
        for instrument, lots in side.items():
            after[portfolio.index[instrument]] += sign * lots
    if limits.max_daily_loss is not None:
        loss = books.day_open_equity - books.equity
        if loss > limits.max_daily_loss:
            for column, lots in after.items():
                held = portfolio.positions[column].lots
                if abs(held + lots) > abs(held + before[column]):
                    return (
                        f"daily loss: {loss} millionths are lost today, the limit is "
                        f"{limits.max_daily_loss}; only orders that reduce a position pass, and instrument "
                        f"{portfolio.ids[column]} would grow"
                    )
    gross = portfolio.gross(after)
    if gross <= portfolio.gross(before):
        return None
    if limits.max_gross_notional is not None and gross > limits.max_gross_notional:
        return f"gross notional: positions would be worth {gross} millionths, the limit is {limits.max_gross_notional}"
    if limits.max_leverage_bps is not None and gross * 10_000 > limits.max_leverage_bps * books.equity:
        return (
            f"leverage: positions would be worth {gross} millionths on an equity of {books.equity}, "
            f"the limit is {limits.max_leverage_bps} bps of it"
        )
    return None


def _cash_refusal(books: Books, basket: _Basket) -> str | None:
    least = books.limits.min_cash
    if least is None or basket.spends <= 0:
        return None
    cash = books.ledger.projected("cash", books.currency) - basket.spends
    cash -= sum(_spends(books, working) for working in books.orders.working.values())
    if cash < least:
        return f"cash: {cash} millionths would be left once everything in flight has filled, the least is {least}"
    return None


def _rate_refusal(books: Books, basket: _Basket, decided_ns: int) -> str | None:
    limits = books.limits
    if limits.max_orders is None:
        return None
    since = decided_ns - limits.order_window_ns
    sent = sum(count for ts_ns, count in books.recent if ts_ns > since)
    if sent + basket.count > limits.max_orders:
        return (
            f"order rate: {sent} orders in the last {limits.order_window_ns} ns and {basket.count} in this basket, "
            f"the limit is {limits.max_orders}"
        )
    return None
