"""Orders that left for the venue and have not ended: what may still fill counts as held for every limit."""

from __future__ import annotations

from typing import NamedTuple

from fastmas.errors import ConfigError
from fastmas.messages import BUY, Fill, Order, OrderStatus, OrderUpdate, RejectReason, Replace

__all__ = ["OrdersInFlight", "WorkingOrder", "commit_of", "order_id"]

ORDERS_PER_COMMIT = 1 << 16
_OF_AN_ORDER = frozenset(
    {RejectReason.UNKNOWN_INSTRUMENT, RejectReason.BAD_SIDE, RejectReason.BAD_KIND, RejectReason.EXPIRED}
)
"""Reasons for which an order is refused, never a request to change one: it is over, whatever was asked since."""


def order_id(index: int, position: int) -> int:
    """Client order id of the order at `position` of the outbox of commit `index`: a pure function of the log."""
    if position >= ORDERS_PER_COMMIT:
        raise ConfigError(f"one commit may send at most {ORDERS_PER_COMMIT} orders; split the basket")
    if not 0 < index < 1 << 48:
        raise ConfigError(f"client order ids need a commit index from 1 to 2**48 - 1, got {index}")
    return index << 16 | position


def commit_of(client_order_id: int) -> int:
    """The commit index that an order came from."""
    return client_order_id >> 16


class Request(NamedTuple):
    """A cancel (quantity 0) or a replacement that is under way to the venue."""

    quantity: int = 0
    limit_price: int = 0


class WorkingOrder(NamedTuple):
    """An order as far as it has come. A venue answers its requests in the order in which they were sent."""

    order: Order
    quantity: int
    limit_price: int
    filled: int = 0
    acknowledged: bool = False
    requests: tuple[Request, ...] = ()
    executions: frozenset[int] = frozenset()

    @property
    def in_flight(self) -> int:
        """Lots that may still fill, whichever of its requests the venue takes."""
        if not self.requests:
            return self.quantity - self.filled
        return max(self.quantity, *(request.quantity for request in self.requests)) - self.filled

    @property
    def requested_price(self) -> int:
        """The limit price once every replacement that is under way has been taken."""
        return next((r.limit_price for r in reversed(self.requests) if r.quantity), self.limit_price)


class OrdersInFlight:
    """The working orders by client order id, and the lots in flight by instrument."""

    __slots__ = ("buying", "selling", "working")

    def __init__(self) -> None:
        self.working: dict[int, WorkingOrder] = {}
        self.buying: dict[int, int] = {}
        self.selling: dict[int, int] = {}

    def copy(self) -> OrdersInFlight:
        twin = OrdersInFlight()
        twin.working, twin.buying, twin.selling = dict(self.working), dict(self.buying), dict(self.selling)
        return twin

    def put(self, order: WorkingOrder) -> None:
        """Add an order, or change one; one with nothing left in flight is over and leaves."""
        client_order_id, instrument = order.order.client_order_id, order.order.instrument
        side = self.buying if order.order.side == BUY else self.selling
        before = self.working.get(client_order_id)
        lots = side.get(instrument, 0) + order.in_flight - (before.in_flight if before is not None else 0)
        if lots:
            side[instrument] = lots
        else:
            side.pop(instrument, None)
        if order.in_flight:
            self.working[client_order_id] = order
        else:
            del self.working[client_order_id]

    def end(self, order: WorkingOrder) -> None:
        """Nothing more of an order will fill."""
        self.put(order._replace(quantity=order.filled, requests=()))

    def net(self, instrument: int) -> int:
        """Lots in flight, bought less sold."""
        return self.buying.get(instrument, 0) - self.selling.get(instrument, 0)

    def sent(self) -> list[Order]:
        """The working orders as they were sent, in order of id."""
        return [order.order for _, order in sorted(self.working.items())]

    # -- what the actions ask for ------------------------------------------------------------------------------------

    def find(self, client_order_id: int, verb: str) -> WorkingOrder:
        order = self.working.get(client_order_id)
        if order is None:
            raise ConfigError(f"order {client_order_id} cannot be {verb}: it is not in flight")
        return order

    def request_cancel(self, client_order_id: int) -> None:
        """Remember that a cancel is under way; the lots stay in flight until the venue confirms."""
        order = self.find(client_order_id, "cancelled")
        self.put(order._replace(requests=(*order.requests, Request())))

    def replaced(self, change: Replace) -> WorkingOrder:
        """The order as it is while a replacement is under way; changes nothing."""
        order = self.find(change.client_order_id, "replaced")
        if change.quantity <= order.filled:
            raise ConfigError(
                f"order {change.client_order_id} cannot be replaced: {order.filled} lots have filled and its "
                f"new quantity counts them, got {change.quantity}; cancel it instead"
            )
        if change.limit_price < 0 or (change.limit_price and not order.limit_price):
            raise ConfigError(
                f"order {change.client_order_id} cannot be replaced: a limit price is > 0, or 0 to keep it, and a "
                f"market order has none, got {change.limit_price}"
            )
        request = Request(change.quantity, change.limit_price or order.requested_price)
        return order._replace(requests=(*order.requests, request))

    # -- what the venue says -----------------------------------------------------------------------------------------

    def on_fill(self, order: WorkingOrder, fill: Fill) -> None:
        self.put(order._replace(filled=order.filled + fill.quantity, executions=order.executions | {fill.execution_id}))

    def on_update(self, order: WorkingOrder, update: OrderUpdate) -> None:
        """Move an order on. A refused request leaves the order as it was; a refused order is over."""
        status = update.status
        if status == OrderStatus.ACKNOWLEDGED:
            self.put(order._replace(acknowledged=True))
        elif status == OrderStatus.REPLACED:
            taken = next((at for at, request in enumerate(order.requests) if request.quantity), None)
            if taken is not None:
                request, later = order.requests[taken], order.requests[taken + 1 :]
                quantity = max(request.quantity, order.filled)
                self.put(order._replace(quantity=quantity, limit_price=request.limit_price, requests=later))
        elif status == OrderStatus.REJECTED:
            # A venue that refuses a second copy of an order says nothing of the first, which is still in flight.
            if update.reason == RejectReason.DUPLICATE:
                return
            if order.requests and update.reason not in _OF_AN_ORDER:
                # A venue may have filled more than it now says it was asked for: then nothing is left.
                quantity = max(order.quantity, order.filled)
                self.put(order._replace(quantity=quantity, requests=order.requests[1:]))
            else:
                self.end(order)
        else:  # cancelled or expired
            self.end(order)
