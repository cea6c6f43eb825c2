"""What a venue remembers of an order that rests, and of the instant that it is working on."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastmas.messages import BUY, Cancel, Order, OrderUpdate, Replace

__all__ = ["Instant", "Resting"]


@dataclass(slots=True)
class Resting:
    """An order of the venue, open until it is in no table any more."""

    order: Order
    arrives_ns: int  # of the order, or of its last replace
    quantity: int
    limit_price: int
    filled: int = 0
    filled_at_ns: int = -1
    requests: list[tuple[int, Cancel | Replace]] = field(default_factory=list)  # (arrival, request), by arrival

    @property
    def priority(self) -> tuple[bool, int]:
        """Sells come before buys, so that a basket pays for itself; then by client order id."""
        return (self.order.side == BUY, self.order.client_order_id)


@dataclass(slots=True)
class Instant:
    """What one call brings about, until it is put into the order in which it is to be booked."""

    now_ns: int
    before: list[OrderUpdate] = field(default_factory=list)
    executed: list[tuple[Resting, int, int]] = field(default_factory=list)  # (order, price, quantity)
    after: list[OrderUpdate] = field(default_factory=list)
