"""Where orders are filled: the :class:`Venue` protocol, and :class:`BarVenue`, which fills them from bars.

A venue is sans-IO. It is told the time, never asks for it, and returns its reports; whoever drives it owns the link to
it. What it returns is a function of the messages it was given and of the times *in* them. The time at which a message
reached the venue decides nothing, so that a slow network or a message that is sent again changes no fill.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fastmas.errors import ConfigError
from fastmas.market.fill_rules import at_price, in_range, share_of, share_of_bps
from fastmas.market.instrument import Instrument
from fastmas.market.resting import Instant, Resting
from fastmas.messages import (
    BUY,
    SELL,
    Bar,
    BarFlag,
    Cancel,
    Fill,
    Order,
    OrderKind,
    OrderStatus,
    OrderUpdate,
    RejectReason,
    Replace,
)

__all__ = ["BarVenue", "OpenOrder", "Venue"]

Report = Fill | OrderUpdate


class OpenOrder(NamedTuple):
    """An order that rests at a venue: the order as it was sent, what it asks for now, and how much of it is filled."""

    order: Order
    quantity: int
    limit_price: int
    filled: int


@runtime_checkable
class Venue(Protocol):
    """What a world needs of a venue.

    A venue refuses a client order id that it has seen, whatever became of the first order: that, and ids which are pure
    functions of a commit, is why no order takes effect twice. `ts_ns` of a report is when it happened at the venue.
    """

    def submit(self, order: Order, now_ns: int) -> list[OrderUpdate]:
        """Take an order: acknowledged or rejected."""

    def cancel(self, cancel: Cancel, now_ns: int) -> list[OrderUpdate]:
        """Take back what is left of an order; the outcome may come with a later call of `on_bars`."""

    def replace(self, replace: Replace, now_ns: int) -> list[OrderUpdate]:
        """Change total quantity or limit of an order; the outcome may come with a later call of `on_bars`."""

    def on_bars(self, bars: NDArray[Any], now_ns: int) -> list[Report]:
        """Let one instant's bars (sorted by instrument) fill what they fill."""

    def knows(self, client_order_id: int) -> bool:
        """Whether an order of this id has ever arrived."""

    def open_orders(self) -> tuple[OpenOrder, ...]:
        """What rests, by client order id."""

    def executions(self, since: int = 0) -> list[Fill]:
        """Fills whose execution id is above `since`: what a new leader reconciles with."""


