"""What the parts of a financial system say to one another, one noun per arrow.

Market data (`Bar`, `Quote`, `Trade`), signals, orders and their reports are :class:`~fastmas.records.Record` types:
they live on rings, in the log and in the audit without being encoded. Prices are integers in the instrument's
``price_increment``, quantities integers in its ``lot_size``, money is an integer in millionths of the currency unit.
`Observation`, `Intent` and `Committed` hold mappings and come from the extension module.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

from fastmas._core.kernel import Committed, Intent, Observation
from fastmas.records import Record, f64, i32, i64, u32, u64

__all__ = [
    "BUY",
    "SELL",
    "Bar",
    "BarFlag",
    "Cancel",
    "Committed",
    "Fill",
    "Intent",
    "Observation",
    "Order",
    "OrderKind",
    "OrderStatus",
    "OrderUpdate",
    "Quote",
    "RejectReason",
    "Replace",
    "Review",
    "Signal",
    "Trade",
    "Wakeup",
]

BUY = 1
SELL = -1


class BarFlag(IntFlag):
    """What a bar says besides its prices."""

    STALE = 1  # the price has not moved for so long that nobody can have traded at it
    HAS_OHLC = 2
    HAS_VOLUME = 4


class OrderKind(IntEnum):
    """How an order may fill."""

    MARKET = 0
    LIMIT = 1


class OrderStatus(IntEnum):
    """What a venue says of an order that it did not fill."""

    ACKNOWLEDGED = 1
    REJECTED = 2
    CANCELLED = 3
    REPLACED = 4
    EXPIRED = 5


class RejectReason(IntEnum):
    """Why a venue refused an order, a cancel or a replace."""

    NONE = 0
    DUPLICATE = 1  # the client order id has been seen; the first order stands as it is
    UNKNOWN_ORDER = 2
    UNKNOWN_INSTRUMENT = 3
    BAD_QUANTITY = 4
    BAD_PRICE = 5
    BAD_SIDE = 6
    BAD_KIND = 7
    EXPIRED = 8


class Bar(Record):
    """Open, high, low and close of one instrument over one session; known at `ts_ns`, its close.

    Columns that the data do not have are zero, and `flags` says which there are (see `BarFlag`).

    Examples
    --------
    >>> bar = Bar(ts_ns=1_000, instrument=7, close=101_500)
    >>> bar.close, BarFlag(bar.flags), len(bytes(bar))
    (101500, <BarFlag: 0>, 56)
    """

    ts_ns: i64
    instrument: u32
    flags: u32 = 0
    open: i64 = 0
    high: i64 = 0
    low: i64 = 0
    close: i64 = 0
    volume: i64 = 0


class Quote(Record):
    """Best bid and ask of one instrument.

    Examples
    --------
    >>> quote = Quote(ts_ns=1_000, instrument=7, bid=101_400, ask=101_600)
    >>> quote.ask - quote.bid
    200
    """

    ts_ns: i64
    instrument: u32
    bid: i64
    ask: i64
    bid_size: i64 = 0
    ask_size: i64 = 0


class Trade(Record):
    """A trade seen on the market; `side` is the aggressor's (1 buy, -1 sell, 0 unknown).

    Examples
    --------
    >>> Trade(ts_ns=1_000, instrument=7, side=BUY, price=101_500, quantity=300)
    Trade(ts_ns=1000, instrument=7, side=1, price=101500, quantity=300)
    """

    ts_ns: i64
    instrument: u32
    side: i32
    price: i64
    quantity: i64


class Signal(Record):
    """A reasoning agent's view of one instrument: positive is long; the scale is the agent's to state.

    `source` tells views apart where a decision hears several; the numbers are the strategy's own.

    Examples
    --------
    >>> Signal(instrument=7, ts_ns=1_000, score=0.5)
    Signal(instrument=7, ts_ns=1000, score=0.5, source=0)
    """

    instrument: u32
    ts_ns: i64
    score: f64
    source: u32 = 0


class Order(Record):
    """An order as it goes to a venue; `ts_ns` is when it was decided.

    An action agent may leave `client_order_id` and `ts_ns` at zero: the replica fills them in from the commit.

    Examples
    --------
    >>> Order(instrument=7, side=BUY, quantity=300).kind == OrderKind.MARKET
    True
    >>> Order(7, SELL, 300, OrderKind.LIMIT, limit_price=102_000, client_order_id=1, ts_ns=1_000).limit_price
    102000
    """

    instrument: u32
    side: i32
    quantity: i64
    kind: u32 = 0
    limit_price: i64 = 0
    client_order_id: u64 = 0
    ts_ns: i64 = 0
    valid_until_ns: i64 = 0


class Cancel(Record):
    """Take back what is left of an order.

    Examples
    --------
    >>> Cancel(client_order_id=1, ts_ns=2_000)
    Cancel(client_order_id=1, ts_ns=2000)
    """

    client_order_id: u64
    ts_ns: i64 = 0


class Replace(Record):
    """Change the quantity or limit price of an order that rests.

    Examples
    --------
    >>> Replace(client_order_id=1, quantity=200, limit_price=101_900)  # 200 in all, what is filled included
    Replace(client_order_id=1, quantity=200, limit_price=101900, ts_ns=0)
    """

    client_order_id: u64
    quantity: i64
    limit_price: i64 = 0
    ts_ns: i64 = 0


class Fill(Record):
    """An execution: `quantity` lots at `price`; `fee` and `slippage` in millionths of the currency unit.

    Examples
    --------
    >>> fill = Fill(1, 1, 2_000, 7, side=BUY, price=101_500, quantity=300, fee=15_225_000)
    >>> fill.fee / 1_000_000  # 5 basis points of 300 × 101.50
    15.225
    """

    execution_id: u64
    client_order_id: u64
    ts_ns: i64
    instrument: u32
    side: i32
    price: i64
    quantity: i64
    fee: i64 = 0
    slippage: i64 = 0


class OrderUpdate(Record):
    """What a venue says of an order that it did not fill; `status` is an `OrderStatus`, `reason` a `RejectReason`.

    Examples
    --------
    >>> update = OrderUpdate(1, 2_000, 7, OrderStatus.REJECTED, RejectReason.DUPLICATE)
    >>> OrderStatus(update.status).name, RejectReason(update.reason).name
    ('REJECTED', 'DUPLICATE')
    """

    client_order_id: u64
    ts_ns: i64
    instrument: u32
    status: u32
    reason: u32 = 0


class Wakeup(Record):
    """Returned by a stage that wants its `on_wakeup` called at `at_ns`.

    Examples
    --------
    >>> Wakeup(at_ns=5_000)
    Wakeup(at_ns=5000)
    """

    at_ns: i64


class Review(Record):
    """Returned by a decision agent: let all agents' parameters settle again, and fix them through the log.

    Examples
    --------
    >>> Review(ts_ns=5_000)
    Review(ts_ns=5000)
    """

    ts_ns: i64
