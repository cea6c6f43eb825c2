"""The action agents on their side of the consensus line: what they see, and what is made of what they return."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmas.agent import Action
from fastmas.errors import AgentError, ConfigError, InvariantError
from fastmas.messages import BUY, SELL, Cancel, Committed, Order, OrderKind, Replace, Wakeup
from fastmas.replica.books import Books

__all__ = ["ActionContext", "Actions", "AtMarket", "Outbox"]

_MAX = 2**63 - 1
# Attributes that say how an agent is wired; they are set before it runs, and are no state.
_WIRING = frozenset(
    {"_name", "act", "on_report", "on_wakeup", "join", "subscribes", "latency_ns", "initial_parameters"}
)


class ActionContext:
    """What an action sees: the books after the last command, this replica's own copy. Read-only; there is no `rng`."""

    __slots__ = ("_basket", "_books", "_now_ns")

    def __init__(self) -> None:
        self._books: Any = None
        self._now_ns = 0
        self._basket: dict[int, int] = {}

    @property
    def now_ns(self) -> int:
        """When the basket was decided, the wake-up was due, or the latest of the reports happened.

        It comes from the command, never from when that was committed, so it is the same under any network.
        """
        return self._now_ns

    @property
    def parameters(self) -> Mapping[str, NDArray[np.float64]]:
        """Every agent's parameters as the log last fixed them."""
        return MappingProxyType(self._books.parameters)

    @property
    def cash(self) -> int:
        """Cash in millionths of the currency unit."""
        return int(self._books.cash)

    @property
    def equity(self) -> int:
        """Cash plus holdings at their marks."""
        return int(self._books.equity)

    @property
    def orders_in_flight(self) -> tuple[Order, ...]:
        """Orders that have not ended, as they were sent, in order of id: what may be cancelled or replaced."""
        return tuple(self._books.orders.sent())

    def position(self, instrument: int) -> int:
        """Lots held, orders in flight included, and those that actions returned for this command before."""
        return int(self._books.position(instrument)) + self._basket.get(instrument, 0)

    def holding(self, instrument: int) -> int:
        """Lots held, without orders in flight."""
        return int(self._books.holding(instrument))

    def sellable(self, instrument: int) -> int:
        """Lots that may be sold now without a risk of going short; no end of them where `allow_short` is on."""
        books = self._books
        if books.limits.allow_short:
            return _MAX
        selling = books.orders.selling.get(instrument, 0) + max(0, -self._basket.get(instrument, 0))
        return max(0, int(books.held(instrument)) - int(selling))

    def mark(self, instrument: int) -> int:
        """Last committed price in increments; 0 when there is none yet."""
        return int(self._books.portfolio.marks[self._books.portfolio.at(instrument)])

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"an action's context has now_ns, parameters, cash, equity, position, holding, sellable, mark and "
            f"orders_in_flight, not {name!r}; what a replica does must follow from the log alone"
        )


class AtMarket(Action):
    """One market order for each instrument of the basket, over the distance from its position to its target.

    Orders in flight count as positions, so an intent that repeats the one before sends nothing. Where short positions
    are not allowed, lots that are still being bought are not sold yet: the next intent sees to the rest.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from fastmas.messages import Committed, Intent
    >>> from fastmas.replica import AtMarket
    >>> held = {1: 100, 2: 0, 3: 5}
    >>> context = SimpleNamespace(position=held.__getitem__)
    >>> orders = AtMarket().act(Committed(1, 0, Intent(0, {1: 40, 2: 7, 3: 5})), context)
    >>> [(order.instrument, order.side, order.quantity) for order in orders]
    [(1, -1, 60), (2, 1, 7)]
    """

    def act(self, committed: Committed, ctx: Any) -> list[Order]:
        orders = []
        sellable = getattr(ctx, "sellable", None)  # a test's context may do without
        for instrument, target in committed.intent.targets.items():
            lots = target - ctx.position(instrument)
            if lots < 0 and sellable is not None:
                lots = -min(-lots, sellable(instrument))
            if lots:
                orders.append(Order(instrument=instrument, side=BUY if lots > 0 else SELL, quantity=abs(lots)))
        return orders


class Outbox(NamedTuple):
    """What actions returned for one command, in order."""

    orders: list[Order]
    cancels: list[Cancel]
    replaces: list[Replace]
    wakeups: list[int]

    def extended(self, more: Outbox) -> Outbox:
        """This, and `more` behind it."""
        return Outbox(
            self.orders + more.orders,
            self.cancels + more.cancels,
            self.replaces + more.replaces,
            self.wakeups + more.wakeups,
        )


def _name(agent: Any) -> str:
    return str(getattr(agent, "name", type(agent).__name__))


def _listed(result: Any) -> Iterable[Any]:
    if result is None:
        return ()
    if isinstance(result, (Order, Cancel, Replace, Wakeup, str, bytes)) or not isinstance(result, Iterable):
        return (result,)
    return list(result)  # a generator runs here, where what it raises is the action's


def _stateful(agent: Any) -> bool:
    return callable(getattr(agent, "snapshot", None)) and callable(getattr(agent, "restore", None))


def _attributes(agent: Any) -> bytes | dict[str, int] | None:
    """A print of what an action without `snapshot` keeps on itself; None for nothing."""
    kept = {name: value for name, value in getattr(agent, "__dict__", {}).items() if name not in _WIRING}
    if not kept:
        return None
    try:
        return pickle.dumps(kept)
    except Exception:  # what cannot be pickled (a lambda, a handle) is compared by identity
        return {name: id(value) for name, value in kept.items()}