class BarVenue:
    """Fills orders from bars, by rules that err against the order.

    An order decided at `ts_ns` arrives at `ts_ns + latency_ns`. A bar can fill it only if the bar's own time is
    strictly later, so a fill at the close on which the decision was made is impossible, even without latency.

    *Bars with a close only:* the first later bar fills a market order at its close; a limit order if that close is at
    its limit or better, at the close.

    *Bars with open, high and low:* an order that arrived by the open is filled at the open (a limit order if the open
    is at its limit or better); a limit order that is not is filled at its limit when prices went *through* the limit:
    an exact touch is not enough, and the price is never better than the limit. What is left, and what arrived while
    the bar was under way, has the close, by the rule above. The open is taken to be no earlier than the previous bar
    of the instrument, and no earlier than `session_ns` before the close.

    Always: the fill's time is its bar's `ts_ns`, when the bar becomes known. A stale bar and a missing one fill
    nothing, and orders rest. An order fills at most once a bar. `valid_until_ns` is the latest time of a fill. A
    cancel or replace arrives after the same latency and changes nothing that happened before; one that arrives within
    a bar leaves the order only the open and the close of that bar.

    Fees and slippage are booked on the fill as amounts of their own, in millionths of the currency, halves away from
    zero; the price stays the bar's. Slippage is charged on market orders: a limit order pays no more than its limit.

    Parameters
    ----------
    instruments : sequence of Instrument
        What is traded here; an order for another is rejected.
    fee_bps : float, default 0
        Fee, in basis points of the value traded.
    slippage_bps : float, default 0
        Cost of crossing the spread, in basis points of the value traded, market orders only.
    volume_cap : float in (0, 1], optional
        Share of a bar's volume that may be filled, all orders together; the rest stays open. Bars must have volume.
    latency_ns : int, default 0
        From decision to arrival.
    session_ns : int, optional
        Length of a bar from its open to its close, for bars with a pause before them: 23_400_000_000_000 for a daily
        bar of the New York Stock Exchange. Too long is safe, too short is look-ahead. Without it bars are taken to
        follow one another without a pause, which is safe always.

    Raises
    ------
    ConfigError
        Arguments out of range; bars out of order, or without volume where there is a cap; a message from the future.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmas.market.instrument import Instrument
    >>> from fastmas.market.venue import BarVenue
    >>> from fastmas.messages import BUY, Bar, Order
    >>> venue = BarVenue([Instrument(7, "ABC")], fee_bps=5)
    >>> def bars(ts_ns, close):
    ...     return np.frombuffer(bytes(Bar(ts_ns=ts_ns, instrument=7, close=close)), Bar.dtype)
    >>> order = Order(7, BUY, 100, client_order_id=1, ts_ns=1_000)  # decided on the close of 1,000
    >>> venue.submit(order, 1_000)
    [OrderUpdate(client_order_id=1, ts_ns=1000, instrument=7, status=1, reason=0)]
    >>> venue.on_bars(bars(1_000, 50_000), 1_000)
    []
    >>> fill, = venue.on_bars(bars(2_000, 51_000), 2_000)
    >>> fill.price, fill.ts_ns, fill.fee  # 100 × 51.000 USD, of which 5 bps are 2.55 USD
    (51000, 2000, 2550000)
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        *,
        fee_bps: float = 0.0,
        slippage_bps: float = 0.0,
        volume_cap: float | None = None,
        latency_ns: int = 0,
        session_ns: int | None = None,
    ) -> None:
        self.instruments = tuple(instruments)
        # Value of one lot at a price of one increment, in millionths.
        self._unit_micro = {one.id: one.price_increment_micro * one.lot_size for one in self.instruments}
        if not self._unit_micro or len(self._unit_micro) != len(self.instruments):
            ids = [one.id for one in self.instruments]
            raise ConfigError(f"instruments must be at least one, each id once, got ids {ids}; try bars.instruments")
        self._settings = {
            "fee_bps": fee_bps,
            "slippage_bps": slippage_bps,
            "volume_cap": volume_cap,
            "latency_ns": latency_ns,
            "session_ns": session_ns,
        }
        self._fee_bps = _rate("fee_bps", fee_bps)
        self._slippage_bps = _rate("slippage_bps", slippage_bps)
        if volume_cap is not None and not 0 < volume_cap <= 1:
            raise ConfigError(f"volume_cap must be in (0, 1], got {volume_cap!r}; 0.1 is a tenth of a bar's volume")
        self._volume_cap = None if volume_cap is None else Fraction(repr(float(volume_cap)))
        self._latency_ns = _duration("latency_ns", latency_ns, 0)
        self._session_ns = None if session_ns is None else _duration("session_ns", session_ns, 1)
        self.rejections: Counter[RejectReason] = Counter()
        self._seen: dict[int, int] = {}  # instrument by client order id
        self._seen_requests: set[Cancel | Replace] = set()
        self._open: dict[int, Resting] = {}
        self._asked: dict[int, Resting] = {}  # orders with requests under way, open or not
        self._fills: list[Fill] = []
        self._last_bar_ns: dict[int, int] = {}
        self._now_ns = -(2**63)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self._settings.items())
        return f"BarVenue(<{len(self.instruments)} instruments>, {settings})"

    def fresh(self) -> BarVenue:
        """Make a venue of the same rules that has seen no order: one for each run."""
        return BarVenue(self.instruments, **self._settings)  # type: ignore[arg-type]

    @property
    def duplicates(self) -> int:
        """How many messages were refused because they had been seen before."""
        return self.rejections[RejectReason.DUPLICATE]

    # ---- what it is asked ------------------------------------------------------------------------------------

    def knows(self, client_order_id: int) -> bool:
        """Whether an order of this id has ever arrived, whatever became of it."""
        return client_order_id in self._seen

    def open_orders(self) -> tuple[OpenOrder, ...]:
        """What rests, by client order id."""
        resting = (self._open[key] for key in sorted(self._open))
        return tuple(OpenOrder(one.order, one.quantity, one.limit_price, one.filled) for one in resting)

    def executions(self, since: int = 0) -> list[Fill]:
        """Fills whose execution id is above `since`, in order; ids count from 1."""
        return self._fills[max(since, 0) :]

    # ---- what it is told -------------------------------------------------------------------------------------

    def submit(self, order: Order, now_ns: int) -> list[OrderUpdate]:
        """Take an order: acknowledged, or rejected with its reason. An id that was seen before is a duplicate."""
        self._check_time(order, now_ns)
        if order.client_order_id == 0:
            raise ConfigError(f"client_order_id must be set, got 0 in {order!r}; the replica sets it from the commit")
        arrives_ns = order.ts_ns + self._latency_ns
        reason = self._refusal(order, arrives_ns)
        self._seen[order.client_order_id] = order.instrument
        if reason is not RejectReason.NONE:
            return [self._reject(order.client_order_id, arrives_ns, order.instrument, reason)]
        self._open[order.client_order_id] = Resting(order, arrives_ns, order.quantity, order.limit_price)
        return [OrderUpdate(order.client_order_id, arrives_ns, order.instrument, OrderStatus.ACKNOWLEDGED)]

    def cancel(self, cancel: Cancel, now_ns: int) -> list[OrderUpdate]:
        """Take back what is left of an order.

        The outcome is returned at once when all bars up to the cancel's arrival have been seen, and otherwise by the
        call of `on_bars` that passes it: a bar before it may still fill the order.
        """
        return self._request(cancel, now_ns)

    def replace(self, replace: Replace, now_ns: int) -> list[OrderUpdate]:
        """Change an order's total quantity (what is filled already included), and its limit unless that is 0.

        The outcome is returned when that of a cancel is. A total that is not above what is filled is refused.
        """
        return self._request(replace, now_ns)

    def on_bars(self, bars: NDArray[Any], now_ns: int) -> list[Report]:
        """Let one instant's bars fill what they fill.

        Parameters
        ----------
        bars : ndarray of Bar.dtype
            Sorted by instrument, each once, all with `ts_ns` equal to `now_ns`.
        now_ns : int
            Not before that of the call before.

        Returns
        -------
        list of Fill and OrderUpdate
            In the order in which they are to be booked: changes of orders that these bars did not fill before the
            change, by (time, client order id); fills, sells first, by client order id; changes after a fill.
        """
        ids = self._check_bars(bars, now_ns)
        self._now_ns = now_ns
        instant = Instant(now_ns)
        if self._open:
            self._expire(instant)
            waiting: dict[int, list[Resting]] = {}
            for resting in sorted(self._open.values(), key=lambda one: one.priority):
                waiting.setdefault(resting.order.instrument, []).append(resting)
            for row, instrument in enumerate(ids.tolist()):
                if instrument in waiting and not int(bars["flags"][row]) & BarFlag.STALE:
                    self._fill_from(bars[row], waiting[instrument], instant)
        for key, resting in list(self._asked.items()):
            self._apply_requests(resting, now_ns, instant)
            if not resting.requests:
                del self._asked[key]
        self._last_bar_ns.update(dict.fromkeys(ids.tolist(), now_ns))
        for updates in (instant.before, instant.after):
            updates.sort(key=lambda update: (update.ts_ns, update.client_order_id))
        return [*instant.before, *self._book(instant), *instant.after]

    # ---- how it decides --------------------------------------------------------------------------------------

    def _refusal(self, order: Order, arrives_ns: int) -> RejectReason:
        if order.client_order_id in self._seen:
            return RejectReason.DUPLICATE
        if order.instrument not in self._unit_micro:
            return RejectReason.UNKNOWN_INSTRUMENT
        if order.side not in (BUY, SELL):
            return RejectReason.BAD_SIDE
        if order.kind not in (OrderKind.MARKET, OrderKind.LIMIT):
            return RejectReason.BAD_KIND
        if order.quantity <= 0:
            return RejectReason.BAD_QUANTITY
        if order.limit_price <= 0 if order.kind == OrderKind.LIMIT else order.limit_price != 0:
            return RejectReason.BAD_PRICE
        if order.valid_until_ns and order.valid_until_ns < arrives_ns:
            return RejectReason.EXPIRED
        return RejectReason.NONE

    def _reject(self, client_order_id: int, ts_ns: int, instrument: int, reason: RejectReason) -> OrderUpdate:
        self.rejections[reason] += 1
        return OrderUpdate(client_order_id, ts_ns, instrument, OrderStatus.REJECTED, reason)

    def _request(self, request: Cancel | Replace, now_ns: int) -> list[OrderUpdate]:
        """Put a cancel or replace in its order's queue, and let it work if no bar can come before it any more."""
        self._check_time(request, now_ns)
        key, arrives_ns = request.client_order_id, request.ts_ns + self._latency_ns
        resting = self._open.get(key)
        instrument = self._seen.get(key, 0)
        if request in self._seen_requests:  # sent again because its answer was lost: once is enough
            return [self._reject(key, arrives_ns, instrument, RejectReason.DUPLICATE)]
        self._seen_requests.add(request)
        if resting is None:
            return [self._reject(key, arrives_ns, instrument, RejectReason.UNKNOWN_ORDER)]
        # By arrival; what arrives at the same time stays in the order in which it came.
        resting.requests.append((arrives_ns, request))
        resting.requests.sort(key=lambda pair: pair[0])
        instant = Instant(now_ns)
        self._apply_requests(resting, self._now_ns, instant)
        if resting.requests:
            self._asked[key] = resting
        return instant.before + instant.after

    def _apply_requests(self, resting: Resting, until_ns: int, instant: Instant) -> None:
        """Let the order's requests that arrived by `until_ns` take effect, in order of arrival."""
        updates = instant.after if resting.filled_at_ns == instant.now_ns else instant.before
        key, instrument = resting.order.client_order_id, resting.order.instrument
        while resting.requests and resting.requests[0][0] <= until_ns:
            arrives_ns, request = resting.requests.pop(0)
            reason = self._refusal_of_request(resting, request)
            if reason is not RejectReason.NONE:
                updates.append(self._reject(key, arrives_ns, instrument, reason))
            elif isinstance(request, Cancel):
                del self._open[key]
                updates.append(OrderUpdate(key, arrives_ns, instrument, OrderStatus.CANCELLED))
            else:
                resting.quantity = request.quantity
                resting.limit_price = request.limit_price or resting.limit_price
                resting.arrives_ns = max(resting.arrives_ns, arrives_ns)
                updates.append(OrderUpdate(key, arrives_ns, instrument, OrderStatus.REPLACED))

    def _refusal_of_request(self, resting: Resting, request: Cancel | Replace) -> RejectReason:
        if self._open.get(resting.order.client_order_id) is not resting:
            return RejectReason.UNKNOWN_ORDER
        if isinstance(request, Replace):
            if request.quantity <= resting.filled:
                return RejectReason.BAD_QUANTITY
            if request.limit_price < 0 or (request.limit_price and resting.order.kind == OrderKind.MARKET):
                return RejectReason.BAD_PRICE
        return RejectReason.NONE

    def _expire(self, instant: Instant) -> None:
        """End orders whose time is over before these bars; a cancel that was earlier goes first."""
        for key, resting in list(self._open.items()):
            until_ns = resting.order.valid_until_ns
            if not until_ns or until_ns >= instant.now_ns:
                continue
            self._apply_requests(resting, until_ns, instant)
            if self._open.pop(key, None) is not None:
                instant.before.append(OrderUpdate(key, until_ns, resting.order.instrument, OrderStatus.EXPIRED))

    def _fill_from(self, bar: Any, waiting: list[Resting], instant: Instant) -> None:
        """One bar's fills: at the open, between open and close, at the close."""
        left = None if self._volume_cap is None else share_of(int(bar["volume"]), self._volume_cap)
        now_ns = instant.now_ns

        def fill(resting: Resting, price: int | None) -> None:
            nonlocal left
            quantity = resting.quantity - resting.filled
            if left is not None:
                quantity = min(quantity, left)
            if price is None or quantity <= 0 or resting.filled_at_ns == now_ns:
                return
            if left is not None:
                left -= quantity
            resting.filled += quantity
            resting.filled_at_ns = now_ns
            instant.executed.append((resting, price, quantity))
            if resting.filled == resting.quantity:
                del self._open[resting.order.client_order_id]

        open_ns = self._opens_ns(bar)
        if open_ns is not None:
            price, low, high = int(bar["open"]), int(bar["low"]), int(bar["high"])
            for resting in waiting:
                self._apply_requests(resting, open_ns, instant)
            early = [one for one in waiting if self._is_open(one) and one.arrives_ns <= open_ns]
            for resting in early:
                order = resting.order
                fill(resting, at_price(order.kind, order.side, resting.limit_price, price))
            for resting in early:
                order = resting.order
                # Whether the market came to the limit before a change did, is not known: then it did not.
                if order.kind == OrderKind.LIMIT and not any(arrives < now_ns for arrives, _ in resting.requests):
                    fill(resting, in_range(order.side, resting.limit_price, low, high))
        for resting in waiting:
            self._apply_requests(resting, now_ns - 1, instant)
            if self._is_open(resting) and resting.arrives_ns < now_ns:
                order = resting.order
                fill(resting, at_price(order.kind, order.side, resting.limit_price, int(bar["close"])))

    def _is_open(self, resting: Resting) -> bool:
        return resting.order.client_order_id in self._open

    def _opens_ns(self, bar: Any) -> int | None:
        """A time that is certainly not after the bar's open; None when it has no open, or nothing is known of it."""
        if not int(bar["flags"]) & BarFlag.HAS_OHLC:
            return None
        bounds = [self._last_bar_ns[key]] if (key := int(bar["instrument"])) in self._last_bar_ns else []
        if self._session_ns is not None:
            bounds.append(int(bar["ts_ns"]) - self._session_ns)
        return max(bounds, default=None)

    def _book(self, instant: Instant) -> list[Fill]:
        """Number the executions and say what they cost."""
        booked: list[Fill] = []
        for resting, price, quantity in sorted(instant.executed, key=lambda entry: entry[0].priority):
            order = resting.order
            value = price * quantity * self._unit_micro[order.instrument]
            slips = order.kind == OrderKind.MARKET
            booked.append(
                Fill(
                    execution_id=len(self._fills) + len(booked) + 1,
                    client_order_id=order.client_order_id,
                    ts_ns=instant.now_ns,
                    instrument=order.instrument,
                    side=order.side,
                    price=price,
                    quantity=quantity,
                    fee=share_of_bps(value, self._fee_bps),
                    slippage=share_of_bps(value, self._slippage_bps) if slips else 0,
                )
            )
        self._fills += booked
        return booked

    # ---- what it refuses to be told --------------------------------------------------------------------------

    def _check_time(self, message: Order | Cancel | Replace, now_ns: int) -> None:
        if message.ts_ns > now_ns:
            raise ConfigError(
                f"a message must have been decided by the time it is sent, got ts_ns {message.ts_ns} at {now_ns}; "
                "set ts_ns to the time of the decision"
            )

    def _check_bars(self, bars: NDArray[Any], now_ns: int) -> NDArray[np.uint32]:
        """Check one instant's bars before anything is changed; their instruments."""
        if not isinstance(bars, np.ndarray) or bars.dtype != Bar.dtype or bars.ndim != 1:
            found = getattr(bars, "dtype", type(bars).__name__)
            raise ConfigError(f"bars must be a one-dimensional array of Bar.dtype, got {found}")
        ids: NDArray[np.uint32] = bars["instrument"]
        if (ids[1:] <= ids[:-1]).any():
            raise ConfigError(f"bars must be sorted by instrument, each once, got instruments {ids.tolist()}")
        if (bars["ts_ns"] != now_ns).any():
            times = np.unique(bars["ts_ns"]).tolist()
            raise ConfigError(f"bars must be those of one instant, now_ns = {now_ns}, got ts_ns {times}")
        if now_ns < self._now_ns:
            raise ConfigError(f"time must not go backwards, got bars of {now_ns} after {self._now_ns}")
        if now_ns == self._now_ns:
            for instrument in ids.tolist():
                if self._last_bar_ns.get(instrument) == now_ns:
                    raise ConfigError(f"an instrument has one bar an instant, got a second of {instrument} at {now_ns}")
        if self._volume_cap is not None:
            without = (bars["flags"] & (BarFlag.HAS_VOLUME | BarFlag.STALE)) == 0
            if without.any():
                raise ConfigError(
                    f"volume_cap needs bars with volume, got none for instrument {ids[int(np.argmax(without))]} at "
                    f"{now_ns}; leave volume_cap out for this data"
                )
        return ids


def _rate(name: str, value: float) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 10_000:
        raise ConfigError(f"{name} must be a number of basis points in [0, 10000), got {value!r}; 5 is 0.05 %")
    return Fraction(repr(float(value)))  # 0.1 bps are a tenth, not the binary fraction next to it


def _duration(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name} must be an integer of at least {least} nanoseconds, got {value!r}")
    return value
