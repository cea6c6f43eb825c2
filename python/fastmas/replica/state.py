"""The replicated state: orders in flight, settlement contracts, the ledger and the action agents, driven by the log
alone.

`apply` is deterministic: its answer and everything it changes follow from the commands so far. A command is
validated before anything is changed, or undone whole when it fails half way: an exception leaves the state, to the
byte, as it was. Of a log entry's time only the comparison with an intent's `valid_until_ns` enters the state, never
the time itself: when a commit happened depends on the network.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Any, Protocol

from fastmas.errors import AgentError, ConfigError, InvariantError
from fastmas.messages import Cancel, Committed, Fill, Intent, Order, OrderStatus, OrderUpdate
from fastmas.replica.actions import Actions, AtMarket, Outbox
from fastmas.replica.books import Books
from fastmas.replica.commands import (
    Bust,
    Kill,
    Kind,
    Marks,
    Open,
    Parameters,
    Reconcile,
    Reports,
    Wake,
    decode,
    encode_parameters,
)
from fastmas.replica.guard import refusal
from fastmas.replica.limits import Limits
from fastmas.replica.orders import WorkingOrder, commit_of, order_id
from fastmas.replica.reply import encode_effects
from fastmas.replica.snapshot import decode_snapshot, encode_snapshot
from fastmas.replica.views import Views

__all__ = ["Entry", "TradingState"]

ACCEPTED, REJECTED, EXPIRED = 0, 1, 2
BOOKED, DUPLICATE, REFUSED = 0, 1, 2
_TOUCHED = struct.Struct("<qqqq")


class Entry(Protocol):
    """What a log hands to `apply`."""

    @property
    def index(self) -> int: ...
    @property
    def time_ns(self) -> int: ...
    @property
    def command(self) -> bytes: ...


@lru_cache(maxsize=64)
def _column(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}q")


class TradingState(Views):
    """A state machine for `Cluster`: the pre-trade guard, orders, contracts, ledger and actions of one replica.

    Parameters
    ----------
    actions : Action or iterable of Action, optional
        Copied deeply; called on every replica in this order. Default: `AtMarket`.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from fastmas.messages import Fill, Intent
    >>> from fastmas.replica import Limits, TradingState, commands
    >>> state, log = TradingState(), iter(range(1, 9))
    >>> def commit(command):
    ...     entry = SimpleNamespace(index=next(log), time_ns=0, command=command)
    ...     return commands.decode_reply(state.apply(entry))
    >>> _ = commit(commands.encode_open("USD", 1_000_000_000, [(7, 1000, 1)], Limits()))
    >>> _ = commit(commands.encode_marks(1, [7], [20_000]))
    >>> order = commit(commands.encode_intent(Intent(1, {7: 10}))).orders[0]
    >>> order.quantity, order.client_order_id == 3 << 16, state.holding(7), state.position(7)
    (10, True, 0, 10)
    >>> fill = Fill(execution_id=1, client_order_id=order.client_order_id, ts_ns=2, instrument=7, side=1, price=20_000,
    ...             quantity=10, fee=5_000)
    >>> _ = commit(commands.encode_reports([fill]))
    >>> state.holding(7), state.cash, state.equity, state.fees, state.balanced
    (10, 799995000, 999995000, 5000, True)
    """

    def __init__(self, actions: Any = None) -> None:
        super().__init__()
        self._actions = Actions(AtMarket() if actions is None else actions)
        self._poison: str | None = None

    # -- the state machine -------------------------------------------------------------------------------------------

    def apply(self, entry: Entry) -> bytes:
        """Apply one log entry.

        Returns
        -------
        bytes
            See `decode_reply`. A basket that the guard refuses and an intent that is past its validity are answers,
            counted and covered by the head; they are no exceptions.

        Raises
        ------
        ConfigError
            The command is not one, or can never work. Nothing was changed.
        LedgerError
            A booking would overflow. Nothing was changed.
        AgentError
            An action raised or returned what it may not. Nothing was changed.
        InvariantError
            The books do not add up; the state raises this from then on.
        """
        if self._poison is not None:
            raise InvariantError(self._poison)
        command = decode(entry.command)
        index = entry.index
        try:
            if index <= self._index:
                raise InvariantError(f"commit {index} was applied before: the last was {self._index}")
            effects = self._dispatch(command, entry, index)
        except InvariantError as error:
            self._poison = str(error)
            raise
        head = sha256(b"".join((self._head, _column(1).pack(len(entry.command)), entry.command, effects))).digest()
        self._index, self._head = index, head
        return effects + head

    def snapshot(self) -> bytes:
        """All of the state as bytes; equal states give equal bytes."""
        self._alive()
        return encode_snapshot(self._books, self._index, self._head, self._actions.snapshot())

    def restore(self, data: bytes) -> None:
        """Become the state that `snapshot` was taken of; the actions must have been given alike.

        Raises
        ------
        ConfigError
            `data` is damaged or of other actions. Nothing was changed.
        """
        books, index, head, states = decode_snapshot(data)
        self._actions.restore(states)
        self._books, self._index, self._head, self._poison = books, index, head, None

    def digest(self) -> bytes:
        """The head: replicas that differ in one effect of one command have different digests from then on."""
        self._alive()
        return self._head

    def _alive(self) -> None:
        if self._poison is not None:
            raise InvariantError(self._poison)

    def _dispatch(self, command: Any, entry: Entry, index: int) -> bytes:
        kind = type(command)
        if kind is Marks:
            books = self._opened()
            if not books.settlements:
                return self._apply_marks(books, command, index)
        elif kind is Open:
            return self._apply_open(command, index)
        books = self._opened()
        saved, states = books.copy(), self._actions.snapshot()
        try:
            with books.ledger.atomic():
                return _HANDLERS[kind](self, books, command, entry, index)
        except BaseException:
            self._books = saved
            self._actions.restore(states)
            raise

    # -- commands ----------------------------------------------------------------------------------------------------

    def _apply_open(self, command: Open, index: int) -> bytes:
        if self._books is not None:
            raise ConfigError(f"the books are open already, in {self._books.currency}; a log opens them once")
        books = Books(command)
        books.open_accounts()
        books.counters["commands"] += 1
        effects = encode_effects(index, Kind.OPEN, ACCEPTED, books.totals())
        self._books = books
        return effects

    def _apply_marks(self, books: Books, command: Marks, index: int) -> bytes:
        # The hot path of a replay: no copy is made, so everything that can fail comes before the first change.
        if command.ts_ns < books.clock_ns:
            raise ConfigError(f"marks must not go back in time: last {books.clock_ns} ns, got {command.ts_ns}")
        marks, value = books.portfolio.revalued(command.instruments, command.prices)
        books.mark(command.ts_ns, marks, value)
        counters = books.counters
        counters["commands"] += 1
        counters["marks"] += 1
        marks = books.portfolio.marks
        return encode_effects(index, Kind.MARKS, ACCEPTED, books.totals(), _column(len(marks)).pack(*marks))

    def _apply_marks_and_settle(self, books: Books, command: Marks, entry: Entry, index: int) -> bytes:
        self._apply_marks(books, command, index)
        touched = books.settle_due()
        books.revalue()
        marks = _column(len(books.portfolio.marks)).pack(*books.portfolio.marks)
        return self._effects(books, Kind.MARKS, index, instruments=touched, touched=marks, count=False)

    def _apply_intent(self, books: Books, intent: Intent, entry: Entry, index: int) -> bytes:
        books.counters["intents"] += 1
        if intent.valid_until_ns and entry.time_ns > intent.valid_until_ns:
            books.counters["expired"] += 1
            reason = f"the intent was valid until {intent.valid_until_ns} ns"
            return self._effects(books, Kind.INTENT, index, EXPIRED, reason)
        for instrument in intent.targets:
            if instrument not in books.portfolio.index:
                books.counters["rejected"] += 1
                return self._effects(
                    books, Kind.INTENT, index, REJECTED, f"instrument {instrument} is not in these books"
                )
        states = self._actions.snapshot()
        outbox = self._actions.call("act", Committed(index, entry.time_ns, intent), books, intent.ts_ns)
        sent, reason = self._send(books, outbox, intent.ts_ns, index)
        if reason:
            self._actions.restore(states)
            books.counters["rejected"] += 1
            return self._effects(books, Kind.INTENT, index, REJECTED, reason)
        return self._effects(books, Kind.INTENT, index, outbox=sent)

    def _apply_reports(self, books: Books, command: Reports, entry: Entry, index: int) -> bytes:
        notes, instruments, fresh = self._book_reports(books, command.reports)
        sent, reason = self._tell_actions(books, fresh, entry, index)
        return self._effects(
            books, Kind.REPORTS, index, ACCEPTED, reason, sent, instruments, notes, orders_of=command.reports
        )

    def _apply_reconcile(self, books: Books, command: Reconcile, entry: Entry, index: int) -> bytes:
        notes, instruments, fresh = self._book_reports(books, command.reports)
        sent, reason = self._tell_actions(books, fresh, entry, index)
        known = set(command.open_orders)
        working = books.orders.working
        just_sent = {order.client_order_id for order in sent.orders}
        lost, unexplained = [], []
        for client_order_id, order in sorted(working.items()):
            if client_order_id in known or client_order_id in just_sent:
                continue
            if order.acknowledged or order.filled:
                unexplained.append(client_order_id)
            else:
                lost.append(order.order)
        strays = [Cancel(stray, books.clock_ns) for stray in command.open_orders if stray not in working]
        if unexplained:
            note = f"the venue neither has nor ended orders {unexplained[:20]}, which it had acknowledged"
            reason = f"{reason}; {note}" if reason else note
        sent = Outbox([*lost, *sent.orders], [*strays, *sent.cancels], sent.replaces, sent.wakeups)
        return self._effects(
            books, Kind.RECONCILE, index, ACCEPTED, reason, sent, instruments, notes, orders_of=command.reports
        )

    def _apply_bust(self, books: Books, command: Bust, entry: Entry, index: int) -> bytes:
        for key in command.executions:
            if key not in books.settlements:
                raise ConfigError(
                    f"execution {key[1]} of order {key[0]} has no pending contract to void: it has settled, or "
                    "never happened; a settled trade is corrected by an opposite fill"
                )
            books.bust(key)
        return self._effects(books, Kind.BUST, index)

    def _apply_parameters(self, books: Books, command: Parameters, entry: Entry, index: int) -> bytes:
        for name, vector in command.vectors.items():
            held = books.parameters.get(name)
            if held is not None and held.shape != vector.shape:
                raise ConfigError(
                    f"parameters of {name!r} are {len(held)} numbers since they were first fixed, got {len(vector)}"
                )
        books.parameters = dict(sorted({**books.parameters, **command.vectors}.items()))
        return self._effects(books, Kind.PARAMETERS, index, touched=encode_parameters(books.parameters))

    def _apply_kill(self, books: Books, command: Kill, entry: Entry, index: int) -> bytes:
        books.killed = command.on
        return self._effects(books, Kind.KILL, index, touched=bytes([books.killed]))

    def _apply_limits(self, books: Books, command: Limits, entry: Entry, index: int) -> bytes:
        books.limits = command
        return self._effects(books, Kind.LIMITS, index, touched=repr(books.limits).encode())

    def _apply_wake(self, books: Books, command: Wake, entry: Entry, index: int) -> bytes:
        states = self._actions.snapshot()
        outbox = self._actions.call("on_wakeup", None, books, command.at_ns)
        sent, reason = self._send(books, outbox, command.at_ns, index)
        if reason:
            self._actions.restore(states)
            books.counters["rejected"] += 1
            return self._effects(books, Kind.WAKE, index, REJECTED, reason)
        return self._effects(books, Kind.WAKE, index, outbox=sent)

    # -- parts of commands -------------------------------------------------------------------------------------------

    def _book_reports(
        self, books: Books, reports: Iterable[Fill | OrderUpdate]
    ) -> tuple[bytes, list[int], list[Fill | OrderUpdate]]:
        """Book what is new; an outcome each, the instruments that moved, and the reports that were new."""
        outcomes = bytearray()
        instruments: dict[int, None] = {}
        fresh: list[Fill | OrderUpdate] = []
        for report in reports:
            working = books.orders.working.get(report.client_order_id)
            outcome = _outcome(report, working, self._index)
            outcomes.append(outcome)
            if outcome == DUPLICATE:
                books.counters["duplicate_reports"] += 1
            elif outcome == REFUSED or working is None:
                books.counters["refused_reports"] += 1
            else:
                fresh.append(report)
                if isinstance(report, Fill):
                    books.counters["fills"] += 1
                    books.orders.on_fill(working, report)
                    books.trade(report)
                    instruments[report.instrument] = None
                else:
                    books.counters["updates"] += 1
                    books.orders.on_update(working, report)
        if instruments:
            books.revalue()
        return bytes(outcomes), list(instruments), fresh

    def _tell_actions(
        self, books: Books, reports: list[Fill | OrderUpdate], entry: Entry, index: int
    ) -> tuple[Outbox, str]:
        """Show new reports to the actions. Reports are facts: they stay booked whatever an action makes of them."""
        nothing = Outbox([], [], [], [])
        if not reports or not self._actions.defines("on_report"):
            return nothing, ""
        states, decided_ns = self._actions.snapshot(), max(report.ts_ns for report in reports)
        outbox = Outbox([], [], [], [])
        try:
            for report in reports:
                said = self._actions.call("on_report", report, books, decided_ns)
                outbox = outbox.extended(said)
            sent, reason = self._send(books, outbox, decided_ns, index)
        except AgentError as error:
            self._actions.restore(states)
            books.counters["agent_errors"] += 1
            return nothing, str(error)
        if reason:
            self._actions.restore(states)
            books.counters["rejected"] += 1
        return sent, reason

    def _send(self, books: Books, outbox: Outbox, decided_ns: int, index: int) -> tuple[Outbox, str]:
        """Check, number and remember what actions returned: all of it, or none and the reason."""
        try:
            for cancel in outbox.cancels:
                books.orders.find(cancel.client_order_id, "cancelled")
            replaced = [books.orders.replaced(change) for change in outbox.replaces]
            ids = [cancel.client_order_id for cancel in outbox.cancels]
            ids += [change.client_order_id for change in outbox.replaces]
            if len(set(ids)) != len(ids):
                raise ConfigError(f"one basket may cancel or replace an order once, got orders {sorted(ids)[:20]}")
            if outbox.orders:
                order_id(index, len(outbox.orders) - 1)
        except ConfigError as error:
            return Outbox([], [], [], []), str(error)
        reason = refusal(books, outbox.orders, replaced, decided_ns)
        if reason is not None:
            return Outbox([], [], [], []), reason
        # Sells first: their proceeds pay for the buys, and a basket cut short leaves less exposure, not more.
        orders = [
            order.replace(client_order_id=order_id(index, position), ts_ns=decided_ns)
            for position, order in enumerate(sorted(outbox.orders, key=_side))
        ]
        for order in orders:
            books.orders.put(WorkingOrder(order, order.quantity, order.limit_price))
        for cancel in outbox.cancels:
            books.orders.request_cancel(cancel.client_order_id)
        for working in replaced:
            books.orders.put(working)
        count = len(orders) + len(replaced)
        if count:
            since = decided_ns - books.limits.order_window_ns
            books.recent = (*(row for row in books.recent if row[0] > since), (decided_ns, count))
        books.counters["orders"] += len(orders)
        books.counters["cancels"] += len(outbox.cancels)
        books.counters["replaces"] += len(replaced)
        cancels = [cancel.replace(ts_ns=decided_ns) for cancel in outbox.cancels]
        replaces = [change.replace(ts_ns=decided_ns) for change in outbox.replaces]
        return Outbox(orders, cancels, replaces, outbox.wakeups), ""

    def _effects(
        self,
        books: Books,
        kind: Kind,
        index: int,
        status: int = ACCEPTED,
        reason: str = "",
        outbox: Outbox | None = None,
        instruments: Iterable[int] = (),
        touched: bytes = b"",
        orders_of: Iterable[Fill | OrderUpdate] = (),
        count: bool = True,
    ) -> bytes:
        """Check the books, and write down all that a command changed."""
        books.counters["commands"] += count
        books.check_instruments(instruments)
        portfolio, working = books.portfolio, books.orders.working
        parts = [touched]
        for instrument in instruments:
            column = portfolio.index[instrument]
            lots, cost, _ = portfolio.positions[column]
            parts.append(_TOUCHED.pack(instrument, lots, cost, portfolio.marks[column]))
        for client_order_id in sorted({report.client_order_id for report in orders_of} & working.keys()):
            order = working[client_order_id]
            flags = len(order.requests) << 1 | order.acknowledged
            parts.append(_TOUCHED.pack(client_order_id & 2**63 - 1, order.in_flight, order.filled, flags))
        orders, cancels, replaces, wakeups = outbox or ((), (), (), ())
        return encode_effects(
            index, kind, status, books.totals(), b"".join(parts), reason, orders, cancels, replaces, wakeups
        )


def _side(order: Order) -> int:
    return int(order.side)


def _outcome(report: Fill | OrderUpdate, working: WorkingOrder | None, applied: int) -> int:
    """Whether a report is new, was seen before, or cannot be true."""
    if working is None:
        # An order that has ended was forgotten: what comes after is a repetition. One that no commit sent is a lie.
        return DUPLICATE if 0 < commit_of(report.client_order_id) <= applied else REFUSED
    order = working.order
    if report.instrument != order.instrument or report.ts_ns < 0:
        return REFUSED
    if isinstance(report, Fill):
        if report.execution_id in working.executions:
            return DUPLICATE
        good = report.side == order.side and report.price > 0 and 0 < report.quantity <= working.in_flight
        return BOOKED if good else REFUSED
    return BOOKED if OrderStatus.ACKNOWLEDGED <= report.status <= OrderStatus.EXPIRED else REFUSED


_HANDLERS: dict[type, Callable[..., bytes]] = {
    Marks: TradingState._apply_marks_and_settle,
    Intent: TradingState._apply_intent,
    Reports: TradingState._apply_reports,
    Reconcile: TradingState._apply_reconcile,
    Bust: TradingState._apply_bust,
    Parameters: TradingState._apply_parameters,
    Kill: TradingState._apply_kill,
    Limits: TradingState._apply_limits,
    Wake: TradingState._apply_wake,
}