class Actions:
    """This replica's own action agents, in the order given.

    Parameters
    ----------
    agents : Action or iterable of Action
        Copied deeply: replicas share no mutable state. An action that remembers anything between calls defines
        ``snapshot() -> bytes`` and ``restore(data)``.
    """

    __slots__ = ("_agents", "_context", "_templates")

    def __init__(self, agents: Any) -> None:
        members = list(agents) if isinstance(agents, Iterable) and not isinstance(agents, type) else [agents]
        members = [member() if isinstance(member, type) else member for member in members]
        for member in members:
            if not callable(getattr(member, "act", None)):
                raise ConfigError(f"actions must define act(committed, ctx), got {member!r}; derive from fm.Action")
        if not members:
            raise ConfigError("a trading state needs at least one action agent; try AtMarket()")
        self._templates = copy.deepcopy(members)
        self._agents = copy.deepcopy(members)
        self._context = ActionContext()

    # -- state -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> list[bytes]:
        """The state of each action, empty for those that have none."""
        return [bytes(agent.snapshot()) if _stateful(agent) else b"" for agent in self._agents]

    def restore(self, states: list[bytes]) -> None:
        """Fresh copies, brought to the states given."""
        if len(states) != len(self._templates):
            raise ConfigError(
                f"this snapshot holds {len(states)} actions, this replica was built with "
                f"{len(self._templates)}; build it alike"
            )
        agents = copy.deepcopy(self._templates)
        for agent, state in zip(agents, states, strict=True):
            if _stateful(agent):
                agent.restore(state)
            elif state:
                raise ConfigError(f"this snapshot holds state of action {_name(agent)!r}, which has no restore(data)")
        self._agents = agents

    def defines(self, method: str) -> bool:
        """Whether any action has a method of this name."""
        return any(callable(getattr(agent, method, None)) for agent in self._agents)

    # -- calls -------------------------------------------------------------------------------------------------------

    def call(self, method: str, message: Any, books: Books, decided_ns: int) -> Outbox:
        """Call a method of every action that has it, and check what comes back.

        Raises
        ------
        AgentError
            An action raised, returned what it may not, or kept state without `snapshot`. The caller rolls back.
        """
        context = self._context
        context._books, context._now_ns, context._basket = books, decided_ns, {}
        outbox = Outbox([], [], [], [])
        for agent in self._agents:
            function = getattr(agent, method, None)
            if function is None:
                continue
            kept = None if _stateful(agent) else _attributes(agent)
            try:
                items = _listed(function(context) if message is None else function(message, context))
            except (InvariantError, MemoryError):
                raise
            except Exception as error:
                # Replicas must agree on this text, and an address in it is a replica's own.
                text = re.sub(r"0x[0-9a-fA-F]+", "0x…", str(error))
                said = f"{type(error).__name__} in {method}: {text}"
                raise AgentError(f"action {_name(agent)!r} raised {said}") from error
            self._collect(agent, method, items, outbox, books, decided_ns)
            if not _stateful(agent) and _attributes(agent) != kept:
                raise AgentError(
                    f"action {_name(agent)!r} keeps state on itself across {method}; define snapshot() -> bytes and "
                    "restore(data), so that every replica can carry it"
                )
        return outbox

    def _collect(
        self, agent: Any, method: str, items: Iterable[Any], outbox: Outbox, books: Books, decided_ns: int
    ) -> None:
        for item in items:
            kind = type(item)
            if kind is Order:
                problem = _order_problem(item, books, decided_ns)
                if problem is not None:
                    raise AgentError(f"action {_name(agent)!r} cannot send an order from {method}: {problem}")
                outbox.orders.append(item)
                basket = self._context._basket
                basket[item.instrument] = basket.get(item.instrument, 0) + item.side * item.quantity
            elif kind is Cancel:
                outbox.cancels.append(item)
            elif kind is Replace:
                outbox.replaces.append(item)
            elif kind is Wakeup:
                outbox.wakeups.append(item.at_ns)
            else:
                raise AgentError(
                    f"action {_name(agent)!r} returned {kind.__name__} from {method}; an action may return Order, "
                    "Cancel, Replace, Wakeup, an iterable of those, or None"
                )


def _order_problem(order: Order, books: Books, decided_ns: int) -> str | None:
    if order.instrument not in books.portfolio.index:
        return f"instrument {order.instrument} is not in these books"
    if order.side not in (BUY, SELL):
        return f"side must be 1 (buy) or -1 (sell), got {order.side}"
    if not 0 < order.quantity <= _MAX:
        return f"quantity must be a number of lots > 0, got {order.quantity}"
    if order.kind not in (OrderKind.MARKET, OrderKind.LIMIT):
        return f"kind must be an OrderKind, got {order.kind}"
    if (order.kind == OrderKind.LIMIT) != (order.limit_price > 0) or order.limit_price < 0:
        return f"a limit order has a limit price > 0 and a market order has 0, got {order.limit_price}"
    if order.client_order_id:
        return f"client_order_id must be left at 0, the commit numbers orders, got {order.client_order_id}"
    if order.ts_ns not in (0, decided_ns):
        return f"ts_ns must be left at 0, it is when the basket was decided ({decided_ns}), got {order.ts_ns}"
    return None
